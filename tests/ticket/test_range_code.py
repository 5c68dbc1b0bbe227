"""The encoding `range`: round trips, its size against Shannon's bound, and streams that are damaged or hostile."""

import json
import math
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save
from toy_ticket import MASKS, assert_refused, edit_config, forge, toy_ticket

from ticketzoo.errors import TicketError
from ticketzoo.masks import bits as bit
from ticketzoo.masks.masks import Masks
from ticketzoo.ticket import Found, Ticket
from ticketzoo.ticket.levels import PackedLevels, pack_levels
from ticketzoo.ticket.range_code import WEIGHTS_PER_BYTE, Header, check, decode, encode, sizes

Matrix = NDArray[np.bool_]
RANGES = {"survivor-range", "range"}
SHAPES = st.sampled_from(
    [(), (0,), (1,), (7,), (8, 1), (1, 65), (0, 5), (5, 0, 3), (3, 5, 7), (64, 64), (130, 67), (6, 1000)]
)
DENSITIES = st.sampled_from([0.0, 0.001, 0.02, 0.1, 0.3, 0.5, 0.8, 0.99, 1.0])


def entropy(kept: int, total: int) -> float:
    """Shannon's bound in bytes."""
    shares = [count / total for count in (kept, total - kept) if count]
    return -total * sum(share * math.log2(share) for share in shares) / 8


def uneven(shape: tuple[int, int], density: float, spread: float, seed: int = 0) -> Matrix:
    """A mask whose rows and columns differ in density: their log-odds by `spread`, a standard deviation."""
    random = np.random.default_rng(seed)
    rows, columns = (random.normal(0, spread, size) for size in ((shape[0], 1), (1, shape[1])))
    odds = rows + columns + math.log(density / (1 - density))
    kept: Matrix = random.random(shape) < 1 / (1 + np.exp(-odds))
    return kept


def coded(mask: Matrix, outer: Matrix | None = None) -> NDArray[np.uint8]:
    content = encode(bit.pack(mask), mask.shape, None if outer is None else bit.pack(outer))
    assert content is not None
    return content


def check_round_trip(mask: Matrix, outer: Matrix | None) -> None:
    packed = None if outer is None else bit.pack(outer)
    content = encode(bit.pack(mask), mask.shape, packed)
    before = mask.size if outer is None else int(outer.sum())
    if content is None:
        return
    assert len(content) in sizes(before)
    assert np.array_equal(decode(content, mask.shape, packed), bit.pack(mask))
    assert sum(Header.read(content)[0].kept) == mask.sum()


@settings(max_examples=150)
@given(SHAPES, DENSITIES, DENSITIES, st.floats(0, 2), st.integers(0, 2**32))
def test_masks_come_back(shape: tuple[int, ...], outside: float, inside: float, spread: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    outer = np.asarray(random.random(shape) < outside)
    level = np.asarray(random.random(shape) < inside)
    if len(shape) == 2 and 0 < inside < 1 and all(shape):
        level = uneven((shape[0], shape[1]), inside, spread, seed)
    check_round_trip(level, None)
    check_round_trip(level & outer, outer)


@pytest.mark.parametrize("density", [0.001, 0.01, 0.03, 0.1, 0.3, 0.4, 0.9, 0.999])
@pytest.mark.parametrize("shape", [(768, 768), (100, 100)])
def test_a_mask_takes_its_bound_and_one_percent_at_most(density: float, shape: tuple[int, int]) -> None:
    mask = np.random.default_rng(0).random(shape) < density
    check_round_trip(mask, None)
    assert len(coded(mask)) <= 1.01 * entropy(int(mask.sum()), mask.size) + 8


def test_a_level_of_70_percent_takes_88_percent_of_a_bitmap_and_one_of_90_less_than_half() -> None:
    random = np.random.default_rng(0).random((768, 768))
    assert len(coded(random < 0.3)) <= 0.885 * 768 * 768 / 8
    assert len(coded(random < 0.1)) <= 0.475 * 768 * 768 / 8


@pytest.mark.parametrize(("spread", "most"), [(0.3, 0.985), (0.6, 0.92), (1.0, 0.81)])
def test_uneven_rows_and_columns_take_less_than_the_bound_of_the_density(spread: float, most: float) -> None:
    mask = uneven((768, 768), 0.3, spread)
    check_round_trip(mask, None)
    assert len(coded(mask)) <= most * entropy(int(mask.sum()), mask.size)


def test_the_level_before_says_which_rows_are_dense() -> None:
    outer = uneven((512, 512), 0.5, 0.8)
    mask = uneven((512, 512), 0.5, 0.8) & (np.random.default_rng(1).random((512, 512)) < 0.9) & outer
    mask &= np.random.default_rng(2).random((512, 512)) < outer.mean(axis=1, keepdims=True)
    content = coded(mask, outer)
    assert Header.read(content)[0].ranked
    assert len(content) <= 0.99 * entropy(int(mask.sum()), int(outer.sum()))
    check_round_trip(mask, outer)


def test_all_or_nothing_takes_a_byte_for_4096_weights() -> None:
    for mask in (np.zeros((512, 512), np.bool_), np.ones((512, 512), np.bool_)):
        assert len(coded(mask)) == mask.size // WEIGHTS_PER_BYTE == 64
        check_round_trip(mask, None)


def test_what_a_file_declares_is_bounded_by_its_size() -> None:
    """A mask of 2^40 weights that keeps all would else be a few bytes."""
    assert sizes(2**40).start == 2**28
    assert len(sizes(16)) == 0  # no code is shorter than two bytes of bits
    assert list(sizes(17)) == [2]


def test_the_bytes_are_those_of_the_format() -> None:
    """Worked by hand in docs/format.md."""
    mask = np.zeros(40, np.bool_)
    mask[[3, 30]] = True
    content = coded(mask)
    assert content[:2].tolist() == [0, 2]
    assert np.array_equal(decode(content, (40,), None), bit.pack(mask))


@settings(max_examples=300)
@given(st.data())
def test_damage_is_refused_in_one_line_or_gives_a_mask_of_as_many_weights(data: st.DataObject) -> None:
    mask = uneven((70, 90), 0.3, 1.5)
    outer = mask | (np.random.default_rng(3).random(mask.shape) < 0.5)
    content = bytearray(coded(mask, outer).tobytes())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] ^= 1 << data.draw(st.integers(0, 7))
    content = content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content
    damaged = np.frombuffer(bytes(content), np.uint8)
    try:
        found = bit.unpack(decode(damaged, mask.shape, bit.pack(outer)), mask.size)
    except ValueError as error:
        assert "\n" not in str(error)
    else:
        assert not (found & ~outer.reshape(-1)).any()
        assert found.sum() == sum(Header.read(damaged)[0].kept)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no header"),
        (b"\x20\x01", "no header"),  # a bit that means nothing
        (b"\xff\xff", "no header"),
        (b"\x00", "does not end"),
        (b"\x0f" + b"\x01" * 30, "does not end"),  # 64 regions
        (b"\x00" + b"\xff" * 30, "does not end"),  # a number without end
        (b"\x00\xff\xff\xff\xff\x1f", "keeps 8589934591 of 800 weights"),
        (b"\x00\x03", "only 0 bits for 2 blocks"),
        (b"\x00\xc8\x01\x00", "only 8 bits for 13 blocks"),
        (b"\x00\xc8\x01\x00\x00", "has|needs"),
        (b"\x05\x01\x01\x01\x01", "only 0 bits, and needs more"),  # classes that are not there
        (b"\x00\x00\x00", "3 bytes, but needs 2"),
        (b"\x00\x00\x01", "bits set beyond its end"),
    ],
)
def test_hostile_streams_are_refused(content: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decode(np.frombuffer(content, np.uint8), (20, 40), None)


@pytest.mark.parametrize("first", [b"\x00" + b"\x80\x80\x80\x20", b"\x05" + b"\x01" * 4, b"\x15" + b"\x01" * 4])
def test_a_short_code_of_many_weights_takes_little_memory(first: bytes) -> None:
    """2^27 weights of which half are kept, or in classes: their bits are missing, which is seen beforehand."""
    shape = (2**20, 2**7)
    content = np.frombuffer(first.ljust(2**15, b"\0"), np.uint8)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"only \d+ bits for 2097152 blocks|needs 262144"):
            check(content, shape, 2**27)
            decode(content, shape, None)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def levels_of(*densities: float, nested: bool = True) -> dict[int, Masks]:
    random = np.random.default_rng(5)
    draws = [random.random((40, 50)) for _ in densities]
    masks = [(draws[0] if nested else draw) < density for draw, density in zip(draws, densities, strict=True)]
    return {level: {"w": torch.from_numpy(mask)} for level, mask in enumerate(masks)}


def encodings(packed: PackedLevels) -> set[str]:
    return {one.encoding.name for masks in packed.encoded.values() for one in masks.values()}


def test_only_who_asks_gets_it() -> None:
    levels = levels_of(0.5, 0.1, 0.02)
    plain = pack_levels(levels.items())
    ranged = plain.encoded_as("range")
    assert encodings(plain) == {"survivor-bits"} == encodings(ranged.encoded_as("bits"))
    assert encodings(ranged) <= {"survivor-bits", "survivor-range"}
    assert encodings(ranged) & RANGES
    assert plain.sha256() == ranged.sha256()
    assert (plain.first_format, ranged.first_format) == (1, 2)


@pytest.mark.parametrize("nested", [True, False])
def test_tickets_come_back_from_disk_and_go_back_to_what_they_were(tmp_path: Path, nested: bool) -> None:
    levels = levels_of(0.3, 0.04, 0.02 if nested else 0.06, nested=nested)
    ticket = toy_ticket(replicates=[Found(7, levels, {"w": torch.arange(2000.0).view(40, 50)})])
    plain = ticket.save_pretrained(tmp_path / "plain")
    ranged = ticket.save_pretrained(tmp_path / "ranged", encoding="range")
    assert stated(ranged) & RANGES
    again = Ticket.from_pretrained(ranged)
    assert again.config.format == 2
    assert again.config.mask_sha256 == ticket.config.mask_sha256
    for level, masks in levels.items():
        assert torch.equal(again.at(level=level).masks["w"], masks["w"])
        assert torch.equal(again.at(level=level).rewind_state["w"], ticket.at(level=level).rewind_state["w"])
    assert files_of(again.save_pretrained(tmp_path / "same")) == files_of(ranged)
    assert files_of(again.save_pretrained(tmp_path / "back", encoding="bits")) == files_of(plain)
    with pytest.raises(TicketError, match=r"masks cannot be encoded as 'zip': choose bits or range"):
        ticket.save_pretrained(tmp_path / "other", encoding="zip")


def stated(folder: Path) -> set[str]:
    with safe_open(folder / MASKS, "np") as file:
        return set(json.loads(file.metadata()["encoding"]).values())


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = Found(7, levels_of(0.3, 0.04), {"w": torch.arange(2000.0).view(40, 50)})
    return toy_ticket(replicates=[found]).save_pretrained(tmp_path / "toy", encoding="range")


def rewrite(folder: Path, change: Any) -> None:
    """Change the content of level 1 in the file of masks, and put its size and digest right."""
    with safe_open(folder / MASKS, "np") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        metadata = file.metadata()
    tensors["level-1/w"] = np.array(change(tensors["level-1/w"].tolist()), np.uint8)
    forge(folder, MASKS, save(tensors, metadata))


def test_a_code_that_ends_early_names_file_and_tensor(folder: Path) -> None:
    rewrite(folder, lambda content: content[:-3])
    assert_refused(folder, r"masks\.safetensors: 'level-1/w' has only \d+ bits")


def test_a_code_that_goes_on_is_refused(folder: Path) -> None:
    rewrite(folder, lambda content: [*content, 0])
    assert_refused(folder, r"masks\.safetensors: 'level-1/w' has \d+ bytes, but needs \d+")


def test_another_mask_of_as_many_weights_has_another_digest(folder: Path) -> None:
    rewrite(folder, lambda content: [*content[:20], content[20] ^ 16, *content[21:]])
    assert_refused(folder, r"the masks have digest \w{64}, but ticket\.json says \w{64}|rarer bits|more|beyond|needs")


def test_more_weights_than_the_level_before_keeps_are_refused(folder: Path) -> None:
    rewrite(folder, lambda content: [0, 255, 127, *content[3:]])
    assert_refused(folder, r"'level-1/w' has 16383 weights kept of \d+")


def test_an_old_reader_would_refuse_it_and_format_1_does(folder: Path) -> None:
    edit_config(folder, lambda config: config.update(format=1))
    assert_refused(folder, r"is encoded as '(survivor-)?range', which this ticketzoo cannot read: upgrade")


def test_a_long_row_with_classes_takes_bytes_for_its_columns() -> None:
    """Else 32 kB could ask for the numbers of 16 million columns."""
    header = Header(0, 3, True, [0] * 8)
    assert header.least_bytes((1, 1 << 24), 1 << 24) == (1 + (1 << 24)) // 64
    assert header.least_bytes((4096, 4096), 1 << 24) == (1 << 24) // 512
    code = np.frombuffer(header.to_bytes() + bytes(1 << 15), np.uint8)
    with pytest.raises(ValueError, match="bytes"):
        check(code, (1, 1 << 24), 1 << 24)
