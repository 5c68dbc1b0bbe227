"""A Huffman code for the number of ones in blocks of a bit string of known density.

The codes of all blocks lie in layers: first the first bit of every code, then the second bit of every code that has
one, and so on, always in the order of the blocks. So they are read as arrays, a layer at a time.
"""

import heapq
from dataclasses import dataclass
from functools import lru_cache
from math import comb
from typing import Any

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
        children: of the nodes from `last` + 1 on, shape (2, nodes): symbols or nodes.
        root: the node where codes begin.
        paths: the bits of each symbol's code, by layer, shape (layers, symbols).
        lengths: of the codes.
    """

    last: int
    children: Numbers
    root: int
    paths: NDArray[np.uint8]
    lengths: Numbers

    def write(self, counts: Numbers, to: Writer) -> None:
        """Write the codes of blocks with these counts."""
        for layer in range(int(self.lengths.max())):
            counts = counts[self.lengths[counts] > layer]
            if not len(counts):
                break
            to.bits(self.paths[layer, counts])

    def read(self, blocks: int, source: Reader) -> Numbers:
        """Return the counts of that many blocks. Raises ValueError where bits are missing."""
        counts = np.zeros(blocks, np.int64)
        where, at = np.arange(blocks), np.full(blocks, self.root, np.int64)
        while len(where):
            at = self.children[source.bits(len(where)), at]
            ended = at <= self.last
            counts[where[ended]] = at[ended]
            where, at = where[~ended], at[~ended]
        return counts


@lru_cache(maxsize=1024)
def count_code(size: int, density: int) -> CountCode:
    """Return the code for blocks of `size` bits of which `density` / (64 size) are ones.

    The weight of the count k is C(size, k) density^k (64 size - density)^(last - k). The two lightest nodes are
    joined, again and again, the lighter being bit 0; of nodes as heavy, those that were there first are lighter.
    """
    last = SHORTEST if size == SHORTEST else most(size) + 1
    without = 64 * size - density
    heap = [(comb(size, k) * density**k * without ** (last - k), k) for k in range(last + 1)]
    heapq.heapify(heap)
    children: dict[int, tuple[int, int]] = {}
    while len(heap) > 1:
        (weight, zero), (other, one) = heapq.heappop(heap), heapq.heappop(heap)
        node = last + 1 + len(children)
        children[node] = zero, one
        heapq.heappush(heap, (weight + other, node))
    root = heap[0][1]
    codes: dict[int, list[int]] = {root: []}
    for node in sorted(children, reverse=True):  # a node is made after its children
        for bit, child in enumerate(children[node]):
            codes[child] = [*codes[node], bit]
    lengths = np.array([len(codes[k]) for k in range(last + 1)], np.int64)
    paths = np.zeros((int(lengths.max()), last + 1), np.uint8)
    for k in range(last + 1):
        paths[: lengths[k], k] = codes[k]
    table: Any = np.zeros((2, root + 1), np.int64)
    for node, pair in children.items():
        table[:, node] = pair
    return CountCode(last, table, root, paths, lengths)
