"""A bit string that is written and read in pieces: single bits, and numbers of given widths, the lowest bit first."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ticketzoo.masks import bits as bit
from ticketzoo.masks.bits import Bits


class Writer:
    """Collects pieces of a bit string."""

    def __init__(self) -> None:
        self._pieces: list[NDArray[np.uint8]] = []

    def bits(self, values: NDArray[Any]) -> None:
        """Append a bit for each value, 0 or 1."""
        self._pieces.append(values.astype(np.uint8, copy=False))

    def numbers(self, values: NDArray[np.uint64], widths: NDArray[np.int64]) -> None:
        """Append numbers of `widths` bits, at most 64."""
        count = int(widths.sum())
        self._pieces.append(np.unpackbits(bit.join(values, widths), count=count, bitorder="little"))

    def content(self) -> Bits:
        """Return all of it, padded with zeros to whole bytes."""
        return np.packbits(np.concatenate([np.zeros(0, np.uint8), *self._pieces]), bitorder="little")


class Reader:
    """Gives the pieces of a bit string, one after the other. Each raises ValueError where bits are missing."""

    def __init__(self, content: Bits) -> None:
        self._content, self._at = content, 0
        self._bits = np.unpackbits(content, bitorder="little")

    def bits(self, count: int) -> NDArray[np.uint8]:
        """Return the next `count` bits."""
        start = self._move(count)
        return self._bits[start : self._at]

    def numbers(self, widths: NDArray[np.int64]) -> NDArray[np.uint64]:
        """Return the next numbers, of `widths` bits, at most 63."""
        start = self._move(int(widths.sum()))
        found = bit.windows(self._content, start + np.cumsum(widths) - widths)
        return found & ((np.uint64(1) << widths.astype(np.uint64)) - np.uint64(1))

    def left(self) -> int:
        """Return the number of bits that were not read."""
        return len(self._bits) - self._at

    def used(self) -> int:
        """Return the number of bytes that hold what was read."""
        return bit.length(self._at)

    def end(self) -> None:
        """Raise ValueError for bits set beyond what was read."""
        if self._bits[self._at :].any():
            raise ValueError("bits set beyond its end")

    def _move(self, count: int) -> int:
        start, self._at = self._at, self._at + count
        if self._at > len(self._bits):
            raise ValueError(f"only {len(self._bits)} bits, and needs more")
        return start
