"""Places and weights by level, where a ticket has many: one level decoded at a time, none kept."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from ticketzoo.models.state import State
from ticketzoo.ticket.levels import MaskBits, PackedLevels, Shapes, everything
from ticketzoo.ticket.rewind import PackedState

T = TypeVar("T")


class Places(NamedTuple):
    """The weights of which a file holds values: a bit for each, and words for what keeps them."""

    bits: MaskBits
    words: str


class ByLevel(Mapping[int | None, T]):
    """Something of each level, or under None of all; made when it is asked for."""

    @abstractmethod
    def walk(self) -> Iterator[tuple[int | None, T]]:
        """Yield what `items` does; faster than asking for one level after the other."""

    def __contains__(self, level: object) -> bool:
        return any(level == one for one in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


@dataclass(frozen=True, eq=False)
class Held(ByLevel[T]):
    """The part that is held whole: what all levels share, or nothing."""

    held: Mapping[int | None, T]

    def __getitem__(self, level: int | None) -> T:
        return self.held[level]

    def __iter__(self) -> Iterator[int | None]:
        return iter(self.held)

    def walk(self) -> Iterator[tuple[int | None, T]]:
        """Yield what is held."""
        yield from self.held.items()


@dataclass(frozen=True, eq=False)
class KeptPlaces(ByLevel[Places]):
    """The weights that the masks of some levels keep."""

    levels: PackedLevels
    packaged: Sequence[int]

    def __getitem__(self, level: int | None) -> Places:
        if level is None or level not in self.packaged:
            raise KeyError(level)
        return self._places(level, self.levels.bits(level))

    def __iter__(self) -> Iterator[int | None]:
        return iter(self.packaged)

    def walk(self) -> Iterator[tuple[int | None, Places]]:
        """Yield the levels and their places, in ascending order."""
        if len(self.packaged) < 2:
            yield from self.items()
            return
        for level, bits in self.levels.walk():
            if level in self.packaged:
                yield level, self._places(level, bits)

    def _places(self, level: int, bits: MaskBits) -> Places:
        return Places(bits, f"its mask at level {level} keeps")


@dataclass(frozen=True, eq=False)
class LevelStates(ByLevel[PackedState]):
    """Weights of several levels in memory: the known values, whose places are decoded when they are asked for."""

    shapes: Shapes
    places: ByLevel[Places]
    tensors: Mapping[int | None, State]

    def __getitem__(self, level: int | None) -> PackedState:
        return PackedState(self.shapes, self.places[level].bits, self.tensors[level])

    def __iter__(self) -> Iterator[int | None]:
        return iter(self.tensors)

    def walk(self) -> Iterator[tuple[int | None, PackedState]]:
        """Yield the levels and their weights."""
        for level, places in self.places.walk():
            yield level, PackedState(self.shapes, places.bits, self.tensors[level])


def places(levels: PackedLevels, masked: str, *, own: bool) -> ByLevel[Places]:
    """Return the places of which rewind weights are known, for all levels (None) or of levels with their `own`.

    Those that masks keep; all where what they exclude stays at its start value.
    """
    if masked == "frozen":
        whole = Places(everything(levels.shapes), "frozen weights are all known:")
        return Held(dict.fromkeys(levels, whole) if own else {None: whole})
    if own:
        return KeptPlaces(levels, list(levels))
    nested = all(levels.nested(level) for level in levels)
    words = f"its mask at level {levels.densest} keeps" if nested else "its masks together keep"
    return Held({None: Places(levels.union(), words)})
