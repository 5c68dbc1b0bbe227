"""The encoding `range`: masks near the entropy of their density, or below it where rows or columns differ.

The weights to code are cut into regions by classes of rows and columns; the bits of each region are then a string
whose number of ones stands in the header. `docs/format.md` says what is in every byte.
"""

from dataclasses import dataclass
from itertools import product
from math import prod

import numpy as np
from numpy.typing import NDArray

from ticketzoo.masks import bits as bit
from ticketzoo.masks import enumerative
from ticketzoo.masks.bit_stream import Reader, Writer
from ticketzoo.masks.bits import Bits
from ticketzoo.masks.entropy import cost
from ticketzoo.masks.regions import Axis, Classes, Matrix, Regions, by_rank, matrix, matrix_shape

WEIGHTS_PER_BYTE = 4096
"""A mask has at least a byte for so many weights, so that what a file declares is bounded by its size."""

WEIGHTS_PER_BYTE_OF_CLASSES = 512
"""With classes it has at least a byte for so many weights of the parameter: they take more memory to decode."""
SIDES_PER_BYTE = 64
"""Rows and columns, at most, for each byte of a code with classes: each has numbers of its own while it is decoded."""

SMALL = 4096
"""Masks of fewer weights have no classes: to state them costs more than they save."""

_MOST_CLASSES = 3  # as a power of two
_REGION = 24  # about the bits that another region takes in the header and as padding


@dataclass(frozen=True)
class Header:
    """The classes and counts that stand before the bits.

    Attributes:
        rows: there are 2^rows classes of rows.
        columns: there are 2^columns classes of columns.
        ranked: whether the classes follow from the level before; else they are stated.
        kept: the number of weights kept in each region.
    """

    rows: int
    columns: int
    ranked: bool
    kept: list[int]

    @property
    def classes(self) -> int:
        """The number of classes of rows and of columns, as a power of two."""
        return self.rows + self.columns

    def least_bytes(self, shape: tuple[int, ...], before: int) -> int:
        """Return the bytes of the shortest code, of so many weights to code: shorter ones are padded."""
        if not self.classes:
            return before // WEIGHTS_PER_BYTE
        return max(prod(shape) // WEIGHTS_PER_BYTE_OF_CLASSES, sum(matrix_shape(shape)) // SIDES_PER_BYTE)

    def to_bytes(self) -> bytes:
        """Return the byte of the classes, then each number, 7 bits a byte from the lowest on, the last below 128."""
        content = bytearray([self.rows | self.columns << 2 | self.ranked << 4])
        for number in self.kept:
            while number >= 128:
                content.append(number & 127 | 128)
                number >>= 7
            content.append(number)
        return bytes(content)

    @classmethod
    def read(cls, content: Bits) -> tuple["Header", int]:
        """Return a header and its number of bytes. Raises ValueError where there is none."""
        first = int(content[0]) if len(content) else 255
        if first >= 32:
            raise ValueError("no header of a range code")
        rows, columns = first & 3, first >> 2 & 3
        kept, at = [], 1
        for _ in range(1 << rows + columns):
            number, shift = 0, 0
            while True:
                if at == len(content) or shift > 35:
                    raise ValueError("a header of a range code that does not end")
                number |= (int(content[at]) & 127) << shift
                at, shift = at + 1, shift + 7
                if content[at - 1] < 128:
                    break
            kept.append(number)
        return cls(rows, columns, bool(first >> 4), kept), at


def encode(mask: Bits, shape: tuple[int, ...], outer: Bits | None) -> Bits | None:
    """Return the code of a mask that lies inside `outer`; None where plain bits need no more bytes."""
    before = prod(shape) if outer is None else bit.popcount(outer)
    to = Writer()
    header, regions = (Header(0, 0, False, []), None) if before < SMALL else _choose(mask, shape, outer, before)
    if regions is None:
        strings = [mask if outer is None else bit.extract(mask, outer)]
        totals = [before]
    else:
        if not header.ranked:
            _write_classes(header, regions, to)
        strings, totals = regions.cut(matrix(mask, shape)), regions.totals()
    header.kept[:] = [bit.popcount(one) for one in strings]
    enumerative.encode(strings, totals, to)
    content = np.concatenate([np.frombuffer(header.to_bytes(), np.uint8), to.content()])
    padding = np.zeros(max(0, header.least_bytes(shape, before) - len(content)), np.uint8)
    content = np.concatenate([content, padding])
    return content if len(content) < bit.length(before) else None


def decode(content: Bits, shape: tuple[int, ...], outer: Bits | None) -> Bits:
    """Return the mask. Raises ValueError, saying what the content has, for what `encode` never makes."""
    header, size = Header.read(content)
    source = Reader(content[size:])
    before = prod(shape) if outer is None else bit.popcount(outer)
    if header.classes:
        regions = _stated(header, shape, outer, source)
        totals = regions.totals()
    else:
        totals = [before]
    for kept, total in zip(header.kept, totals, strict=True):
        if kept > total:
            raise ValueError(f"a region that keeps {kept} of {total} weights")
    strings = enumerative.decode(source, totals, header.kept)
    source.end()
    needed = max(size + source.used(), header.least_bytes(shape, before))
    if len(content) != needed:
        raise ValueError(f"{len(content)} bytes, but needs {needed}")
    if header.classes:
        return bit.pack(regions.join(strings))
    return strings[0] if outer is None else bit.deposit(strings[0], outer)


def sizes(before: int) -> range:
    """Return the numbers of bytes that the code of so many weights can take."""
    return range(max(2, before // WEIGHTS_PER_BYTE), bit.length(before))


def check(content: Bits, shape: tuple[int, ...], before: int) -> None:
    """Raise ValueError, saying what it has, where the header says what cannot be of so many weights to code."""
    header, _ = Header.read(content)
    if (found := sum(header.kept)) > before:
        raise ValueError(f"{found} weights kept of {before}")
    if len(content) < (least := header.least_bytes(shape, before)):
        raise ValueError(f"{len(content)} bytes, but with classes of rows or columns needs {least}")


def kept(content: Bits) -> int:
    """Return the number of weights that the header states. Raises ValueError where there is no header."""
    return sum(Header.read(content)[0].kept)


def _stated(header: Header, shape: tuple[int, ...], outer: Bits | None, source: Reader) -> Regions:
    """Return the regions that a header states."""
    sizes, powers = matrix_shape(shape), (header.rows, header.columns)
    if header.ranked:
        return _ranked(shape, outer, powers)
    classes = []
    for size, power in zip(sizes, powers, strict=True):
        digits = source.bits(size * power).reshape(size, power)
        classes.append((digits << np.arange(power, dtype=np.uint8)).sum(axis=1, dtype=np.uint8))
    return _regions(classes, powers, None if outer is None else matrix(outer, shape))


def _write_classes(header: Header, regions: Regions, to: Writer) -> None:
    for axis, power in ((regions.rows, header.rows), (regions.columns, header.columns)):
        classes = np.empty(len(axis.order), np.uint8)
        classes[axis.order] = np.repeat(np.arange(1 << power, dtype=np.uint8), np.diff(axis.bounds))
        to.bits((classes[:, None] >> np.arange(power, dtype=np.uint8) & 1).reshape(-1))


def _choose(mask: Bits, shape: tuple[int, ...], outer: Bits | None, before: int) -> tuple[Header, Regions | None]:
    """Return the header, but for what is kept, and regions that promise the fewest bits; None for one region."""
    inside, around = matrix(mask, shape), None if outer is None else matrix(outer, shape)
    finest = tuple(_MOST_CLASSES if size >> _MOST_CLASSES else 0 for size in inside.shape)
    headers, counts, sides = [Header(0, 0, False, [])], [np.array([[inside.sum(), before]])], [0]
    for ranked in (False, True):
        regions = _ranked(shape, outer, finest) if ranked else _regions(_best(inside, around, finest), finest, around)
        kept = regions.counts(inside)
        totals = np.array(regions.totals()).reshape(kept.shape)
        for rows, columns in product(range(finest[0] + 1), range(finest[1] + 1)):
            halves = (finest[0] - rows, finest[1] - columns)
            headers.append(Header(rows, columns, ranked, []))
            counts.append(np.stack([_coarser(kept, halves).reshape(-1), _coarser(totals, halves).reshape(-1)], axis=1))
            sides.append(0 if ranked else rows * inside.shape[0] + columns * inside.shape[1])
    regions_each = np.array([len(one) for one in counts])
    each = cost(*np.concatenate(counts).T)
    bits = np.add.reduceat(each, np.cumsum(regions_each) - regions_each) + _REGION * regions_each + np.array(sides)
    bits = np.maximum(bits, [8 * header.least_bytes(shape, before) for header in headers])
    chosen = headers[int(np.argmin(bits))]
    powers = (chosen.rows, chosen.columns)
    if powers == (0, 0):
        return chosen, None
    if chosen.ranked:
        return chosen, _ranked(shape, outer, powers)
    return chosen, _regions(_best(inside, around, powers), powers, around)


def _coarser(counts: NDArray[np.int64], halves: tuple[int, int]) -> NDArray[np.int64]:
    rows, columns = counts.shape[0] >> halves[0], counts.shape[1] >> halves[1]
    summed: NDArray[np.int64] = counts.reshape(rows, 1 << halves[0], columns, 1 << halves[1]).sum(axis=(1, 3))
    return summed


def _best(inside: Matrix, outer: Matrix | None, powers: tuple[int, ...]) -> list[Classes]:
    """Return classes of rows and of columns by the density of the mask itself."""
    found = []
    for axis, power in enumerate(powers):
        kept = np.count_nonzero(inside, axis=1 - axis)
        totals = inside.shape[1 - axis] if outer is None else np.count_nonzero(outer, axis=1 - axis)
        found.append(by_rank((kept << 20) // np.maximum(totals, 1), 1 << power))
    return found


def _ranked(shape: tuple[int, ...], outer: Bits | None, powers: tuple[int, ...]) -> Regions:
    """Return regions by how many weights of rows and columns the level before keeps; as they come if it is none."""
    sizes, around = matrix_shape(shape), None if outer is None else matrix(outer, shape)
    kept = [np.zeros(size, np.int64) if around is None else np.count_nonzero(around, axis=1 - axis)
            for axis, size in enumerate(sizes)]  # fmt: skip
    return _regions([by_rank(one, 1 << power) for one, power in zip(kept, powers, strict=True)], powers, around)


def _regions(classes: list[Classes], powers: tuple[int, ...], outer: Matrix | None) -> Regions:
    rows, columns = (Axis.of(one, 1 << power) for one, power in zip(classes, powers, strict=True))
    return Regions(rows, columns, outer)
