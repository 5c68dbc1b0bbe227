"""masks.safetensors: the masks of one replicate, a uint8 tensor `level-7/fc1.weight` per packaged level and parameter.

The metadata `encoding` states, as JSON, the encoding of each tensor: see `ticketzoo.ticket.encoding`.
"""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import safetensors.numpy

from ticketzoo.errors import TicketError
from ticketzoo.masks import bits as bit
from ticketzoo.ticket.config import LevelEntry
from ticketzoo.ticket.encoding import ENCODINGS, Encoded, Encoding
from ticketzoo.ticket.levels import PackedLevels, Shapes
from ticketzoo.ticket.tensor_file import check_keys, open_tensors, read_bits
from ticketzoo.util.strict_json import parse_json
from ticketzoo.util.text import for_terminal


def masks_to_bytes(packed: PackedLevels) -> bytes:
    """Return the content of masks.safetensors; equal masks give equal bytes."""
    encoded = {_key(level, name): one for level, masks in packed.encoded.items() for name, one in masks.items()}
    stated = {key: one.encoding.name for key, one in encoded.items()}
    metadata = {"encoding": json.dumps(stated, separators=(",", ":"))}
    return safetensors.numpy.save({key: one.bits for key, one in encoded.items()}, metadata=metadata)


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
        total = {name: math.prod(shape) for name, shape in shapes.items()}
        before = total
        for entry in levels:
            count = entry.kept[index] if isinstance(entry.kept, list) else entry.kept
            masks = encoded[entry.level] = {}
            for name in shapes:
                key = _key(entry.level, name)
                weights = before[name] if encodings[key].relative else total[name]
                masks[name] = Encoded(encodings[key], read_bits(file, key, weights, where))
            before = {name: bit.popcount(one.bits) for name, one in masks.items()}
            if (found := sum(before.values())) != count:
                raise TicketError(f"{where}: level {entry.level} keeps {found} weights, but ticket.json says {count}")
    packed = PackedLevels(shapes, encoded)
    for entry in levels:
        if entry.nested and not packed.nested(entry.level):
            raise TicketError(f"{where}: level {entry.level} is encoded as not nested, but ticket.json says it is")
    return packed


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
