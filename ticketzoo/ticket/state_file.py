"""rewind.safetensors and values.safetensors: weights of one replicate, in one of two forms.

Packed: of each masked parameter the known values, 1-D, in C order; other tensors whole. Signed: of each masked
parameter `scale/<name>`, a float32 of shape (1,), and `sign/<name>`, a bit per known value, 1 for +; others whole.
Where levels have weights of their own, all names begin with `level-<n>/`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from ticketzoo.errors import TicketError
from ticketzoo.masks import bits as bit
from ticketzoo.models.state import State
from ticketzoo.ticket.by_level import ByLevel, Places
from ticketzoo.ticket.levels import Shapes
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
    scale = values[:1].abs() if values.numel() else torch.ones(1, device="cpu")
    if not are_signed(values):
        raise TicketError(f"rewind weight '{name}' is not one float32 magnitude with signs: package it as 'packed'")
    return {f"scale/{name}": scale, f"sign/{name}": torch.from_numpy(bit.pack((values > 0).numpy()))}


def are_signed(values: Tensor) -> bool:
    """Tell whether values are one float32 magnitude with signs; a 0 has none."""
    return values.dtype is torch.float32 and bool(((values.abs() == values[:1].abs()) & (values != 0)).all())


def states_to_bytes(states: ByLevel[PackedState], form: str) -> bytes:
    """Return the content of a file with the weights of each level, or of all (None); equal weights give equal bytes."""
    tensors: State = {}
    for level, state in states.walk():
        for name, tensor in state.tensors.items():
            held = FORMS[form].make(name, tensor) if name in state.shapes else {name: tensor}
            tensors |= {_prefix(level) + key: one for key, one in held.items()}
    return safetensors.torch.save(tensors)


@dataclass(frozen=True, eq=False)
class StateFile(ByLevel[PackedState]):
    """A file with the weights of each level, or of all (None), read a level at a time.

    Reading raises TicketError where something does not fit; the message names `where` and the tensor.

    Attributes:
        path: of the file.
        where: its name in messages.
        shapes: of the masked parameters.
        known: the places of which the file holds values.
        form: one of `FORMS`.
    """

    path: Path
    where: str
    shapes: Shapes
    known: ByLevel[Places]
    form: str

    def __getitem__(self, level: int | None) -> PackedState:
        with open_tensors(self.path, self.where, "pt") as file:
            whole = self._check_names(file)
            return self._read(file, level, self.known[level], whole[level])

    def __iter__(self) -> Iterator[int | None]:
        return iter(self.known)

    def walk(self) -> Iterator[tuple[int | None, PackedState]]:
        """Yield the levels and their weights; all names are checked before the first."""
        with open_tensors(self.path, self.where, "pt") as file:
            whole = self._check_names(file)
            for level, places in self.known.walk():
                yield level, self._read(file, level, places, whole[level])

    def _check_names(self, file: Any) -> dict[int | None, dict[str, str]]:
        """Return, by level, the names of tensors without a mask by their names in the file."""
        form, keys, where = FORMS[self.form], set(file.keys()), self.where
        masked = {level: [_prefix(level) + key for name in self.shapes for key in form.keys(name)] for level in self}
        of_masks = {key for names in masked.values() for key in names}
        check_keys(keys & of_masks, (key for names in masked.values() for key in names), where)
        whole = {level: _whole(keys - of_masks, _prefix(level), self.shapes) for level in self}
        check_keys(keys, of_masks | {key for names in whole.values() for key in names}, where)
        for names in whole.values():
            for key, name in names.items():
                check_tensor_name(name, where)
                check_dtype(key, dtype_of(file, key, where), False, where)
        return whole

    def _read(self, file: Any, level: int | None, places: Places, whole: Mapping[str, str]) -> PackedState:
        tensors = {name: file.get_tensor(key) for key, name in whole.items()}
        for name in self.shapes:
            count = bit.popcount(places.bits[name])
            why = f"{places.words} {count} weights"
            tensors[name] = FORMS[self.form].read(file, _prefix(level), name, count, why, self.where)
        ordered = {name: tensors[name] for name in sorted(tensors)}
        check_values(ordered, self.shapes, self.where)
        return PackedState(self.shapes, places.bits, ordered)


@dataclass(frozen=True, eq=False)
class CheckedLevels(ByLevel[PackedState]):
    """Weights of levels in a file whose digests are known: read again when asked for, the latest kept."""

    file: StateFile
    digests: Mapping[int | None, str]

    def __getitem__(self, level: int | None) -> PackedState:
        return self._latest(level)

    def __iter__(self) -> Iterator[int | None]:
        return iter(self.digests)

    def walk(self) -> Iterator[tuple[int | None, PackedState]]:
        """Yield the levels and their weights, read and checked again."""
        for level, state in self.file.walk():
            yield level, self._checked(level, state)

    @cached_property
    def _latest(self) -> Callable[[int | None], PackedState]:
        return lru_cache(1)(lambda level: self._checked(level, self.file[level]))

    def _checked(self, level: int | None, state: PackedState) -> PackedState:
        if state.sha256() != self.digests[level]:
            raise TicketError(f"{self.file.where}: has changed since it was first read: load the ticket again")
        return state


def _prefix(level: int | None) -> str:
    return "" if level is None else f"level-{level}/"


def _whole(keys: set[str], prefix: str, shapes: Shapes) -> dict[str, str]:
    """Return the names of tensors without a mask by their names in the file."""
    named = {key: key.removeprefix(prefix) for key in sorted(keys) if key.startswith(prefix)}
    return {key: name for key, name in named.items() if name not in shapes}
