"""Files of `torch.save`, read without unpickling anything but tensors, numbers and texts."""

import pickle
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ticketzoo.bridges.pth_records import check_records, check_stream
from ticketzoo.errors import TicketError
from ticketzoo.util.text import for_terminal

MAX_BYTES = 200 * 2**30
_EXPANSION = 4
"""Tensors may share memory in the file: as many times its bytes may they take in all."""
_ARCHIVE = b"PK\x03\x04"
"""First bytes of a file that `torch.load` takes for a zip archive."""
_DEPTH, _ENTRIES = 32, 1_000_000
"""Dicts inside one another, and entries of them all: one dict may stand in many places, itself included."""


def read_pth(path: Path, where: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors in a file by name, those of dicts inside under `outer/inner`, and its numbers and texts.

    Raises:
        TicketError: it needs pickle, is no such file, or holds more than its bytes can be.
    """
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise TicketError(f"{where}: {size} bytes, more than the {MAX_BYTES} that are read of a .pth")
    _check_sizes(path, where)
    allowed = [np.ndarray, np.dtype, type(np.dtype(np.uint8)), type(np.dtype(np.bool_)), *_rebuilds()]
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(allowed):
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        asked = re.search(r"GLOBAL ([\w.]+)", str(error))
        named = f" (it asks for {asked[1][:200]})" if asked else ""
        remedy = "save its state_dict as safetensors on a machine that trusts it"
        raise TicketError(f"{where}: needs pickle, which runs code, and is not read{named}: {remedy}") from None
    except (RuntimeError, EOFError, OSError, ValueError, LookupError, TypeError, MemoryError,
            AttributeError, AssertionError) as error:  # fmt: skip
        raise TicketError(f"{where}: cannot be read as a .pth: {for_terminal(error)[:300]}") from None
    tensors: dict[str, Tensor] = {}
    facts: dict[str, Any] = {}
    for name, value in _flat(content, where):
        if isinstance(value, Tensor):
            tensors[name] = value.detach()
        elif isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
            tensors[name] = _of_array(value, f"{where}: '{for_terminal(name)[:200]}'")
        elif isinstance(value, str | int | float | bool):
            facts[name] = value
    if (held := sum(one.numel() * one.element_size() for one in tensors.values())) > _EXPANSION * size + 2**20:
        raise TicketError(f"{where}: its tensors would take {held} bytes, and the file has {size}")
    return tensors, facts


def _check_sizes(path: Path, where: str) -> None:
    """Hold what a file of `torch.save` says of its sizes against the bytes that it has.

    Raises:
        TicketError: it would unpack to more, its tensors claim more than their records hold, or it begins as an
            archive does, and is none.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        is_archive = file.read(len(_ARCHIVE)) == _ARCHIVE
    if not is_archive:
        check_stream(path, where)
        return
    try:
        with zipfile.ZipFile(path) as archive:
            if (unpacked := sum(one.file_size for one in archive.infolist())) > _EXPANSION * size + 2**20:
                raise TicketError(f"{where}: would unpack to {unpacked} bytes, and the file has {size}")
            check_records(archive, where)
    except (zipfile.BadZipFile, OSError, ValueError, RuntimeError) as error:  # of them NotImplementedError
        raise TicketError(f"{path}: cannot be read as a .pth: {for_terminal(error)[:300]}: save it again") from None


def _of_array(array: NDArray[Any], what: str) -> Tensor:
    try:
        return torch.from_numpy(array)
    except (TypeError, ValueError):
        raise TicketError(f"{what} is an array of {array.dtype}, which no tensor has: save it as a tensor") from None


def _rebuilds() -> list[Any]:
    """Return the functions that make arrays of numpy, which hold no code, from a pickle."""
    module = "numpy._core.multiarray" if np.__version__ >= "2" else "numpy.core.multiarray"
    rebuild: Any = import_module(module)._reconstruct
    return [(rebuild, f"{place}.multiarray._reconstruct") for place in ("numpy._core", "numpy.core")]


def _flat(content: object, where: str) -> Iterator[tuple[str, object]]:
    """Yield what is in dicts and dicts inside them, by path. Raises TicketError for endless ones."""
    waiting, seen = [("", content, 0)], 0
    while waiting:
        prefix, value, depth = waiting.pop()
        if not isinstance(value, Mapping):
            if prefix:
                yield prefix, value
            continue
        seen += len(value)
        if depth > _DEPTH or seen > _ENTRIES:
            raise TicketError(f"{where}: its dicts are too deep or too many to be a checkpoint: save its state_dict")
        inside = [(f"{prefix}/{key}" if prefix else str(key), one, depth + 1) for key, one in value.items()]
        waiting += reversed(inside)
