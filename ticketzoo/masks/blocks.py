"""Blocks of a bit string: how many ones a block has, and which of all blocks with as many it is.

A block of n bits with k ones is one of C(n, k): its rank is the sum of C(i, j) over its ones, where i is the place of
the j-th one, counted from 0 and 1 (the combinatorial number system). Numbers are exact and fit 64 bits.
"""

from functools import cache
from math import comb
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

SHORTEST, LONGEST = 64, 16384
_AT_ONCE = 8192

Words: TypeAlias = NDArray[np.uint64]
Numbers: TypeAlias = NDArray[np.int64]


@cache
def most(size: int) -> int:
    """Return how many ones a block of `size` bits can have to be coded: as many as have a rank below 2^63."""
    return next(k for k in range(size + 1) if k == size or comb(size, k + 1) >= 2**63)


@cache
def binomials(size: int) -> Words:
    """Return C(i, k) for i to `size` and k to `most(size)`, shape (size + 1, most(size) + 1)."""
    table = np.zeros((size + 1, most(size) + 1), np.uint64)
    table[:, 0] = 1
    for k in range(1, most(size) + 1):
        table[1:, k] = np.cumsum(table[:-1, k - 1])
    return table


@cache
def widths(size: int) -> tuple[Numbers, Words]:
    """Return, by the number of ones, the bits b of the short codes of ranks, and how many ranks u have one.

    With N ranks, 2^b <= N < 2^(b + 1) and u = 2^(b + 1) - N.
    """
    counts = [comb(size, k) for k in range(most(size) + 1)]
    bits = [count.bit_length() - 1 for count in counts]
    short = [2 ** (b + 1) - count for b, count in zip(bits, counts, strict=True)]
    return np.array(bits, np.int64), np.array(short, np.uint64)


def ranks(words: Words, size: int, ones: Numbers) -> Words:
    """Return the ranks of blocks of `size` bits, given as words, shape (blocks, size / 64), with `ones` ones each."""
    table = binomials(size)
    if size > SHORTEST:
        places = np.flatnonzero(np.unpackbits(words.view(np.uint8), bitorder="little"))
        first = np.cumsum(ones) - ones
        order = np.arange(1, len(places) + 1) - np.repeat(first, ones)
        sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(table[places & (size - 1), order])])
        return sums[first + ones] - sums[first]  # of sums modulo 2^64 the difference is right
    found = np.zeros(len(words), np.uint64)
    for start in range(0, len(words), _AT_ONCE):
        part, rank = words[start : start + _AT_ONCE, 0], found[start : start + _AT_ONCE]
        seen = np.zeros(len(part), np.intp)
        for place in range(size):
            bit = part >> np.uint64(place) & np.uint64(1)
            seen += bit.astype(np.intp)
            rank += table[place].take(seen) * bit
    return found


def blocks_of(ranks: Words, size: int, ones: Numbers) -> Words:
    """Return the blocks that have these ranks, each below C(size, ones): undoes `ranks`."""
    found = np.zeros((len(ranks), size // 64), np.dtype("<u8"))
    if size > SHORTEST:
        _sparse(ranks.copy(), size, ones, found)
        return found
    for start in range(0, len(ranks), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        found[part, 0] = _dense(ranks[part].copy(), ones[part].astype(np.intp))
    return found


def _dense(rank: Words, left: NDArray[np.intp]) -> Words:
    """From the last place down: there is a one if the rank is beyond all blocks that have none there."""
    table, one = binomials(SHORTEST), np.uint64(1)
    words = np.zeros(len(rank), np.uint64)
    without, here = np.empty_like(rank), np.empty(len(rank), np.bool_)
    for place in range(SHORTEST - 1, -1, -1):
        np.take(table[place], left, out=without, mode="clip")
        np.greater_equal(rank, without, out=here)
        without *= here
        rank -= without
        left -= here
        words <<= one
        words |= here
    return words


def _sparse(rank: Words, size: int, ones: Numbers, found: Words) -> None:
    """From the last one down: it lies at the last place i with C(i, ones left) <= rank."""
    columns: Any = np.ascontiguousarray(binomials(size).T)
    for left in range(int(ones.max(initial=0)), 0, -1):
        blocks = np.flatnonzero(ones >= left)
        place = np.searchsorted(columns[left, :size], rank[blocks], side="right") - 1
        rank[blocks] -= columns[left, place]
        found[blocks, place >> 6] |= np.uint64(1) << (place & 63).astype(np.uint64)
