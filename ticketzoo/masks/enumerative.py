"""Bit strings of known density, coded to within half a percent of their entropy.

A string of `total` bits with `ones` ones is cut into blocks. Of each block the number of ones is Huffman-coded, then
its rank among all blocks with as many (Cover 1973, "Enumerative source encoding"). All steps are whole numbers and
work on arrays, without the step for each symbol that a range coder has to take.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ticketzoo.masks import bits as bit
from ticketzoo.masks.bit_stream import Reader, Writer
from ticketzoo.masks.bits import Bits
from ticketzoo.masks.blocks import LONGEST, SHORTEST, Numbers, Words, blocks_of, ranks, widths
from ticketzoo.masks.count_code import CountCode, count_code


@dataclass
class _Run:
    """One string: where its blocks lie in a common array of words, and the blocks that are still to be coded."""

    total: int
    ones: int
    first: int
    blocks: Numbers = field(init=False)

    def __post_init__(self) -> None:
        self.inverted = 2 * self.ones > self.total
        self.rare = min(self.ones, self.total - self.ones)
        self.size = block_size(self.rare, self.total)
        count = -(-self.total // self.size) if self.rare else 0
        self.end = self.first + count * self.size // 64
        self.blocks = np.arange(self.first, self.end, self.size // 64)
        self.found = 0


def block_size(rare: int, total: int) -> int:
    """Return the bits of a block: the least that keep 1.5 of the rarer bits on average, 64 to 16,384."""
    size = SHORTEST
    while 2 * size * rare < 3 * total and size < LONGEST:
        size *= 2
    return size


def encode(strings: Sequence[Bits], totals: Sequence[int], to: Writer) -> None:
    """Write bit strings of `totals` bits. How many ones each has, the reader has to know."""
    runs = _runs(totals, [bit.popcount(one) for one in strings])
    words = np.zeros(runs[-1].end if runs else 0, np.dtype("<u8"))
    for run, one in zip(runs, strings, strict=True):
        if run.rare:
            words[run.first : run.end].view(np.uint8)[: len(one)] = one ^ bit.ones(run.total) if run.inverted else one
    for size in _sizes(runs):
        starts, counts = [], []
        for run in runs:
            if run.size < size or not len(run.blocks):
                continue
            code = _code(run, size)
            ones = bit.popcounts(_at(words, run.blocks, size))
            code.write(np.minimum(ones, code.last), to)
            chosen = _split(run, ones, code.last, size)
            starts.append(chosen)
            counts.append(ones[ones < code.last] if size > SHORTEST else ones)
        _write_ranks(words, size, starts, counts, to)


def decode(source: Reader, totals: Sequence[int], ones: Sequence[int]) -> list[Bits]:
    """Return bit strings of `totals` bits with `ones` ones: undoes `encode`.

    Raises:
        ValueError: bits are missing, or a string has not as many ones.
    """
    runs = _runs(totals, ones)
    words = np.zeros(runs[-1].end if runs else 0, np.dtype("<u8"))
    for size in _sizes(runs):
        starts, counts = [], []
        for run in runs:
            if run.size < size or not len(run.blocks):
                continue
            code = _code(run, size)
            found = code.read(len(run.blocks), source)
            starts.append(_split(run, found, code.last, size))
            counts.append(found[found < code.last] if size > SHORTEST else found)
            run.found += int(counts[-1].sum())
        _read_ranks(words, size, starts, counts, source)
    return [_finished(run, words) for run in runs]


def _runs(totals: Sequence[int], ones: Sequence[int]) -> list[_Run]:
    runs: list[_Run] = []
    for total, one in zip(totals, ones, strict=True):
        first = runs[-1].end if runs else 0
        runs.append(_Run(total, one, first))
    return runs


def _sizes(runs: Sequence[_Run]) -> list[int]:
    """Return the sizes of blocks, from the longest in use to the shortest."""
    size, sizes = max((run.size for run in runs), default=0), []
    while size >= SHORTEST:
        sizes.append(size)
        size //= 2
    return sizes


def _code(run: _Run, size: int) -> CountCode:
    return count_code(size, max(1, (64 * size * run.rare + run.total // 2) // run.total))


def _split(run: _Run, counts: Numbers, last: int, size: int) -> Numbers:
    """Leave the halves of blocks with too many ones as the blocks of the next size; return the others."""
    if size == SHORTEST:
        done, run.blocks = run.blocks, run.blocks[:0]
        return done
    dense = counts >= last
    halves = run.blocks[dense][:, None] + np.array([0, size // 128])
    done, run.blocks = run.blocks[~dense], halves.reshape(-1)
    return done


def _at(words: Words, starts: Numbers, size: int) -> Words:
    return words[starts[:, None] + np.arange(size // 64)]


def _write_ranks(words: Words, size: int, starts: list[Numbers], counts: list[Numbers], to: Writer) -> None:
    if not starts:
        return
    ones = np.concatenate(counts)
    rank = ranks(_at(words, np.concatenate(starts), size), size, ones)
    bits, short = widths(size)[0][ones], widths(size)[1][ones]
    long = rank >= short
    rank = np.where(long, rank + short, rank)
    to.numbers(np.where(long, rank >> np.uint64(1), rank), bits)
    to.bits(rank[long] & np.uint64(1))


def _read_ranks(words: Words, size: int, starts: list[Numbers], counts: list[Numbers], source: Reader) -> None:
    if not starts:
        return
    ones = np.concatenate(counts)
    bits, short = widths(size)[0][ones], widths(size)[1][ones]
    rank = source.numbers(bits)
    long = np.flatnonzero(rank >= short)
    rank[long] = 2 * rank[long] + source.bits(len(long)) - short[long]
    words[np.concatenate(starts)[:, None] + np.arange(size // 64)] = blocks_of(rank, size, ones)


def _finished(run: _Run, words: Words) -> Bits:
    """Return a string that was read, checked."""
    if not run.rare:
        return bit.ones(run.total) if run.ones else np.zeros(bit.length(run.total), np.uint8)
    if run.found != run.rare:
        raise ValueError(f"{run.found} of the rarer bits, but says {run.rare}")
    padded = words[run.first : run.end].view(np.uint8)
    content, beyond = padded[: bit.length(run.total)], padded[bit.length(run.total) :]
    if beyond.any() or not bit.padding_is_zero(content, run.total):
        raise ValueError(f"bits set beyond its {run.total}")
    return content ^ bit.ones(run.total) if run.inverted else content
