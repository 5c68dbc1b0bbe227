"""Tickets whose hidden units were put in another order: what they keep, and what verify makes again."""

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save

from ticketzoo import Ticket, verify
from ticketzoo.aligning.permutation import inverse, permuted, random_permutations
from ticketzoo.deriving.align import MOVED, OWN, Match, aligned, check_aligned, read_order
from ticketzoo.errors import TicketError
from ticketzoo.masks.random import random_masks
from ticketzoo.models import architecture_of, create_from_architecture
from ticketzoo.models.create import initial_state
from ticketzoo.models.unit_groups import unit_groups
from ticketzoo.ticket import Found

# 4 inputs, 6 and 2 hidden units, 3 classes
ARCHITECTURE = architecture_of("lenet-300-100", {"in_shape": [1, 2, 2], "num_classes": 3, "width": 0.02})
GROUPS = unit_groups(create_from_architecture(ARCHITECTURE, seed=0))
SHAPES = {"fc1.weight": (6, 4), "fc2.weight": (2, 6), "fc3.weight": (3, 2)}


def halves(seed: int) -> dict[str, torch.Tensor]:
    return random_masks({name: torch.arange(a * b).view(a, b) % 2 == 0 for name, (a, b) in SHAPES.items()}, seed)


def ticket(number: int = 0, name: str = "parent") -> Ticket:
    found = [Found(seed, {1: halves(2 * number + seed)}, initial_state(ARCHITECTURE, seed)) for seed in (0, 1)]
    pruning = {"method": "imp", "scope": "global", "rate": 0.5}
    source = {"dataset": "digits"}
    made: Ticket = Ticket.create(
        name=name,
        architecture=ARCHITECTURE,
        task="image-classification",
        source=source,
        pruning=pruning,
        replicates=found,
    )
    return made


def match(order: dict[str, torch.Tensor], **changed: Any) -> Match:
    facts: dict[str, Any] = {"seed": 0, "to_seed": 1, "by": "weights", "groups": GROUPS, "order": order, "step": 0}
    return Match(**{**facts, "state": initial_state(ARCHITECTURE, 1), "weights": OWN, **changed})


@settings(max_examples=20)
@given(st.integers(0, 2**40))
def test_moved_there_and_back_masks_are_what_they_were_and_layers_as_dense(seed: int) -> None:
    parent, order = ticket(), random_permutations(GROUPS, seed)
    there = aligned(parent, match(order), name="there")
    masks = parent.at(seed=0).masks
    assert {name: int(mask.sum()) for name, mask in there.masks.items()} == {
        name: int(mask.sum()) for name, mask in masks.items()
    }
    back = permuted(there.masks, GROUPS, inverse(order))
    assert all(torch.equal(back[name], mask) for name, mask in masks.items())
    state = permuted(permuted(initial_state(ARCHITECTURE, 0), GROUPS, order), GROUPS, inverse(order))
    assert all(torch.equal(state[name], tensor) for name, tensor in initial_state(ARCHITECTURE, 0).items())
    assert check_aligned(there, [parent])


def test_a_swap_by_hand_moves_rows_of_one_layer_and_columns_of_the_next() -> None:
    order = {"fc1.weight": torch.arange(6), "fc2.weight": torch.tensor([1, 0])}
    parent = ticket()
    made, before = aligned(parent, match(order), name="there"), parent.at(seed=0).masks
    assert torch.equal(made.masks["fc1.weight"], before["fc1.weight"])
    assert torch.equal(made.masks["fc2.weight"], before["fc2.weight"].flip(0))
    assert torch.equal(made.masks["fc3.weight"], before["fc3.weight"].flip(1))
    own = initial_state(ARCHITECTURE, 1)["fc1.weight"]
    assert torch.equal(made.rewind_state["fc1.weight"], own * made.masks["fc1.weight"])
    assert (made.seeds, made.results, made.config.verdict) == ([1], [], None)


def test_moved_weights_go_with_their_masks_and_the_function_stays() -> None:
    parent, order = ticket(), random_permutations(GROUPS, 3)
    moved = permuted(initial_state(ARCHITECTURE, 0), GROUPS, order)
    made = aligned(parent, match(order, state=moved, weights=MOVED), name="there")
    assert check_aligned(made, [parent])
    images = torch.rand(5, 1, 2, 2)
    one, other = (of.build()(images) for of in (parent.at(seed=0), made))
    assert torch.allclose(one, other, atol=1e-6)


def test_a_ticket_with_its_units_in_another_order_trains_as_the_ticket_does() -> None:
    """Masks and weights moved: the same losses at every step, on the same batches; moved back, the same weights."""
    parent, order = ticket(), random_permutations(GROUPS, 3)
    moved = permuted(initial_state(ARCHITECTURE, 0), GROUPS, order)
    made = aligned(parent, match(order, state=moved, weights=MOVED), name="there")
    losses, ends = [], []
    for view in (parent.at(seed=0), made):
        model = view.build()
        view.apply(model)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
        generator, of = torch.Generator().manual_seed(0), []
        for _ in range(20):
            images = torch.rand(8, 1, 2, 2, generator=generator)
            loss = torch.nn.functional.cross_entropy(model(images), images.flatten(1)[:, :3].argmax(1))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            of.append(loss.item())
        losses.append(of)
        ends.append({name: tensor.detach() for name, tensor in model.named_parameters()})
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)
    assert losses[0][-1] < losses[0][0]
    back = permuted(ends[1], GROUPS, inverse(order))
    assert all(torch.allclose(back[name], tensor, atol=1e-3) for name, tensor in ends[0].items())


def test_what_is_not_of_the_parent_is_refused(tmp_path: Path) -> None:
    order = random_permutations(GROUPS, 5)
    parent, other = ticket(), ticket(1)
    made = aligned(parent, match(order), name="there")
    with pytest.raises(TicketError, match="its masks are not its parent's with units moved"):
        check_aligned(made, [other])
    wrong = aligned(parent, match(order, state=initial_state(ARCHITECTURE, 9)), name="there")
    with pytest.raises(TicketError, match="its rewind weights are not those of its parent"):
        check_aligned(wrong, [parent])
    parent.save_pretrained(tmp_path / "parent")
    made.save_pretrained(tmp_path / "there")
    checks = [str(line) for line in verify(tmp_path / "there")]
    assert any("masks are those that its parents give by align" in line for line in checks)
    assert not [line for line in checks if "author's own" in line], "the words are those of the command that made it"


@pytest.mark.parametrize(
    "order",
    [
        {"fc1.weight": torch.arange(6)},
        {"fc1.weight": torch.arange(6), "fc2.weight": torch.tensor([0, 0])},
        {"fc1.weight": torch.arange(6), "fc2.weight": torch.tensor([0, 2])},
        {"fc1.weight": torch.arange(6.0), "fc2.weight": torch.arange(2)},
        {"fc1.weight": torch.arange(7), "fc2.weight": torch.arange(2)},
    ],
)
def test_what_is_no_order_of_the_units_is_refused(order: dict[str, torch.Tensor]) -> None:
    with pytest.raises(TicketError, match=r"alignment\.safetensors: (holds an order of 1|'fc.\.weight' is no order)"):
        read_order(save(order), GROUPS)
    with pytest.raises(TicketError, match="cannot be read"):
        read_order(b"nothing", GROUPS)
