"""masks.safetensors: the masks of one replicate, a uint8 tensor `level-7/fc1.weight` per packaged level and parameter.

The metadata `encoding` states, as JSON, the encoding of each tensor: see `ticketzoo.ticket.encoding`.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ticketzoo.errors import TicketError
from ticketzoo.ticket.config import LevelEntry
from ticketzoo.ticket.encoding import ENCODINGS, Encoded, Encoding
from ticketzoo.ticket.levels import PackedLevels, Shapes
from ticketzoo.ticket.tensor_file import check_keys, open_tensors, read_bytes
from ticketzoo.util.strict_json import parse_json
from ticketzoo.util.text import for_terminal


def masks_to_bytes(packed: PackedLevels) -> bytes:
    """Return the content of masks.safetensors; equal masks give equal bytes."""
    return b"".join(mask_pieces(packed))


def mask_pieces(packed: PackedLevels) -> Iterator[bytes | memoryview]:
    """Yield the content of masks.safetensors, a tensor at a time, so that no second copy of all is in memory.

    It is what `safetensors` writes: the header's length, its JSON, then the tensors by name.
    """
    encoded = {_key(level, name): one for level, masks in packed.encoded.items() for name, one in masks.items()}
    stated = {key: one.encoding.name for key, one in encoded.items()}
    header: dict[str, Any] = {"__metadata__": {"encoding": json.dumps(stated, separators=(",", ":"))}}
    end = 0
    for key in sorted(encoded):
        begin, end = end, end + len(encoded[key].content)
        header[key] = {"dtype": "U8", "shape": [end - begin], "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    yield len(text).to_bytes(8, "little") + text
    for key in sorted(encoded):
        yield np.ascontiguousarray(encoded[key].content).data


def read_masks(
    path: Path, where: str, shapes: Shapes, levels: Sequence[LevelEntry], *, index: int = 0, number: int = 1
) -> PackedLevels:
    """Read masks.safetensors.

    Args:
        path: of the file.
        where: its name in messages.
        shapes: of the masks.
        levels: the packaged levels.
        index: of the replicate, among those that `levels` counts.
        number: of the ticket's format, which decides which encodings there may be.

    Raises:
        TicketError: something does not fit; the message names `where` and the tensor.
    """
    encoded: dict[int, dict[str, Encoded]] = {}
    with open_tensors(path, where, "numpy") as file:
        keys = set(file.keys())
        check_keys(keys, (_key(entry.level, name) for entry in levels for name in shapes), where)
        encodings = _encodings(file.metadata() or {}, keys, where, number)
        before = {name: math.prod(shape) for name, shape in shapes.items()}
        for entry in levels:
            count = entry.kept[index] if isinstance(entry.kept, list) else entry.kept
            masks = encoded[entry.level] = {}
            for name, shape in shapes.items():
                key = _key(entry.level, name)
                masks[name] = _read(file, key, encodings[key], shape, before[name], where)
            before = {name: one.kept() for name, one in masks.items()}
            if (found := sum(before.values())) != count:
                raise TicketError(f"{where}: level {entry.level} keeps {found} weights, but ticket.json says {count}")
    packed = PackedLevels(shapes, encoded)
    for entry in levels:
        if entry.nested and not packed.nested(entry.level):
            raise TicketError(f"{where}: level {entry.level} is not nested, but ticket.json says it is")
    return packed


def _read(file: Any, key: str, encoding: Encoding, shape: tuple[int, ...], before: int, where: str) -> Encoded:
    """Return a mask whose level before keeps `before` weights; its size is checked before it is read."""
    sizes = encoding.make.sizes(shape, before)
    content = read_bytes(file, key, sizes, f"{encoding.name} of this mask need", where)
    try:
        encoding.make.check(content, shape, before)
    except ValueError as error:
        raise TicketError(f"{where}: '{key}' has {error}") from None
    return Encoded(encoding, content, shape, f"{where}: '{key}'")


def _key(level: int, name: str) -> str:
    return f"level-{level}/{name}"


def _encodings(metadata: dict[str, str], keys: set[str], where: str, number: int) -> Mapping[str, Encoding]:
    stated = parse_json(metadata.get("encoding", "null"), f"{where}: encoding")
    if not isinstance(stated, dict) or stated.keys() != keys:
        raise TicketError(f"{where}: does not state the encoding of each mask")
    for key, name in stated.items():
        if name not in ENCODINGS or ENCODINGS[name].first_format > number:
            shown = for_terminal(name)[:100]
            raise TicketError(f"{where}: '{key}' is encoded as '{shown}', which this ticketzoo cannot read: upgrade")
    return {key: ENCODINGS[name] for key, name in stated.items()}
