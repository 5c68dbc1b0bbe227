"""Any masks, nested or not, and any weights: written, read back, and the same whichever way they are stored."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import save
from toy_ticket import MASKS, assert_refused, edit_config, forge, toy_ticket

from ticketzoo.masks import bits as bit
from ticketzoo.masks.bits import Bits
from ticketzoo.masks.digests import digest_of_digests, masks_sha256, state_sha256
from ticketzoo.masks.masks import Masks
from ticketzoo.ticket import Found, Ticket
from ticketzoo.ticket.encoding import ENCODINGS
from ticketzoo.ticket.levels import pack_levels

SHAPES = st.dictionaries(
    st.sampled_from(["a", "b.weight", "c.0.weight"]),
    st.lists(st.integers(1, 5), max_size=3).map(tuple),
    min_size=1,
)


@st.composite
def mask_levels(draw: st.DrawFn) -> dict[int, Masks]:
    """One to four levels of up to three masks, each weight kept or not; some levels inside the one before."""
    shapes = draw(SHAPES)
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    levels: dict[int, Masks] = {}
    before: Masks = {}
    for level in sorted(draw(st.sets(st.integers(0, 30), min_size=1, max_size=4))):
        density, inside = draw(st.sampled_from([0.0, 0.3, 0.9, 1.0])), draw(st.booleans())
        masks = {name: torch.from_numpy(np.asarray(random.random(shape) < density)) for name, shape in shapes.items()}
        first = next(iter(masks.values()))
        first.view(-1)[draw(st.integers(0, first.numel() - 1))] = True  # a level keeps something
        if before and inside:
            nested = {name: mask & before[name] for name, mask in masks.items()}
            masks = nested if any(mask.any() for mask in nested.values()) else before
        levels[level] = before = masks
    return levels


def equal(one: Masks, other: Masks) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@settings(max_examples=150)
@given(mask_levels())
def test_masks_come_back_from_memory(levels: dict[int, Masks]) -> None:
    packed, unwalked = pack_levels(levels.items()), pack_levels(levels.items())
    walked = dict(packed.walk())
    for level, masks in levels.items():
        assert equal(unwalked.masks(level), masks)
        for mask in packed.masks(level).values():
            mask.zero_()  # what is given is the caller's own, although walked levels are remembered
        assert equal(packed.masks(level), masks)
        assert packed.kept(level) == {name: int(mask.sum()) for name, mask in masks.items()}
        bits = unwalked.bits(level)
        assert all(np.array_equal(walked[level][name], bits[name]) for name in bits)
    one_by_one = digest_of_digests((f"level-{level}", masks_sha256(masks)) for level, masks in levels.items())
    assert packed.sha256() == one_by_one
    union = {name: torch.stack([masks[name] for masks in levels.values()]).any(0) for name in packed.shapes}
    assert all(np.array_equal(packed.union()[name], np.packbits(mask, bitorder="little"))
               for name, mask in ((name, mask.view(-1).numpy()) for name, mask in union.items()))  # fmt: skip


@settings(max_examples=20)
@given(levels=mask_levels(), data=st.data())
def test_tickets_come_back_from_disk(levels: dict[int, Masks], data: st.DataObject) -> None:
    shapes = {name: mask.shape for name, mask in next(iter(levels.values())).items()}
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 2**32)))
    scale = data.draw(st.floats(2**-100, 2**100, width=32))
    signs = {name: torch.rand(shape, generator=generator) for name, shape in shapes.items()}
    state = {name: torch.where(sign < 0.5, -scale, scale) for name, sign in signs.items()}
    state["bias"] = torch.rand(3, generator=generator)
    masked = data.draw(st.sampled_from(["zero", "frozen"]))
    own = data.draw(st.booleans())
    weights: dict[str, Any] = {"rewind_levels": dict.fromkeys(levels, state)} if own else {"rewind_state": state}
    found = [Found(0, levels, values={max(levels): state} if data.draw(st.booleans()) else None, **weights)]
    tickets = [toy_ticket(replicates=found, masked=masked, rewind_kind=kind) for kind in ("packed", "signed")]
    digests = {ticket.config.replicates[0].rewind_sha256 for ticket in tickets}
    assert len(digests) == 1
    for ticket in tickets:
        with TemporaryDirectory() as folder:
            again = Ticket.from_pretrained(ticket.save_pretrained(Path(folder, "toy")))
            for level, masks in levels.items():
                view = again.at(level=level)
                expected = {
                    name: tensor * masks[name] if name in masks and masked == "zero" else tensor
                    for name, tensor in state.items()
                }
                assert equal(view.masks, masks)
                assert state_sha256(view.rewind_state) == state_sha256({k: v + 0 for k, v in expected.items()})


def test_the_table_of_encodings() -> None:
    assert list(ENCODINGS) == ["survivor-bits", "bits", "survivor-range", "range"]
    assert [ENCODINGS[name].first_format for name in ENCODINGS] == [1, 2, 2, 2]
    assert [ENCODINGS[name].asked for name in ENCODINGS] == ["", "", "range", "range"]


@settings(max_examples=100)
@given(mask_levels())
def test_nothing_costs_more_than_a_bit_a_weight(levels: dict[int, Masks]) -> None:
    packed = pack_levels(levels.items())
    for encoded in packed.encoded.values():
        for name, one in encoded.items():
            assert len(one.content) <= math.ceil(math.prod(packed.shapes[name]) / 8)


@pytest.fixture
def indices() -> Iterator[None]:
    """An encoding of variable size, as a user's package would add it: four bytes for each kept weight."""

    @ENCODINGS.add("indices", first_format=2)
    class Indices:
        @staticmethod
        def encode(mask: Bits, shape: tuple[int, ...], outer: Bits | None) -> Bits | None:
            return np.flatnonzero(bit.unpack(mask, math.prod(shape))).astype("<u4").view(np.uint8)

        @staticmethod
        def decode(content: Bits, shape: tuple[int, ...], outer: Bits | None) -> Bits:
            mask = np.zeros(math.prod(shape), np.bool_)
            mask[content.view("<u4")] = True
            return bit.pack(mask)

        @staticmethod
        def sizes(shape: tuple[int, ...], before: int) -> range:
            return range(0, 4 * math.prod(shape) + 1, 4)

        @staticmethod
        def check(content: Bits, shape: tuple[int, ...], before: int) -> None:
            places = content.view("<u4").astype(np.int64)
            if (np.diff(places) <= 0).any() or (places >= math.prod(shape)).any():
                raise ValueError("indices that do not rise, or lie outside")

        @staticmethod
        def kept(content: Bits, shape: tuple[int, ...]) -> int:
            return len(content) // 4

    yield
    del ENCODINGS._entries["indices"]


def kept_at(*levels: tuple[int, ...]) -> list[Found]:
    """One replicate that keeps weights 0, 1, ... of 10 by 10 at the given places of each level."""
    masks = {level: torch.isin(torch.arange(100), torch.tensor(places)) for level, places in enumerate(levels)}
    state = {"w": torch.arange(100.0).view(10, 10)}
    return [Found(7, {level: {"w": mask.view(10, 10)} for level, mask in masks.items()}, state)]


def stored(folder: Path) -> dict[str, tuple[str, list[int]]]:
    with safe_open(folder / MASKS, "np") as file:
        stated = json.loads(file.metadata()["encoding"])
        return {key: (stated[key], file.get_tensor(key).tolist()) for key in stated}


@pytest.mark.usefixtures("indices")
def test_an_encoding_of_another_shape_is_one_row(tmp_path: Path) -> None:
    found = kept_at((3, 99), (3,), (3, 5))  # 100 weights take 13 bytes; 2 survivors take 1
    folder = toy_ticket(replicates=found).save_pretrained(tmp_path / "toy")
    assert stored(folder) == {
        "level-0/w": ("indices", [3, 0, 0, 0, 99, 0, 0, 0]),
        "level-1/w": ("survivor-bits", [1]),
        "level-2/w": ("indices", [3, 0, 0, 0, 5, 0, 0, 0]),
    }
    ticket = Ticket.from_pretrained(folder)
    assert ticket.config.format == 2
    assert [(entry.kept, entry.nested) for entry in ticket.levels] == [(2, True), (1, True), (2, False)]
    for level, masks in found[0].levels.items():
        assert equal(ticket.at(level=level).masks, dict(masks))
    assert ticket.at(level=2).rewind_state["w"].nonzero().tolist() == [[0, 3], [0, 5]]
    assert ticket.known_rewind["w"].flatten().nonzero().flatten().tolist() == [3, 5, 99]


@pytest.mark.usefixtures("indices")
def test_nested_masks_of_a_free_encoding_are_still_of_the_format_that_knows_it(tmp_path: Path) -> None:
    folder = toy_ticket(replicates=kept_at((3, 99))).save_pretrained(tmp_path / "toy")
    assert Ticket.from_pretrained(folder).levels[0].nested
    edit_config(folder, lambda config: config.update(format=1))
    assert_refused(folder, r"'level-0/w' is encoded as 'indices', which this ticketzoo cannot read: upgrade")


@pytest.mark.usefixtures("indices")
@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([3, 0, 0, 0, 3, 0, 0, 0], "'level-0/w' has indices that do not rise, or lie outside"),
        ([3, 0, 0, 0, 100, 0, 0, 0], "'level-0/w' has indices that do not rise, or lie outside"),
        (
            [3, 0, 0, 0, 5],
            r"U8 of shape \(5,\), but indices of this mask need uint8 of shape \(0 to 400,\)",
        ),
        ([3, 0, 0, 0], "level 0 keeps 1 weights, but ticket.json says 2"),
        ([3, 0, 0, 0, 98, 0, 0, 0], "the masks have digest"),
    ],
)
def test_forged_bytes_of_it_are_refused(content: list[int], message: str, tmp_path: Path) -> None:
    folder = toy_ticket(replicates=kept_at((3, 99))).save_pretrained(tmp_path / "toy")
    tensors = {"level-0/w": np.array(content, np.uint8)}
    forge(folder, MASKS, save(tensors, {"encoding": json.dumps({"level-0/w": "indices"})}))
    assert_refused(folder, message)


@pytest.mark.parametrize(("second", "message"), [((3,), "digest"), ((3, 5), "level 1 is not nested, but ticket.json")])
def test_bits_may_hold_nested_masks_and_no_others_where_ticket_json_says_nested(
    second: tuple[int, ...], message: str, tmp_path: Path
) -> None:
    folder = toy_ticket(replicates=kept_at((3, 99), second), masked="frozen").save_pretrained(tmp_path / "toy")
    edit_config(folder, lambda config: config["levels"][1].update(nested=True))
    bits = {f"level-{n}/w": np.packbits(np.isin(np.arange(100), kept), bitorder="little") for n, kept in
            enumerate([(3, 98 if message == "digest" else 99), second])}  # fmt: skip
    forge(folder, MASKS, save(bits, {"encoding": json.dumps(dict.fromkeys(bits, "bits"))}))
    assert_refused(folder, message)
