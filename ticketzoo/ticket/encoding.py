"""masks.safetensors and rewind.safetensors: what they hold, written and read back with everything checked.

Masks: per packaged level and parameter a 1-D uint8 tensor `level-7/fc1.weight` in the encoding `survivor-bits`: one bit
for each weight that survived the previous packaged level (at the first: for each weight), in C order, bit i in bit
i % 8 of byte i // 8, zero-padded. So masks are nested by construction. Rewind weights: of each masked parameter the
values of the weights that survive at the first packaged level, in C order, 1-D; all other tensors whole.
"""

import json
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import safetensors.numpy
import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ticketzoo.errors import TicketError
from ticketzoo.masks import bits as bit
from ticketzoo.masks.bits import Bits
from ticketzoo.ticket.config import LevelEntry
from ticketzoo.ticket.levels import PackedLevels, Shapes
from ticketzoo.ticket.rewind import check_rewind, check_rewind_dtype
from ticketzoo.util.strict_json import parse_json
from ticketzoo.util.text import for_terminal

ValueT = TypeVar("ValueT")

SURVIVOR_BITS = "survivor-bits"
_MAX_HEADER_BYTES = 100_000_000  # the safetensors library's own bound
_TENSOR_NAME = re.compile(r"[\w:-]+(\.[\w:-]+)*")
_DTYPES = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "I8": torch.int8,
    "I16": torch.int16,
    "I32": torch.int32,
    "I64": torch.int64,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F32": torch.float32,
    "F64": torch.float64,
}


def masks_to_bytes(packed: PackedLevels) -> bytes:
    """Return the content of masks.safetensors; equal masks give equal bytes."""
    tensors: dict[str, Bits] = {}
    outer: dict[str, Bits] | None = None
    with ThreadPoolExecutor(_threads()) as pool:  # numpy lets go of the interpreter while it works
        for level, masks in packed.levels.items():
            stored = masks if outer is None else _by_name(pool.map(bit.extract, masks.values(), outer.values()), masks)
            tensors |= {_key(level, name): bits for name, bits in stored.items()}
            outer = masks
    encodings = json.dumps(dict.fromkeys(tensors, SURVIVOR_BITS), separators=(",", ":"))
    return safetensors.numpy.save(tensors, metadata={"encoding": encodings})


def read_masks(path: Path, where: str, shapes: Shapes, levels: Sequence[LevelEntry]) -> PackedLevels:
    """Read masks.safetensors.

    Raises:
        TicketError: something does not fit; the message names `where` and the tensor.
    """
    with open_tensors(path, where, "numpy") as file, ThreadPoolExecutor(_threads()) as pool:
        _check_names(set(file.keys()), {_key(entry.level, name) for entry in levels for name in shapes}, where)
        _check_encodings(file.metadata() or {}, set(file.keys()), where)
        survivors = {name: math.prod(shape) for name, shape in shapes.items()}
        packed: dict[int, dict[str, Bits]] = {}
        outer: dict[str, Bits] | None = None
        for entry in levels:
            stored = {name: _read_bits(file, _key(entry.level, name), survivors[name], where) for name in shapes}
            survivors = _by_name(pool.map(bit.popcount, stored.values()), shapes)
            if sum(survivors.values()) != entry.kept:
                count = f"level {entry.level} keeps {sum(survivors.values())} weights"
                raise TicketError(f"{where}: {count}, but ticket.json says {entry.kept}")
            if outer is None:
                outer = packed[entry.level] = stored
            else:
                masks = pool.map(bit.deposit, stored.values(), outer.values())
                outer = packed[entry.level] = _by_name(masks, shapes)
    return PackedLevels(shapes, packed)


def rewind_to_bytes(packed: Mapping[str, Tensor]) -> bytes:
    """Return the content of rewind.safetensors; equal weights give equal bytes."""
    return safetensors.torch.save(dict(packed))


def read_rewind(path: Path, where: str, levels: PackedLevels) -> dict[str, Tensor]:
    """Read rewind.safetensors.

    Raises:
        TicketError: something does not fit; the message names `where` and the tensor.
    """
    with open_tensors(path, where, "pt") as file:
        names = sorted(file.keys())
        _check_names(set(levels.shapes) & set(names), set(levels.shapes), where)
        for name in names:
            if not _TENSOR_NAME.fullmatch(name):
                raise TicketError(f"{where}: '{for_terminal(name)[:200]}' is not the name of a parameter or buffer")
            dtype = file.get_slice(name).get_dtype()
            if dtype not in _DTYPES:
                raise TicketError(f"{where}: '{name}' has dtype {dtype}, which a ticket cannot hold")
            check_rewind_dtype(name, _DTYPES[dtype], name in levels.shapes, where)
        for name, count in levels.kept(levels.densest).items():
            shape = file.get_slice(name).get_shape()
            if shape != [count]:
                fit = f"its mask at level {levels.densest} keeps {count} weights, so it should have shape ({count},)"
                raise TicketError(f"{where}: '{name}' has shape {_shown(shape)}, but {fit}")
        packed = {name: file.get_tensor(name) for name in names}
    check_rewind(packed, levels.shapes, where)
    return packed


def _by_name(values: Iterable[ValueT], names: Iterable[str]) -> dict[str, ValueT]:
    return dict(zip(names, values, strict=True))


def _threads() -> int:
    return min(8, os.cpu_count() or 1)


def _key(level: int, name: str) -> str:
    return f"level-{level}/{name}"


@contextmanager
def open_tensors(path: Path, where: str, framework: str) -> Iterator[Any]:
    """Open a safetensors file whose declared header fits into it.

    Raises:
        TicketError: the file cannot be read; the message names `where`.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            header = int.from_bytes(file.read(8), "little")
        if size < 8 or header > min(size - 8, _MAX_HEADER_BYTES):
            raise TicketError(f"{where}: not a safetensors file: {size} bytes cannot hold a header of {header}")
        with safe_open(path, framework=framework) as tensors:
            yield tensors
    except (OSError, SafetensorError) as error:
        raise TicketError(f"{where}: cannot be read: {for_terminal(error)[:500]}") from None


def _read_bits(file: Any, key: str, count: int, where: str) -> Bits:
    part = file.get_slice(key)
    dtype, shape = part.get_dtype(), part.get_shape()
    if dtype != "U8" or shape != [bit.length(count)]:
        needed = f"the bits of {count} surviving weights need uint8 of shape ({bit.length(count)},)"
        raise TicketError(f"{where}: '{key}' is {dtype} of shape {_shown(shape)}, but {needed}")
    bits: Bits = file.get_tensor(key)
    if not bit.padding_is_zero(bits, count):
        raise TicketError(f"{where}: '{key}' has bits set beyond its {count} weights")
    return bits


def _check_names(found: set[str], expected: set[str], where: str) -> None:
    missing, unexpected = sorted(expected - found), sorted(found - expected)
    if missing:
        raise TicketError(f"{where}: has no tensor {_listed(missing)}")
    if unexpected:
        raise TicketError(f"{where}: has tensor {_listed(unexpected)}, which ticket.json does not declare")


def _check_encodings(metadata: dict[str, str], keys: set[str], where: str) -> None:
    encodings = parse_json(metadata.get("encoding", "null"), f"{where}: encoding")
    if not isinstance(encodings, dict) or encodings.keys() != keys:
        raise TicketError(f"{where}: does not state the encoding of each mask")
    for key, encoding in encodings.items():
        if encoding != SURVIVOR_BITS:
            shown = for_terminal(encoding)[:100]
            raise TicketError(f"{where}: '{key}' is encoded as '{shown}', which this ticketzoo cannot read: upgrade")


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(f"'{for_terminal(name)[:200]}'" for name in names[:5])
    return shown + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _shown(shape: Sequence[int]) -> str:
    return str(tuple(shape))
