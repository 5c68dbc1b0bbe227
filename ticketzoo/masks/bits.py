"""Bit strings packed into bytes: bit i of a string is bit i % 8 of byte i // 8; the last byte is padded with zeros.

`extract` and `deposit` do for whole arrays what the PEXT and PDEP instructions do for a machine word. They work on
packed bytes, eight weights at a time, because a BERT-sized mask has 85 million of them.
"""

from functools import cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Bits: TypeAlias = NDArray[np.uint8]

_WIDER = (np.dtype("<u2"), np.dtype("<u4"), np.dtype("<u8"))


def pack(values: NDArray[np.bool_]) -> Bits:
    """Return the bits of a bool array of any shape, in C order."""
    return np.packbits(values.reshape(-1), bitorder="little")


def unpack(bits: Bits, count: int) -> NDArray[np.bool_]:
    """Return the first `count` bits as a bool array, shape (count,)."""
    return np.unpackbits(bits, count=count, bitorder="little").view(np.bool_)


def ones(count: int) -> Bits:
    """Return `count` bits that are all set."""
    bits = np.full(length(count), 0xFF, np.uint8)
    bits[-1:] >>= -count % 8
    return bits


def length(count: int) -> int:
    """Return the number of bytes that hold `count` bits."""
    return (count + 7) // 8


def popcount(bits: Bits) -> int:
    """Return the number of bits that are set."""
    return int(_counts(bits).sum(dtype=np.int64))


def popcounts(words: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return the number of set bits in each row of words, shape (rows,)."""
    return _counts(words).sum(axis=1, dtype=np.int64)


def padding_is_zero(bits: Bits, count: int) -> bool:
    """Tell whether nothing is set beyond the first `count` bits."""
    return count % 8 == 0 or bits[-1] >> (count % 8) == 0


def extract(bits: Bits, where: Bits) -> Bits:
    """Return those bits of `bits` at which `where` is set, in order. Both have the same length."""
    bits, where = _whole_words(bits), _whole_words(where)
    values: NDArray[Any] = _tables()[0].take(_pairs(where, bits))
    sizes: NDArray[Any] = _counts(where)
    for wider in _WIDER:  # join neighbours: the upper one moves down to where the lower one ends
        values, lower, upper = values.view(wider), *_halves(sizes, wider)
        values = values & _low(wider) | values >> _half(wider) << lower
        sizes = lower + upper
    return join(values, sizes)[: length(int(sizes.sum(dtype=np.int64)))]


def deposit(bits: Bits, where: Bits) -> Bits:
    """Return bits as long as `where`, whose n-th set bit has become bit n of `bits`; undoes `extract`."""
    padded = _whole_words(where)
    sizes: NDArray[Any] = _counts(padded)
    lowers = []
    for wider in _WIDER:
        lower, upper = _halves(sizes, wider)
        lowers.append(lower)
        sizes = lower + upper
    values: NDArray[Any] = windows(bits, np.cumsum(sizes, dtype=np.int64) - sizes.view(np.int64))
    for wider in reversed(_WIDER):  # part neighbours; whatever lies above a part's size is ignored in the end
        values = values.view(wider)
        values = values & _low(wider) | values >> lowers.pop() << _half(wider)
    return _tables()[1].take(_pairs(padded, values.view(np.uint8)))[: len(where)]


def join(values: NDArray[np.uint64], sizes: NDArray[Any]) -> Bits:
    """Return one bit string from the lowest `sizes` bits, at most 64, of each of `values`, whose other bits are zero.

    It is padded with zeros by up to two words.
    """
    ends = np.cumsum(sizes, dtype=np.int64)
    if not len(ends):
        return np.zeros(8, np.uint8)
    starts = np.concatenate([np.zeros(1, np.int64), ends[:-1]])
    word, shift = starts >> 6, (starts & 63).view(np.uint64)
    # No value is longer than a word, so every word is the start of at least one of them; its last may reach the next.
    last = np.append(np.flatnonzero(word[1:] != word[:-1]), len(word) - 1)
    joined = np.zeros(len(last) + 1, np.dtype("<u8"))
    joined[:-1] = np.diff(np.cumsum(values << shift)[last], prepend=np.uint64(0))  # none overlap: their sum is their or
    joined[1:] |= values[last] >> np.uint64(1) >> (np.uint64(63) - shift[last])
    return joined.view(np.uint8)


def windows(bits: Bits, starts: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return the 64 bits from each start on; a start is at most the length. Beyond the end, bits are zero."""
    words = np.zeros(len(bits) // 8 + 3, np.dtype("<u8"))
    words.view(np.uint8)[: len(bits)] = bits
    word, shift = starts >> 6, (starts & 63).view(np.uint64)
    return words[word] >> shift | (words[word + 1] << np.uint64(1)) << (np.uint64(63) - shift)


def _counts(numbers: NDArray[Any]) -> NDArray[np.uint8]:
    """Return the number of bits that are set in each of unsigned numbers."""
    if hasattr(np, "bitwise_count"):  # from numpy 2 on
        return np.bitwise_count(numbers)
    each = np.unpackbits(np.ascontiguousarray(numbers).view(np.uint8).reshape(*numbers.shape, -1), axis=-1)
    return each.sum(axis=-1, dtype=np.uint8)


def _whole_words(bits: Bits) -> Bits:
    return np.concatenate([bits, np.zeros(-len(bits) % 8, np.uint8)])


def _pairs(upper: Bits, lower: Bits) -> NDArray[np.uint16]:
    return upper.astype(np.uint16) << np.uint16(8) | lower


def _halves(numbers: NDArray[Any], wider: np.dtype[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the first and the second of each two neighbours, in the dtype of both together."""
    pairs = numbers.view(wider)
    return pairs & _low(wider), pairs >> _half(wider)


def _half(wider: np.dtype[Any]) -> Any:
    return wider.type(wider.itemsize * 4)


def _low(wider: np.dtype[Any]) -> Any:
    """Return the bits of the lower half."""
    return wider.type((1 << wider.itemsize * 4) - 1)


@cache
def _tables() -> tuple[Bits, Bits]:
    """Return `extract` and `deposit` of one byte, indexed by `where * 256 + bits`."""
    where, bits = np.divmod(np.arange(65536), 256)
    extracted = np.zeros(65536, np.int64)
    deposited = np.zeros(65536, np.int64)
    rank = np.zeros(65536, np.int64)  # set bits of `where` below the current position
    for position in range(8):
        here = where >> position & 1
        extracted |= (here & bits >> position) << rank
        deposited |= (here & bits >> rank) << position
        rank += here
    return extracted.astype(np.uint8), deposited.astype(np.uint8)
