"""Huffman codes for the numbers of ones in blocks of bit strings of known densities.

The codes of all blocks lie in layers: first the first bit of every code, then the second bit of every code that has
one, and so on, always in the order of the blocks. So they are read as arrays, a layer at a time.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from ticketzoo.masks.bit_stream import Reader, Writer
from ticketzoo.masks.blocks import SHORTEST, Numbers, most


@dataclass(frozen=True, eq=False)
class CountCode:
    """The code of the counts 0 to `last`.

    Attributes:
        last: the largest symbol: the number of bits of the shortest blocks; of longer ones it stands for all counts
            that are too large to code, and is `most` + 1.
        children: of the nodes from `last` + 1 on, shape (2, nodes): symbols or nodes; a node is made after its
            children, the root, where codes begin, as the last.
    """

    last: int
    children: Numbers

    @property
    def root(self) -> int:
        """The node where codes begin."""
        return self.last + self.children.shape[1]

    @cached_property
    def lengths(self) -> Numbers:
        """The lengths of the symbols' codes."""
        return np.array([len(code) for code in self._codes], np.int64)

    @cached_property
    def paths(self) -> NDArray[np.uint8]:
        """The bits of each symbol's code, by layer, shape (layers, symbols)."""
        layers = max(map(len, self._codes))
        padded = b"".join(code.ljust(layers, b"\0") for code in self._codes)
        return np.frombuffer(padded, np.uint8).reshape(-1, layers).T

    @cached_property
    def _codes(self) -> list[bytes]:
        codes = [b""] * (self.root + 1)
        for node, pair in zip(range(self.root, self.last, -1), reversed(self.children.T.tolist()), strict=True):
            for bit, child in zip((b"\0", b"\1"), pair, strict=True):
                codes[child] = codes[node] + bit
        return codes[: self.last + 1]


def write_counts(codes: Sequence[CountCode], blocks: Sequence[int], counts: Numbers, to: Writer) -> None:
    """Write the codes of `counts`: those of the first `blocks` by the first code, and so on. All codes end alike."""
    symbols = codes[0].last + 1
    layers = max(len(code.paths) for code in codes)
    table = np.zeros((layers, len(codes), symbols), np.uint8)
    for place, code in enumerate(codes):
        table[: len(code.paths), place] = code.paths
    paths = table.reshape(layers, -1)
    lengths = np.concatenate([code.lengths for code in codes])
    left = counts + np.repeat(np.arange(len(codes)) * symbols, blocks)
    for layer in range(layers):
        left = left[lengths[left] > layer]
        if not len(left):
            break
        to.bits(paths[layer, left])


def read_counts(codes: Sequence[CountCode], blocks: Sequence[int], source: Reader) -> Numbers:
    """Return the counts that `write_counts` wrote. Raises ValueError where bits are missing."""
    last = codes[0].last
    step = 2 * (last + 1)  # a code has less nodes and symbols than this
    children = np.zeros((2, step * len(codes)), np.int64)
    for place, code in enumerate(codes):
        nodes = np.where(code.children > last, code.children + place * step, code.children)
        children[:, place * step + last + 1 :][:, : nodes.shape[1]] = nodes
    roots = np.array([code.root for code in codes]) + step * np.arange(len(codes))
    at = np.repeat(roots, blocks)
    counts, where = np.zeros(len(at), np.int64), np.arange(len(at))
    while len(where):
        at = children[source.bits(len(where)), at]
        inner = at > last
        counts[where[~inner]] = at[~inner]
        where, at = where[inner], at[inner]
    return counts


@lru_cache(maxsize=1024)
def count_code(size: int, density: int) -> CountCode:
    """Return the code for blocks of `size` bits of which `density` / (64 size) are ones.

    The weight of the count k is C(size, k) density^k (64 size - density)^(last - k). The two lightest nodes are
    joined, again and again, the lighter being bit 0; of nodes as heavy, those that were there first are lighter.
    """
    last = SHORTEST if size == SHORTEST else most(size) + 1
    without = 64 * size - density
    weight = without**last
    symbols: list[tuple[int, int]] = []
    for k in range(last + 1):
        symbols.append((weight, k))
        weight = weight * (size - k) * density // ((k + 1) * without)
    symbols.sort(reverse=True)
    nodes: deque[tuple[int, int]] = deque()  # each is at least as heavy as those made before it
    children: list[tuple[int, int]] = []
    for node in range(last + 1, 2 * last + 1):
        (weight, zero), (other, one) = (_lightest(symbols, nodes) for _ in range(2))
        children.append((zero, one))
        nodes.append((weight + other, node))
    return CountCode(last, np.array(children, np.int64).T)


def _lightest(symbols: list[tuple[int, int]], nodes: deque[tuple[int, int]]) -> tuple[int, int]:
    """Take the lightest of symbols, the heaviest first, and of nodes, the lightest first."""
    return nodes.popleft() if nodes and (not symbols or nodes[0] < symbols[-1]) else symbols.pop()
