"""safetensors files from a stranger: opened, and their names, shapes and dtypes checked before a tensor is read."""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ticketzoo.errors import TicketError
from ticketzoo.masks import bits as bit
from ticketzoo.masks.bits import Bits
from ticketzoo.util import lfs
from ticketzoo.util.text import for_terminal

_MAX_HEADER_BYTES = 100_000_000  # the safetensors library's own bound
_TENSOR_NAME = re.compile(r"[\w:-]+(\.[\w:-]+)*")
_LONGEST_NAME = 512
DTYPES = {
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
"""The dtypes that a ticket can hold, by their names in safetensors files."""


@contextmanager
def open_tensors(path: Path, where: str, framework: str) -> Iterator[Any]:
    """Open a safetensors file whose declared header fits into it.

    Raises:
        TicketError: the file cannot be read; the message names `where`.
    """
    try:
        size = path.stat().st_size
        if lfs.is_pointer(path):
            raise TicketError(f"{where}: is {lfs.REMEDY}")
        with path.open("rb") as file:
            header = int.from_bytes(file.read(8), "little")
        if size < 8 or header > min(size - 8, _MAX_HEADER_BYTES):
            raise TicketError(f"{where}: not a safetensors file: {size} bytes cannot hold a header of {header}")
        with safe_open(path, framework=framework) as tensors:
            yield tensors
    except (OSError, SafetensorError) as error:
        raise TicketError(f"{where}: cannot be read: {for_terminal(error)[:500]}") from None


def check_keys(found: set[str], expected: Iterable[str], where: str) -> None:
    """Raise TicketError, naming some, unless the file has the expected tensors and no others.

    `expected` may be far more than a file can hold: it is looked at no further than the first that are missing.
    """
    missing, known = [], set()
    for name in expected:
        known.add(name) if name in found else missing.append(name)
        if len(missing) > 5:
            break
    if missing:
        more = " and more" if len(missing) > 5 else ""
        raise TicketError(f"{where}: has no tensor {listed(missing[:5])}{more}")
    if unexpected := sorted(found - known):
        raise TicketError(f"{where}: has tensor {listed(unexpected)}, which ticket.json does not declare")


def read_bytes(file: Any, key: str, sizes: range, need: str, where: str) -> Bits:
    """Return a uint8 tensor of one dimension, from a file opened with numpy.

    Raises:
        TicketError: its number of bytes is none of `sizes`; `need` says, with a verb, what does.
    """
    part = file.get_slice(key)
    dtype, shape = part.get_dtype(), part.get_shape()
    if dtype != "U8" or len(shape) != 1 or shape[0] not in sizes:
        needed = str(sizes.start) if len(sizes) == 1 else f"{sizes.start} to {sizes[-1]}" if sizes else "none"
        raise TicketError(f"{where}: '{key}' is {dtype} of shape {tuple(shape)}, but {need} uint8 of shape ({needed},)")
    content: Bits = file.get_tensor(key)
    return content


def read_bits(file: Any, key: str, count: int, where: str) -> Bits:
    """Return `count` bits, from a file opened with numpy.

    Raises:
        TicketError: the tensor does not hold just as many.
    """
    size = bit.length(count)
    bits = read_bytes(file, key, range(size, size + 1), f"the bits of {count} weights need", where)
    if not bit.padding_is_zero(bits, count):
        raise TicketError(f"{where}: '{key}' has bits set beyond its {count} weights")
    return bits


def check_tensor_name(name: str, where: str) -> None:
    """Raise TicketError for what cannot be the name of a parameter or buffer."""
    if len(name) > _LONGEST_NAME or not _TENSOR_NAME.fullmatch(name):
        raise TicketError(f"{where}: '{for_terminal(name)[:200]}' is not the name of a parameter or buffer")


def dtype_of(file: Any, key: str, where: str) -> torch.dtype:
    """Return a tensor's dtype. Raises TicketError where a ticket cannot hold it."""
    dtype = file.get_slice(key).get_dtype()
    if dtype not in DTYPES:
        raise TicketError(f"{where}: '{key}' has dtype {dtype}, which a ticket cannot hold")
    return DTYPES[dtype]


def read_values(file: Any, key: str, count: int, why: str, where: str) -> Tensor:
    """Return a tensor of shape (count,). Raises TicketError where it has another; `why` says what it is to hold."""
    shape = file.get_slice(key).get_shape()
    if shape != [count]:
        fit = f"{why}, so it should have shape ({count},)"
        raise TicketError(f"{where}: '{key}' has shape {tuple(shape)}, but {fit}")
    tensor: Tensor = file.get_tensor(key)
    return tensor


def listed(names: Sequence[str]) -> str:
    """Return the first five names, quoted, and the number of the others."""
    shown = ", ".join(f"'{for_terminal(name)[:200]}'" for name in names[:5])
    return shown + (f" and {len(names) - 5} more" if len(names) > 5 else "")
