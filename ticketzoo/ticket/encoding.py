"""Encodings of a mask as bytes: each mask tensor of a ticket states the name of its own.

A row of `ENCODINGS` says all that there is to say of one. A writer takes the row that needs the fewest bytes, of equal
ones the first; a reader takes the row that the file names.
"""

from dataclasses import dataclass
from math import prod
from typing import Protocol

from ticketzoo.errors import TicketError
from ticketzoo.masks import bits as bit
from ticketzoo.masks.bits import Bits
from ticketzoo.util.registry import Registry

Shape = tuple[int, ...]


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
        """Return the mask, for content that `check` let through."""

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
    """

    name: str
    make: Codec
    first_format: int
    relative: bool = False


ENCODINGS: Registry[Encoding] = Registry("encoding", Encoding, error=TicketError)


@ENCODINGS.add("survivor-bits", first_format=1, relative=True)
class SurvivorBits:
    """A bit for each weight that the level before keeps; at the first level for each weight."""

    @staticmethod
    def encode(mask: Bits, shape: Shape, outer: Bits | None) -> Bits | None:
        """Return the bits of the survivors; None where the mask keeps what the level before does not."""
        if outer is None:
            return mask
        return None if (mask & ~outer).any() else bit.extract(mask, outer)

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


def exactly(size: int) -> range:
    """Return a range of one size."""
    return range(size, size + 1)


def check_padding(content: Bits, count: int) -> None:
    """Raise ValueError where anything is set beyond the first `count` bits."""
    if not bit.padding_is_zero(content, count):
        raise ValueError(f"bits set beyond its {count} weights")


@dataclass(frozen=True)
class Encoded:
    """The mask of one parameter at one level, as a file holds it."""

    encoding: Encoding
    content: Bits
    shape: Shape

    def decode(self, outer: Bits | None) -> Bits:
        """Return the mask, a bit per weight, given that of the level before."""
        return self.encoding.make.decode(self.content, self.shape, outer)

    def kept(self) -> int:
        """Return the number of weights that the mask keeps."""
        return self.encoding.make.kept(self.content, self.shape)


def encode(mask: Bits, shape: Shape, outer: Bits | None) -> Encoded:
    """Encode a mask by the row that needs the fewest bytes; of equal ones by the first."""
    made = [Encoded(row, content, shape) for row in ENCODINGS.values()
            if (content := row.make.encode(mask, shape, outer)) is not None]  # fmt: skip
    return min(made, key=lambda one: len(one.content))
