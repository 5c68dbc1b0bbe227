"""Regions of a mask: rows and columns in classes, and the weights that lie in a class of rows and one of columns.

A mask is seen as a matrix: its first dimension are the rows, all others together the columns.
"""

from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from ticketzoo.masks import bits as bit
from ticketzoo.masks.bits import Bits

Classes = NDArray[np.uint8]
Matrix = NDArray[np.bool_]


def matrix_shape(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return the numbers of rows and columns."""
    return (shape[0], prod(shape[1:])) if shape else (1, 1)


def matrix(bits: Bits, shape: tuple[int, ...]) -> Matrix:
    """Return a mask given a bit per weight as a matrix."""
    return bit.unpack(bits, prod(shape)).reshape(matrix_shape(shape))


def by_rank(densities: NDArray[np.int64], classes: int) -> Classes:
    """Return the class of each row by its rank, from the lowest density; of equal ones the first is lower."""
    order = np.argsort(densities, kind="stable")
    found = np.empty(len(order), np.uint8)
    found[order] = np.arange(len(order)) * classes // max(1, len(order))
    return found


@dataclass(frozen=True, eq=False)
class Axis:
    """The rows, or the columns, in the order of their classes.

    Attributes:
        order: their numbers, by class, then as they come.
        bounds: where each class begins in it, and its end.
    """

    order: NDArray[np.int64]
    bounds: NDArray[np.int64]

    @classmethod
    def of(cls, classes: Classes, count: int) -> "Axis":
        """Return the axis of rows or columns in `count` classes."""
        sizes = np.bincount(classes, minlength=count)
        return cls(np.argsort(classes, kind="stable"), np.concatenate([[0], np.cumsum(sizes)]))

    def parts(self) -> list[slice]:
        """Return where each class lies."""
        return [slice(start, end) for start, end in zip(self.bounds, self.bounds[1:], strict=False)]


@dataclass(frozen=True, eq=False)
class Regions:
    """All regions of a mask, by class of rows, then of columns; of `outer`, if given, only the weights it keeps."""

    rows: Axis
    columns: Axis
    outer: Matrix | None

    def totals(self) -> list[int]:
        """Return the number of weights in each region."""
        if self.outer is None:
            totals = np.outer(np.diff(self.rows.bounds), np.diff(self.columns.bounds))
        else:
            totals = self.counts(self.outer)
        return [int(one) for one in totals.flat]

    def counts(self, matrix: Matrix) -> NDArray[np.int64]:
        """Return how many weights a matrix keeps in each region, shape (classes of rows, of columns)."""
        sums = np.zeros((len(self.rows.bounds) - 1, len(self.columns.order)), np.int64)
        for place, part in enumerate(self.rows.parts()):
            sums[place] = np.count_nonzero(matrix[self.rows.order[part]], axis=0)
        sums = sums[:, self.columns.order]
        return np.stack([sums[:, part].sum(axis=1) for part in self.columns.parts()], axis=1)

    def cut(self, matrix: Matrix) -> list[Bits]:
        """Return the bits of each region, its weights in C order."""
        values, totals = bit.pack(self._flat(matrix)), self.totals()
        if self.outer is not None:
            values = bit.extract(values, bit.pack(self._flat(self.outer)))
        ends = np.cumsum(totals)
        return [bit.pack(one) for one in np.split(bit.unpack(values, ends[-1]), ends[:-1])]

    def join(self, strings: list[Bits]) -> Matrix:
        """Return the matrix of these regions: undoes `cut`."""
        parts = [bit.unpack(string, total) for string, total in zip(strings, self.totals(), strict=True)]
        values = np.concatenate(parts)
        if self.outer is not None:
            flat = self._flat(self.outer)
            values = bit.unpack(bit.deposit(bit.pack(values), bit.pack(flat)), len(flat))
        found, at = np.empty((len(self.rows.order), len(self.columns.order)), np.bool_), 0
        for part in self._parts():
            place = found[part]
            place[...] = values[at : at + place.size].reshape(place.shape)
            at += place.size
        rows, columns = (np.argsort(axis.order) for axis in (self.rows, self.columns))
        return found.take(rows, axis=0).take(columns, axis=1)

    def _flat(self, matrix: Matrix) -> NDArray[np.bool_]:
        """Return all weights, region after region."""
        ordered = matrix.take(self.rows.order, axis=0).take(self.columns.order, axis=1)
        return np.concatenate([ordered[part].reshape(-1) for part in self._parts()])

    def _parts(self) -> list[tuple[slice, slice]]:
        return [(rows, columns) for rows in self.rows.parts() for columns in self.columns.parts()]
