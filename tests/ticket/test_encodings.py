"""Any masks, nested or not, and any weights: written, read back, and the same whichever way they are stored."""

import math
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_ticket import toy_ticket

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


@settings(max_examples=150, deadline=None)
@given(mask_levels())
def test_masks_come_back_from_memory(levels: dict[int, Masks]) -> None:
    packed = pack_levels(levels.items())
    walked = dict(packed.walk())
    for level, masks in levels.items():
        assert equal(packed.masks(level), masks)
        assert packed.kept(level) == {name: int(mask.sum()) for name, mask in masks.items()}
        bits = packed.bits(level)
        assert all(np.array_equal(walked[level][name], bits[name]) for name in bits)
    one_by_one = digest_of_digests((f"level-{level}", masks_sha256(masks)) for level, masks in levels.items())
    assert packed.sha256() == one_by_one
    union = {name: torch.stack([masks[name] for masks in levels.values()]).any(0) for name in packed.shapes}
    assert all(np.array_equal(packed.union()[name], np.packbits(mask, bitorder="little"))
               for name, mask in ((name, mask.view(-1).numpy()) for name, mask in union.items()))  # fmt: skip


@settings(max_examples=20, deadline=None)
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
    assert list(ENCODINGS) == ["survivor-bits", "bits"]
    assert [ENCODINGS[name].first_format for name in ENCODINGS] == [1, 2]


@settings(max_examples=100, deadline=None)
@given(mask_levels())
def test_nothing_costs_more_than_a_bit_a_weight(levels: dict[int, Masks]) -> None:
    packed = pack_levels(levels.items())
    for encoded in packed.encoded.values():
        for name, one in encoded.items():
            assert len(one.bits) <= math.ceil(math.prod(packed.shapes[name]) / 8)
