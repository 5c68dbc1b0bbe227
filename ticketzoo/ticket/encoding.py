"""Encodings of a mask as bits: each mask tensor of a ticket states the name of its own."""

from collections.abc import Callable
from dataclasses import dataclass

from ticketzoo.errors import TicketError
from ticketzoo.masks import bits as bit
from ticketzoo.masks.bits import Bits
from ticketzoo.util.registry import Registry


@dataclass(frozen=True)
class Encoding:
    """A row of `ENCODINGS`.

    Attributes:
        name: as files state it.
        make: `make(mask, outer)` encodes the bits of a mask, one per weight, given those of the same parameter at the
            packaged level before; of the first level, None.
        relative: whether there is a bit for each weight that the level before keeps, instead of for each weight.
        first_format: the format that knows it.
    """

    name: str
    make: Callable[[Bits, Bits | None], Bits]
    relative: bool
    first_format: int


ENCODINGS: Registry[Encoding] = Registry("encoding", Encoding, error=TicketError)


@ENCODINGS.add("survivor-bits", relative=True, first_format=1)
def survivor_bits(mask: Bits, outer: Bits | None) -> Bits:
    """Return a bit for each weight that the level before keeps: all the bits of the first level."""
    return mask if outer is None else bit.extract(mask, outer)


@ENCODINGS.add("bits", relative=False, first_format=2)
def all_bits(mask: Bits, outer: Bits | None) -> Bits:
    """Return a bit for each weight, for a mask that keeps what the level before does not."""
    return mask


@dataclass(frozen=True)
class Encoded:
    """The mask of one parameter at one level, as a file holds it."""

    encoding: Encoding
    bits: Bits


def encode(mask: Bits, outer: Bits | None) -> Encoded:
    """Encode a mask as `survivor-bits`, or as `bits` where the level before keeps less than it does."""
    nested = outer is None or not (mask & ~outer).any()
    encoding = ENCODINGS["survivor-bits" if nested else "bits"]
    return Encoded(encoding, encoding.make(mask, outer))


def decode(encoded: Encoded, outer: Bits | None) -> Bits:
    """Return the bits of a mask, one per weight, given those of the level before."""
    relative = encoded.encoding.relative and outer is not None
    return bit.deposit(encoded.bits, outer) if relative else encoded.bits  # type: ignore[arg-type]
