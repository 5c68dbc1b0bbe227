"""Bit strings of known density come back, take what their entropy says, and are refused where they are damaged."""

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ticketzoo.masks import bits as bit
from ticketzoo.masks.bit_stream import Reader, Writer
from ticketzoo.masks.blocks import LONGEST, SHORTEST, binomials, blocks_of, most, ranks, widths
from ticketzoo.masks.count_code import count_code
from ticketzoo.masks.entropy import cost
from ticketzoo.masks.enumerative import block_size, decode, encode

SIZES = [2**power for power in range(6, 15)]
DENSITIES = st.sampled_from([0.0, 0.00005, 0.0005, 0.005, 0.02, 0.1, 0.3, 0.5, 0.9, 0.995, 0.9999, 1.0])


def entropy(ones: int, total: int) -> float:
    """Shannon's bound in bits."""
    shares = [count / total for count in (ones, total - ones) if count]
    return -total * sum(share * math.log2(share) for share in shares)


def encoded(*strings: NDArray[np.bool_]) -> NDArray[np.uint8]:
    to = Writer()
    encode([bit.pack(one) for one in strings], [len(one) for one in strings], to)
    return to.content()


def random_string(total: int, density: float, seed: int = 0) -> NDArray[np.bool_]:
    return np.random.default_rng(seed).random(total) < density


@settings(max_examples=120)
@given(st.lists(st.tuples(st.integers(0, 3000), DENSITIES), min_size=1, max_size=4), st.integers(0, 2**32))
def test_strings_come_back(strings: list[tuple[int, float]], seed: int) -> None:
    given_strings = [random_string(total, density, seed + place) for place, (total, density) in enumerate(strings)]
    source = Reader(encoded(*given_strings))
    found = decode(source, [len(one) for one in given_strings], [int(one.sum()) for one in given_strings])
    source.end()
    assert [one.tobytes() for one in found] == [bit.pack(one).tobytes() for one in given_strings]


@pytest.mark.parametrize(
    "density", [0.0002, 0.0005, 0.001, 0.003, 0.01, 0.02, 0.03, 0.05, 0.1, 0.3, 0.5, 0.7, 0.97, 0.999]
)
def test_a_string_takes_its_entropy_and_one_percent_at_most(density: float) -> None:
    string = random_string(300_000, density)
    assert 8 * len(encoded(string)) <= 1.01 * entropy(int(string.sum()), len(string)) + 8 * 8


@pytest.mark.parametrize("total", [1, 2, 63, 64, 65, 1000])
def test_a_string_without_or_full_of_ones_takes_nothing(total: int) -> None:
    for string in (np.zeros(total, np.bool_), np.ones(total, np.bool_)):
        assert len(encoded(string)) == 0
        assert decode(Reader(encoded(string)), [total], [int(string.sum())])[0].tobytes() == bit.pack(string).tobytes()


def test_any_arrangement_of_ones_comes_back() -> None:
    """All of them in one place are as unlike what the code expects as can be: blocks are split down to the shortest."""
    for total, ones in ((50_000, 40), (200_000, 900), (10_000, 5000)):
        string = np.zeros(total, np.bool_)
        string[total // 3 : total // 3 + ones] = True
        source = Reader(encoded(string))
        assert decode(source, [total], [ones])[0].tobytes() == bit.pack(string).tobytes()


def test_blocks_are_as_long_as_they_have_to_be() -> None:
    assert block_size(300, 1000) == SHORTEST
    assert [block_size(rare, 2**20) for rare in (24_576, 24_575, 96, 1)] == [64, 128, 16384, LONGEST]


@pytest.mark.parametrize("size", SIZES)
def test_the_most_ones_are_those_whose_ranks_fit(size: int) -> None:
    limit = most(size)
    assert math.comb(size, limit) < 2**63
    assert limit == size or math.comb(size, limit + 1) >= 2**63
    assert int(binomials(size)[size, limit]) == math.comb(size, limit)
    bits, short = widths(size)
    assert all(2 ** (b + 1) - math.comb(size, k) == u and u > 0
               for k, (b, u) in enumerate(zip(bits.tolist(), short.tolist(), strict=True)))  # fmt: skip


def test_ranks_number_the_blocks_of_a_count() -> None:
    places = list(combinations(range(6), 3))
    words = np.array([[sum(1 << place for place in one)] for one in places], np.uint64)
    by_last = sorted(range(len(places)), key=lambda one: places[one][::-1])  # the last place counts most
    assert ranks(words, 64, np.full(20, 3)).tolist() == [by_last.index(one) for one in range(20)]


@pytest.mark.parametrize("size", SIZES)
def test_first_and_last_ranks_are_blocks(size: int) -> None:
    ones = np.arange(most(size) + 1)
    for rank in (np.zeros(len(ones), np.uint64), binomials(size)[size] - np.uint64(1)):
        blocks = blocks_of(rank, size, ones)
        assert bit.popcounts(blocks).tolist() == ones.tolist()
        assert ranks(blocks, size, ones).tolist() == rank.tolist()


def test_codes_of_counts_are_those_of_huffman() -> None:
    code = count_code(64, 2048)  # half of the bits: counts about 32 are as likely as the binomial says
    assert sum(2.0 ** -int(length) for length in code.lengths) == 1.0
    mean = sum(math.comb(64, k) / 2**64 * int(code.lengths[k]) for k in range(65))
    spread = -sum(math.comb(64, k) / 2**64 * math.log2(math.comb(64, k) / 2**64) for k in range(65))
    assert spread <= mean < spread + 0.06
    assert code.lengths[32] == min(code.lengths) == 3


@settings(max_examples=200)
@given(st.binary(max_size=120), st.integers(1, 2000), st.data())
def test_no_bits_give_another_number_of_ones(content: bytes, total: int, data: st.DataObject) -> None:
    ones = data.draw(st.integers(0, total))
    try:
        (found,) = decode(Reader(np.frombuffer(content, np.uint8)), [total], [ones])
    except ValueError as error:
        assert "\n" not in str(error)
    else:
        assert len(found) == bit.length(total)
        assert bit.popcount(found) == ones
        assert bit.padding_is_zero(found, total)


@given(st.lists(st.tuples(st.integers(0, 2**40 - 1), st.integers(1, 2**40 - 1)), min_size=1))
def test_costs_in_whole_numbers_are_the_entropy(pairs: list[tuple[int, int]]) -> None:
    ones, totals = (np.array(one) for one in zip(*((min(pair), max(pair)) for pair in pairs), strict=True))
    for found, one, total in zip(cost(ones, totals).tolist(), ones.tolist(), totals.tolist(), strict=True):
        assert abs(found - entropy(one, total)) <= 1 + total * 2**-13
