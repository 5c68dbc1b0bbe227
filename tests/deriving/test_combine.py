"""Tickets made of others: masks weight by weight, the weights they start from, and what verify makes again."""

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from toy_ticket import KEPT, edit_config, fields, masks, rewind_state
from toy_zoo import found, make_ticket, save_ticket

from ticketzoo import Ticket, load_ticket, verify
from ticketzoo.api.compare import combine_into
from ticketzoo.deriving.again import check_combination
from ticketzoo.errors import TicketError
from ticketzoo.ticket import Found
from ticketzoo.ticket.combined import combined, joined_name


def toy(name: str = "toy.numbers-imp", seed: int = 7, kept: dict[int, Any] | None = None, **changed: Any) -> Ticket:
    """One replicate of the toy, with the masks of its levels or others, at its last level."""
    levels = kept or {level: masks(level) for level in KEPT}
    return Ticket.create(**fields(name=name, replicates=[Found(seed, levels, rewind_state())], **changed))


def mirrored(seed: int = 7) -> Ticket:
    return toy("mirrored", seed, {level: masks(level, mirrored=True) for level in KEPT})


def flat(masks: dict[str, Tensor]) -> list[list[int]]:
    return [mask.flatten().nonzero().flatten().tolist() for mask in masks.values()]


def test_and_or_and_minus_of_the_toy() -> None:
    """At level 4 fc1 keeps [0, 5, 6, 7] and, mirrored, [4, 7, 8, 9]; fc2 [1] and [0]."""
    one, other = toy().at(level=4), mirrored().at(level=4)
    assert flat((one & other).masks) == [[7], []]
    assert flat((one | other).masks) == [[0, 4, 5, 6, 7, 8, 9], [0, 1]]
    assert flat((one - other).masks) == [[0, 5, 6], [1]]
    made = one | other
    assert (made.level, made.seeds, made.sparsity) == (4, [7], 3 / 12)
    assert made.rewind_state["fc1.weight"].flatten().tolist() == [0, 0, 0, 0, 4, 5, 6, 7, 8, 9]
    assert torch.equal(made.rewind_state["fc1.bias"], torch.tensor([10.0, 11.0]))
    with pytest.raises(TypeError):
        one | 3


def test_what_a_combined_ticket_states() -> None:
    made = toy().at(level=4) | mirrored().at(level=2)
    stated = made.config.derived
    assert (made.config.format, made.name) == (2, "toy.numbers-imp-or-mirrored")
    assert stated.method == "union"
    assert [parent.name for parent in stated.parents] == ["toy.numbers-imp", "mirrored"]
    assert stated.arguments == {"levels": [[4, 2]], "seeds": [[7, 7]]}
    assert (made.results, made.config.verdict, made.recipe_text) == ([], None, None)


bits = st.lists(st.booleans(), min_size=10, max_size=10).filter(any)


@settings(max_examples=15)
@given(bits, bits)
def test_what_both_keep_and_what_one_keeps_alone_make_it_again(first: list[bool], second: list[bool]) -> None:
    last = {"fc2.weight": torch.tensor([[True, False]])}
    a, b = (
        toy(name, kept={1: {"fc1.weight": torch.tensor(kept).view(2, 5), **last}})
        for name, kept in (("a", first), ("b", second))
    )
    if not any(x and not y for x, y in zip(first, second, strict=True)):
        with pytest.raises(TicketError, match="'a' and 'b': their difference keeps no weight at level 1"):
            a - b
        return
    again = (a & b) | (a - b)
    assert all(torch.equal(again.masks[name], a.masks[name]) for name in a.masks)
    assert all(torch.equal(again.rewind_state[name], a.rewind_state[name]) for name in a.rewind_state)


def test_levels_of_nested_tickets_nest() -> None:
    one, other = (Ticket.create(**fields()), mirrored())
    levels = [[1, 1], [2, 2], [4, 4]]
    for way, nested in (("and", True), ("or", True), ("minus", False)):
        made = combined([one, other], way, levels=levels)
        assert [entry.nested for entry in made.levels] == [True, nested, nested]


def test_replicates_are_paired_by_the_numbers_of_their_seeds(caplog: pytest.LogCaptureFixture) -> None:
    """The toy has seeds 7 and 3; what goes together by no number, or with none, is told in a line."""
    both = Ticket.create(**fields())
    assert (both & both).seeds == [7, 3]
    assert not caplog.messages
    other = both & mirrored(seed=3)
    assert (other.seeds, other.config.derived.arguments["seeds"]) == ([3], [[3, 3]]), "not the first of each"
    assert (mirrored(seed=3) & both).seeds == [3]
    assert caplog.messages == ["combined replicates: seed 7 of 'toy.numbers-imp' left out"] * 2


def test_replicates_in_hand_go_together_where_one_is_chosen_or_no_number_is_shared(
    caplog: pytest.LogCaptureFixture,
) -> None:
    both = Ticket.create(**fields())
    assert flat((both.at(level=4, seed=3) & mirrored().at(level=4)).masks) == [[4, 7, 8, 9], [0]]
    assert (toy() & mirrored(seed=5)).config.derived.arguments["seeds"] == [[7, 5]]
    assert caplog.messages == [
        "combined replicates: seed 3 of 'toy.numbers-imp' goes with seed 7 of 'mirrored'; "
        "seed 7 of 'toy.numbers-imp' left out",
        "combined replicates: seed 7 of 'toy.numbers-imp' goes with seed 5 of 'mirrored'",
    ]


def test_tickets_that_make_none_are_refused_in_one_line() -> None:
    other = {**rewind_state(), "fc1.weight": rewind_state()["fc1.weight"] + 1}
    moved = Ticket.create(**fields(name="moved", replicates=[Found(7, {level: masks(level) for level in KEPT}, other)]))
    with pytest.raises(TicketError, match=r"\(seeds 7, 7\) start from different weights: 'fc1.weight' differs"):
        toy() | moved
    with pytest.raises(TicketError, match=r"are of different networks: 'fc1.weight' has \[2, 5\] and \[15, 16\]"):
        toy() | make_ticket()
    with pytest.raises(TicketError, match="masked is zero and frozen"):
        toy() | toy("frozen", masked="frozen")
    with pytest.raises(TicketError, match=r"unknown way to combine tickets 'xor'; known are and, or, minus$"):
        combined([toy(), toy()], "xor")
    assert combined([toy(), toy()], "union").name == "toy.numbers-imp-or-toy.numbers-imp"
    low = {"fc1.weight": (torch.arange(10) < 5).view(2, 5), "fc2.weight": torch.tensor([[True, False]])}
    left, right = toy("left", kept={1: low}), toy("right", kept={1: {name: ~mask for name, mask in low.items()}})
    with pytest.raises(TicketError, match="no rewind weight in common"):
        left | right


def test_names_that_are_too_long_end_in_a_digest() -> None:
    assert joined_name(["a", "b"], "and") == "a-and-b"
    name = joined_name(["a" * 60, "b" * 60], "and")
    assert len(name) == 96
    assert name != joined_name(["a" * 60, "b" * 59 + "c"], "and")


def save_two(folder: Path) -> None:
    """Two tickets of one initialization, the second with masks of the first's levels turned upside down."""
    turned = []
    for seed in (0, 1):
        one = found(seed)
        levels = {level: {name: mask.flip(1) for name, mask in each.items()} for level, each in one.levels.items()}
        turned.append(Found(seed, levels, one.rewind_state))
    save_ticket(folder / "lenet.digits-imp")
    save_ticket(folder / "turned", name="turned", replicates=turned)


def test_a_saved_combination_is_made_again_by_verify(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKETZOO_REGISTRY", str(tmp_path))
    save_two(tmp_path)
    made = combine_into(["lenet.digits-imp", "turned"], "and", tmp_path / "both")
    assert [entry.level for entry in made.levels] == [1, 2]
    checks = [str(check) for check in verify(tmp_path / "both")]
    assert "ticket.json: masks are those that its parents give by intersection, its rewind weights theirs" in checks
    assert not [check for check in checks if "NOTE" in check and "nothing" not in check]
    card = (tmp_path / "both" / "README.md").read_text()
    assert "verdict: none was given" in card
    assert "lenet.digits-imp (masks" in card
    loaded = load_ticket("both", level=2, seed=1)
    loaded.build(allow_empty=True)
    parents = [load_ticket(name, level=2, seed=1) for name in ("lenet.digits-imp", "turned")]
    for name, mask in loaded.masks.items():
        assert torch.equal(mask, parents[0].masks[name] & parents[1].masks[name])

    edit_config(tmp_path / "both", lambda config: config["derived"].update(method="union"))
    with pytest.raises(TicketError, match=r"not the union of its parents': 'fc1.weight' at level 1 \(seed 0\)"):
        verify(tmp_path / "both", results=False)
    own = {"name": "both", "mask_sha256": made.config.mask_sha256}
    stated = made.config.derived.model_dump(mode="json")["parents"]
    edit_config(tmp_path / "both", lambda config: config["derived"].update(parents=[own, own]))
    assert any("only claimed, as both" in str(check) for check in verify(tmp_path / "both", results=False))
    edit_config(tmp_path / "both", lambda config: config["derived"].update(parents=stated))
    edit_config(tmp_path / "both", lambda config: config["derived"]["arguments"].update(levels=[[1, 1]]))
    with pytest.raises(TicketError, match=r"derived.arguments: levels are \[\[1, 1\]\], and the ticket has \[1, 2\]"):
        verify(tmp_path / "both", results=False)


def test_weights_of_every_level_are_those_of_the_parents() -> None:
    """Of tickets with weights of their own by level; those of the first level alone are changed."""
    masks_of = {level: masks(level) for level in KEPT}

    def ticket(name: str, by: float = 0.0, **changed: Any) -> Ticket:
        moved = {"fc2.bias": rewind_state()["fc2.bias"] + by}
        states = {level: rewind_state() | (moved if level == min(KEPT) else {}) for level in KEPT}
        return Ticket.create(**fields(name=name, replicates=[Found(7, masks_of, rewind_levels=states)], **changed))

    parents = [ticket("one"), ticket("other")]
    made = combined(parents, "and", levels=[[level, level] for level in KEPT])
    assert check_combination(made, parents)
    with pytest.raises(TicketError, match=r"not those of its parents: 'fc2.bias' differs at level 1 \(seed 7\)"):
        check_combination(ticket("changed", 1.0, derived=made.config.derived.model_dump(mode="json")), parents)


def test_a_combination_whose_parents_are_not_at_hand_is_only_claimed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TICKETZOO_REGISTRY", str(tmp_path / "none"))
    save_two(tmp_path / "parents")
    combine_into(["lenet.digits-imp", "turned"], "or", tmp_path / "alone" / "either", registry=tmp_path / "parents")
    notes = [check.holds for check in verify(tmp_path / "alone" / "either") if "claimed" in check.holds]
    (note,) = notes
    assert note.startswith("NOTE: made from others by union: that is only claimed, as lenet.digits-imp (masks ")
    with pytest.raises(TicketError, match="exists: choose another folder"):
        combine_into(["lenet.digits-imp", "turned"], "or", tmp_path / "alone" / "either", registry=tmp_path / "parents")


def test_parents_of_another_network_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKETZOO_REGISTRY", str(tmp_path))
    save_two(tmp_path)
    made = combine_into(["lenet.digits-imp", "turned"], "and", tmp_path / "both")
    other = toy("other")
    other.save_pretrained(tmp_path / "other")
    parents = [{"name": "other", "mask_sha256": other.config.mask_sha256}] * 2
    edit_config(tmp_path / "both", lambda config: config["derived"].update(parents=parents))
    assert made.config.shapes != other.config.shapes
    with pytest.raises(TicketError, match="its masks are not of the parameters that 'other' masks"):
        verify(tmp_path / "both", results=False)
