"""Huffman codes for the numbers of ones in blocks of bit strings of known densities.

The codes of all blocks lie in layers: first the first bit of every code, then the second bit of every code that has
one, and so on, always in the order of the blocks. So they are read as arrays, a layer at a time.
"""

import heapq
from collections.abc import Sequence
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
        children[:, place * step : place * step + nodes.shape[1]] = nodes
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
