"""Encodings of a mask as bytes: each mask tensor of a ticket states the name of its own.

A row of `ENCODINGS` says all that there is to say of one. A writer takes the row that needs the fewest bytes, of equal
ones the first, among those that need not be asked for and those that it is asked for; a reader takes the row that the
file names.
"""

from dataclasses import dataclass
from math import prod
from typing import Protocol

from ticketzoo.errors import TicketError
from ticketzoo.masks import bits as bit
from ticketzoo.masks.bits import Bits
from ticketzoo.ticket import range_code
from ticketzoo.util.registry import Registry
from ticketzoo.util.text import for_terminal

Shape = tuple[int, ...]

PLAIN = "bits"
"""The name by which a writer asks for no encodings beside those that every writer considers."""


class Codec(Protocol):
    """The way of one parameter's mask into bytes and back.

    `mask` and `outer` have a bit for each weight, in C order; `outer` is the mask of the packaged level
    before, None at the first level, and `before` the number of weights that it keeps, there all of them.
    """

    @staticmethod
    def encode(mask: Bits, shape: Shape, outer: Bits | None) -> Bits | None:
        """Return the bytes of a mask; None for a mask that this encoding cannot hold."""

    @staticmethod
    def decode(content: Bits, shape: Shape, outer: Bits | None) -> Bits:
        """Return the mask, for content that `check` let through; raise ValueError where only this finds a fault."""

    @staticmethod
    def sizes(shape: Shape, before: int) -> range:
        """Return the numbers of bytes that a mask of this shape can take: a file is held to them before it is read."""

    @staticmethod
    def check(content: Bits, shape: Shape, before: int) -> None:
        """Raise ValueError, saying what it has, for content of a right size that `encode` never makes."""

    @staticmethod
    def kept(content: Bits, shape: Shape) -> int:
        """Return the number of weights that the mask keeps, without decoding it."""


@dataclass(frozen=True)
class Encoding:
    """A row of `ENCODINGS`.

    Attributes:
        name: as files state it.
        make: its five functions.
        first_format: the format that knows it: a ticket that needs it says at least this number.
        relative: whether it is decoded from the level before, inside which all its masks lie.
        asked: the name by which a writer asks for it; empty for an encoding that every writer considers.
    """

    name: str
    make: Codec
    first_format: int
    relative: bool = False
    asked: str = ""


ENCODINGS: Registry[Encoding] = Registry("encoding", Encoding, error=TicketError)


@ENCODINGS.add("survivor-bits", first_format=1, relative=True)
class SurvivorBits:
    """A bit for each weight that the level before keeps; at the first level for each weight."""

    @staticmethod
    def encode(mask: Bits, shape: Shape, outer: Bits | None) -> Bits | None:
        """Return the bits of the survivors; None where the mask keeps what the level before does not."""
        if outer is None:
            return mask
        return bit.extract(mask, outer) if _inside(mask, outer) else None

    @staticmethod
    def decode(content: Bits, shape: Shape, outer: Bits | None) -> Bits:
        """Return the bits in the places of the survivors."""
        return content if outer is None else bit.deposit(content, outer)

    @staticmethod
    def sizes(shape: Shape, before: int) -> range:
        """Return the number of bytes for a bit a survivor."""
        return exactly(bit.length(before))

    @staticmethod
    def check(content: Bits, shape: Shape, before: int) -> None:
        """Raise ValueError for padding that is not zero."""
        check_padding(content, before)

    @staticmethod
    def kept(content: Bits, shape: Shape) -> int:
        """Return the number of set bits."""
        return bit.popcount(content)


@ENCODINGS.add("bits", first_format=2)
class AllBits:
    """A bit for each weight, for any mask."""

    @staticmethod
    def encode(mask: Bits, shape: Shape, outer: Bits | None) -> Bits | None:
        """Return the mask as it is."""
        return mask

    @staticmethod
    def decode(content: Bits, shape: Shape, outer: Bits | None) -> Bits:
        """Return the content as it is."""
        return content

    @staticmethod
    def sizes(shape: Shape, before: int) -> range:
        """Return the number of bytes for a bit a weight."""
        return exactly(bit.length(prod(shape)))

    @staticmethod
    def check(content: Bits, shape: Shape, before: int) -> None:
        """Raise ValueError for padding that is not zero."""
        check_padding(content, prod(shape))

    @staticmethod
    def kept(content: Bits, shape: Shape) -> int:
        """Return the number of set bits."""
        return bit.popcount(content)


@dataclass(frozen=True)
class RangeCode:
    """Bits near the entropy of their density, see `ticketzoo.ticket.range_code`.

    They are those of the survivors, or of all weights where the mask keeps what the level before does not.
    """

    survivors: bool

    def encode(self, mask: Bits, shape: Shape, outer: Bits | None) -> Bits | None:
        """Return the code; None where it is no shorter than bits, or the other of the two holds the mask."""
        if _inside(mask, outer) != self.survivors:
            return None
        return range_code.encode(mask, shape, outer if self.survivors else None)

    def decode(self, content: Bits, shape: Shape, outer: Bits | None) -> Bits:
        """Return the mask. Raises ValueError for content that `encode` never makes."""
        return range_code.decode(content, shape, outer if self.survivors else None)

    def sizes(self, shape: Shape, before: int) -> range:
        """Return less than a bit a weight to code, and what bounds the weights by the bytes."""
        return range_code.sizes(self._coded(shape, before))

    def check(self, content: Bits, shape: Shape, before: int) -> None:
        """Raise ValueError for a header that says what cannot be; what follows it is checked when it is decoded."""
        range_code.check(content, shape, self._coded(shape, before))

    def kept(self, content: Bits, shape: Shape) -> int:
        """Return the number of weights that the header states."""
        return range_code.kept(content)

    def _coded(self, shape: Shape, before: int) -> int:
        return before if self.survivors else prod(shape)


ENCODINGS.add("survivor-range", first_format=2, relative=True, asked="range")(RangeCode(survivors=True))
ENCODINGS.add("range", first_format=2, asked="range")(RangeCode(survivors=False))


def _inside(mask: Bits, outer: Bits | None) -> bool:
    return outer is None or not (mask & ~outer).any()


def exactly(size: int) -> range:
    """Return a range of one size."""
    return range(size, size + 1)


def check_padding(content: Bits, count: int) -> None:
    """Raise ValueError where anything is set beyond the first `count` bits."""
    if not bit.padding_is_zero(content, count):
        raise ValueError(f"bits set beyond its {count} weights")


@dataclass(frozen=True)
class Encoded:
    """The mask of one parameter at one level, as a file holds it; `where` says of which file, in messages."""

    encoding: Encoding
    content: Bits
    shape: Shape
    where: str = ""

    def decode(self, outer: Bits | None) -> Bits:
        """Return the mask, a bit per weight, given that of the level before.

        Raises:
            TicketError: the content is damaged in a way that its `check` could not see.
        """
        try:
            return self.encoding.make.decode(self.content, self.shape, outer)
        except ValueError as error:
            raise TicketError(f"{self.where} has {error}") from None

    def kept(self) -> int:
        """Return the number of weights that the mask keeps."""
        return self.encoding.make.kept(self.content, self.shape)


def encode(mask: Bits, shape: Shape, outer: Bits | None, asked: str = "") -> Encoded:
    """Encode a mask by the row that needs the fewest bytes, of those to consider; of equal ones by the first."""
    made = [Encoded(row, content, shape) for row in ENCODINGS.values() if row.asked in ("", asked)
            if (content := row.make.encode(mask, shape, outer)) is not None]  # fmt: skip
    return min(made, key=lambda one: len(one.content))


def check_asked(name: str) -> str:
    """Return the name of what a writer can be asked for: `bits`, or that of encodings beside it.

    Raises:
        TicketError: there is none of that name.
    """
    known = sorted({row.asked for row in ENCODINGS.values()} - {""})
    if name != PLAIN and name not in known:
        names = " or ".join([PLAIN, *known])
        raise TicketError(f"masks cannot be encoded as {for_terminal(name)[:100]!r}: choose {names}")
    return name
