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
from ticketzoo.masks.blocks import LONGEST, SHORTEST, Numbers, Words, blocks_of, most, ranks, widths
from ticketzoo.masks.count_code import CountCode, count_code, read_counts, write_counts


@dataclass
class _Run:
    """One string: where its blocks lie in a common array of words, and the blocks that are still to be coded."""

    total: int
    ones: int
    first: int
    blocks: Numbers = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.inverted = 2 * self.ones > self.total
        self.rare = min(self.ones, self.total - self.ones)
        self.size = block_size(self.rare, self.total)
        self.count = -(-self.total // self.size) if self.rare else 0
        self.end = self.first + self.count * self.size // 64
        self.found = 0

    def begin(self) -> None:
        """Have all blocks still to be coded."""
        self.blocks = np.arange(self.first, self.end, self.size // 64)


def block_size(rare: int, total: int) -> int:
    """Return the bits of a block: the least that keep 1.5 of the rarer bits on average, 64 to 16,384."""
    size = SHORTEST
    while 2 * size * rare < 3 * total and size < LONGEST:
        size *= 2
    return size


def encode(strings: Sequence[Bits], totals: Sequence[int], to: Writer) -> None:
    """Write bit strings of `totals` bits. How many ones each has, the reader has to know."""
    runs = _runs(totals, [bit.popcount(one) for one in strings])
    words = _begin(runs)
    for run, one in zip(runs, strings, strict=True):
        if run.rare:
            words[run.first : run.end].view(np.uint8)[: len(one)] = one ^ bit.ones(run.total) if run.inverted else one
    for size in _sizes(runs):
        now = [run for run in runs if run.size >= size and len(run.blocks)]
        if not now:
            continue
        ones = bit.popcounts(_at(words, np.concatenate([run.blocks for run in now]), size))
        codes = [_code(run, size) for run in now]
        blocks = [len(run.blocks) for run in now]
        write_counts(codes, blocks, np.minimum(ones, codes[0].last), to)
        starts = [_split(run, part, size) for run, part in zip(now, _parts(ones, blocks), strict=True)]
        _write_ranks(_at(words, np.concatenate(starts), size), size, to)


def decode(source: Reader, totals: Sequence[int], ones: Sequence[int]) -> list[Bits]:
    """Return bit strings of `totals` bits with `ones` ones: undoes `encode`.

    Raises:
        ValueError: bits are missing, or a string has not as many ones.
    """
    runs = _runs(totals, ones)
    if (blocks := sum(run.count for run in runs)) > source.left():  # each has a bit at least
        raise ValueError(f"only {source.left()} bits for {blocks} blocks")
    words = _begin(runs)
    for size in _sizes(runs):
        now = [run for run in runs if run.size >= size and len(run.blocks)]
        if not now:
            continue
        lengths = [len(run.blocks) for run in now]
        counts = read_counts([_code(run, size) for run in now], lengths, source)
        starts = [_split(run, part, size) for run, part in zip(now, _parts(counts, lengths), strict=True)]
        found = _read_ranks(counts[counts <= most(size)], size, source)
        words[_places(np.concatenate(starts), size)] = found
    return [_finished(run, words) for run in runs]


def _runs(totals: Sequence[int], ones: Sequence[int]) -> list[_Run]:
    runs: list[_Run] = []
    for total, one in zip(totals, ones, strict=True):
        first = runs[-1].end if runs else 0
        runs.append(_Run(total, one, first))
    return runs


def _begin(runs: Sequence[_Run]) -> Words:
    """Return words for the blocks of all strings."""
    for run in runs:
        run.begin()
    return np.zeros(runs[-1].end if runs else 0, np.dtype("<u8"))


def _sizes(runs: Sequence[_Run]) -> list[int]:
    """Return the sizes of blocks, from the longest in use to the shortest."""
    size, sizes = max((run.size for run in runs), default=0), []
    while size >= SHORTEST:
        sizes.append(size)
        size //= 2
    return sizes


def _code(run: _Run, size: int) -> CountCode:
    return count_code(size, max(1, (64 * size * run.rare + run.total // 2) // run.total))


def _parts(counts: Numbers, blocks: Sequence[int]) -> list[Numbers]:
    return np.split(counts, np.cumsum(blocks)[:-1])


def _split(run: _Run, counts: Numbers, size: int) -> Numbers:
    """Leave the halves of blocks with too many ones as the blocks of the next size; return the others."""
    coded = counts <= most(size)
    run.found += int(counts[coded].sum())
    halves = run.blocks[~coded][:, None] + np.array([0, size // 128])
    done, run.blocks = run.blocks[coded], halves.reshape(-1)
    return done


def _places(starts: Numbers, size: int) -> Numbers:
    places: Numbers = starts[:, None] + np.arange(size // 64)
    return places


def _at(words: Words, starts: Numbers, size: int) -> Words:
    return words[_places(starts, size)]


def _write_ranks(blocks: Words, size: int, to: Writer) -> None:
    ones = bit.popcounts(blocks)
    rank = ranks(blocks, size, ones)
    bits, short = widths(size)[0][ones], widths(size)[1][ones]
    long = rank >= short
    rank = np.where(long, rank + short, rank)
    to.numbers(np.where(long, rank >> np.uint64(1), rank), bits)
    to.bits(rank[long] & np.uint64(1))


def _read_ranks(ones: Numbers, size: int, source: Reader) -> Words:
    """Return blocks with so many ones."""
    bits, short = widths(size)[0][ones], widths(size)[1][ones]
    rank = source.numbers(bits)
    long = np.flatnonzero(rank >= short)
    rank[long] = 2 * rank[long] + source.bits(len(long)) - short[long]
    return blocks_of(rank, size, ones)


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
