"""rewind.safetensors and values.safetensors: weights of one replicate, in one of two forms.

Packed: of each masked parameter the known values, 1-D, in C order; other tensors whole. Signed: of each masked
parameter `scale/<name>`, a float32 of shape (1,), and `sign/<name>`, a bit per known value, 1 for +; others whole.
Where levels have weights of their own, all names begin with `level-<n>/`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import safetensors.torch
import torch
from torch import Tensor

from ticketzoo.errors import TicketError
from ticketzoo.masks import bits as bit
from ticketzoo.models.state import State
from ticketzoo.ticket.levels import MaskBits, Shapes
from ticketzoo.ticket.rewind import PackedState, check_dtype, check_values
from ticketzoo.ticket.tensor_file import check_keys, check_tensor_name, dtype_of, open_tensors, read_bits, read_values
from ticketzoo.util.registry import Registry


@dataclass(frozen=True)
class Form:
    """A row of `FORMS`.

    Attributes:
        name: the `rewind.kind` of tickets that hold their rewind weights so.
        make: `make(name, values)` gives the tensors in the file of a masked parameter's known values, by name.
        keys: gives the names of these tensors.
        read: `read(file, prefix, name, count, why, where)` gives the `count` values again, checked.
    """

    name: str
    make: Callable[[str, Tensor], State]
    keys: Callable[[str], list[str]]
    read: Callable[[Any, str, str, int, str, str], Tensor]


class Places(NamedTuple):
    """The weights of which a file holds values: a bit for each, and words for what keeps them."""

    bits: MaskBits
    words: str


FORMS: Registry[Form] = Registry("form of weights", Form, error=TicketError)


def _read_packed(file: Any, prefix: str, name: str, count: int, why: str, where: str) -> Tensor:
    key = prefix + name
    check_dtype(key, dtype_of(file, key, where), True, where)
    return read_values(file, key, count, why, where)


def _read_signed(file: Any, prefix: str, name: str, count: int, why: str, where: str) -> Tensor:
    key = f"{prefix}scale/{name}"
    if dtype_of(file, key, where) is not torch.float32:
        raise TicketError(f"{where}: '{key}' must be float32")
    scale = read_values(file, key, 1, "it holds one magnitude", where)
    if not (torch.isfinite(scale) & (scale > 0)).all():
        raise TicketError(f"{where}: '{key}' must be a positive number")
    signs = read_bits(_AsArrays(file), f"{prefix}sign/{name}", count, where)
    return torch.where(torch.from_numpy(bit.unpack(signs, count)), scale, -scale)


@dataclass(frozen=True)
class _AsArrays:
    """A file opened with torch, for readers of numpy arrays."""

    file: Any

    def get_slice(self, key: str) -> Any:
        return self.file.get_slice(key)

    def get_tensor(self, key: str) -> Any:
        return self.file.get_tensor(key).numpy()


@FORMS.add("packed", keys=lambda name: [name], read=_read_packed)
def packed(name: str, values: Tensor) -> State:
    """Return the values."""
    return {name: values}


@FORMS.add("signed", keys=lambda name: [f"scale/{name}", f"sign/{name}"], read=_read_signed)
def signed(name: str, values: Tensor) -> State:
    """Return one magnitude and a sign per value. Raises TicketError where the magnitudes differ."""
    scale = values[:1].abs() if values.numel() else torch.ones(1)
    if values.dtype is not torch.float32 or not ((values.abs() == scale) & (values != 0)).all():
        raise TicketError(f"rewind weight '{name}' is not one float32 magnitude with signs: package it as 'packed'")
    return {f"scale/{name}": scale, f"sign/{name}": torch.from_numpy(bit.pack((values > 0).numpy()))}


def states_to_bytes(states: Mapping[int | None, PackedState], form: str) -> bytes:
    """Return the content of a file with the weights of each level, or of all (None); equal weights give equal bytes."""
    tensors: State = {}
    for level, state in states.items():
        for name, tensor in state.tensors.items():
            held = FORMS[form].make(name, tensor) if name in state.shapes else {name: tensor}
            tensors |= {_prefix(level) + key: one for key, one in held.items()}
    return safetensors.torch.save(tensors)


def read_states(
    path: Path, where: str, shapes: Shapes, known: Mapping[int | None, Places], form: str
) -> dict[int | None, PackedState]:
    """Read a file with the weights of each level, or of all (None).

    Args:
        path: of the file.
        where: its name in messages.
        shapes: of the masked parameters.
        known: the places of which the file holds values.
        form: one of `FORMS`.

    Raises:
        TicketError: something does not fit; the message names `where` and the tensor.
    """
    read, states = FORMS[form], {}
    with open_tensors(path, where, "pt") as file:
        keys = set(file.keys())
        masked = {level: [_prefix(level) + key for name in shapes for key in read.keys(name)] for level in known}
        of_masks = {key for names in masked.values() for key in names}
        check_keys(keys & of_masks, (key for names in masked.values() for key in names), where)
        whole = {level: _whole(keys - of_masks, _prefix(level), shapes) for level in known}
        check_keys(keys, of_masks | {key for names in whole.values() for key in names}, where)
        for names in whole.values():
            for key, name in names.items():
                check_tensor_name(name, where)
                check_dtype(key, dtype_of(file, key, where), False, where)
        for level, (bits, words) in known.items():
            tensors = {name: file.get_tensor(key) for key, name in whole[level].items()}
            for name in shapes:
                count = bit.popcount(bits[name])
                why = f"{words} {count} weights"
                tensors[name] = read.read(file, _prefix(level), name, count, why, where)
            ordered = {name: tensors[name] for name in sorted(tensors)}
            check_values(ordered, shapes, where)
            states[level] = PackedState(shapes, bits, ordered)
    return states


def _prefix(level: int | None) -> str:
    return "" if level is None else f"level-{level}/"


def _whole(keys: set[str], prefix: str, shapes: Shapes) -> dict[str, str]:
    """Return the names of tensors without a mask by their names in the file."""
    named = {key: key.removeprefix(prefix) for key in sorted(keys) if key.startswith(prefix)}
    return {key: name for key, name in named.items() if name not in shapes}
