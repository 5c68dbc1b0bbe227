"""Independent random streams from one seed: initialisation, data order and augmentation never share numbers."""

import hashlib

FIRST_LOOK = 3
"""Seeds of the first look, where a recipe has not more."""

MAX_SEEDS = 100
"""The most seeds that are added until the levels are decided."""


def derive_seed(seed: int, *stream: str | int) -> int:
    """Return the seed of the stream named by `stream` under `seed`: 63 bits for `torch.Generator.manual_seed`.

    Streams are independent: `derive_seed(0, "order", 3)` says nothing about `derive_seed(0, "init")`.
    """
    text = "/".join(map(str, (seed, *stream)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1
