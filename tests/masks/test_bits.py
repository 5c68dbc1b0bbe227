import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ticketzoo.masks import bits

BOOLS = st.lists(st.booleans(), max_size=300).map(lambda values: np.array(values, dtype=bool))


def byte_string(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.uint8)


def test_bit_i_is_bit_i_mod_8_of_byte_i_div_8() -> None:
    mask = np.array([[True, False, False, False, True], [False, False, False, True, True]])
    assert bits.pack(mask).tolist() == [0b0001_0001, 0b0000_0011]


def test_extract_keeps_the_bits_where_the_other_string_is_set() -> None:
    #                                         position: 7654 3210
    assert bits.extract(byte_string(0b0110_0101), where=byte_string(0b1110_0001)).tolist() == [0b0000_0111]
    assert bits.extract(byte_string(0xFF, 0b0000_0010), where=byte_string(0, 0b0000_0110)).tolist() == [0b0000_0001]


def test_deposit_puts_them_back() -> None:
    assert bits.deposit(byte_string(0b0000_0111), where=byte_string(0b1110_0001)).tolist() == [0b0110_0001]
    assert bits.deposit(byte_string(0b0000_0001), where=byte_string(0, 0b0000_0110)).tolist() == [0, 0b0000_0010]


def test_nothing_from_nothing() -> None:
    empty = byte_string()
    assert bits.pack(np.zeros((0, 3), dtype=bool)).size == 0
    assert bits.extract(empty, empty).size == bits.deposit(empty, empty).size == bits.popcount(empty) == 0
    assert bits.extract(byte_string(0xFF), where=byte_string(0)).size == 0
    assert bits.deposit(empty, where=byte_string(0)).tolist() == [0]


def test_popcount_and_padding() -> None:
    assert bits.popcount(byte_string(0b1011, 0xFF)) == 11
    assert bits.padding_is_zero(byte_string(0b0000_0111), 3)
    assert not bits.padding_is_zero(byte_string(0b0000_1111), 3)
    assert bits.padding_is_zero(byte_string(0xFF), 8)


@given(BOOLS)
def test_unpack_undoes_pack(values: np.ndarray) -> None:
    packed = bits.pack(values)
    assert len(packed) == bits.length(len(values))
    assert bits.popcount(packed) == values.sum()
    assert np.array_equal(bits.unpack(packed, len(values)), values)


@given(st.data(), BOOLS)
def test_extract_and_deposit_are_boolean_indexing(data: st.DataObject, where: np.ndarray) -> None:
    size = len(where)
    values = np.array(data.draw(st.lists(st.booleans(), min_size=size, max_size=size)), dtype=bool)
    extracted = bits.extract(bits.pack(values), bits.pack(where))
    assert np.array_equal(extracted, bits.pack(values[where]))
    assert np.array_equal(bits.deposit(extracted, bits.pack(where)), bits.pack(values & where))


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.01, 0.2, 0.5, 0.99, 1.0]), st.integers(9_000, 11_000))
def test_extract_and_deposit_at_every_density(seed: int, density: float, size: int) -> None:
    random = np.random.default_rng(seed)
    where, values = random.random(size) < density, random.random(size) < 0.5
    extracted = bits.extract(bits.pack(values), bits.pack(where))
    assert np.array_equal(extracted, bits.pack(values[where]))
    assert np.array_equal(bits.deposit(extracted, bits.pack(where)), bits.pack(values & where))
