import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ticketzoo.evaluation.arms import ARMS, Draw
from ticketzoo.evaluation.controls import Controls, dense_training, ticket_labels
from ticketzoo.masks.masks import Masks
from ticketzoo.masks.random import random_masks, shuffled_masks
from ticketzoo.models import architecture_of
from ticketzoo.models.create import initial_state
from ticketzoo.runs.store import Job
from ticketzoo.training import TrainingConfig

# 4 inputs, 6 and 2 hidden units, 3 classes
ARCHITECTURE = architecture_of("lenet-300-100", {"in_shape": [1, 2, 2], "num_classes": 3, "width": 0.02})
RANDOM_ARMS = ["random_reinit", "random_mask", "shuffled_mask", "permuted_values", "rescaled_reinit"]


class NoTask:
    """Arms know nothing of data."""

    identity: dict[str, Any] = {"name": "none"}  # noqa: RUF012


def masks() -> Masks:
    return {
        "fc1.weight": torch.arange(24).view(6, 4) % 3 == 0,  # 8 of 24
        "fc2.weight": torch.arange(12).view(2, 6) % 2 == 0,  # 6 of 12
        "fc3.weight": torch.ones(3, 2, dtype=torch.bool),
    }


def arm_job(arm: str, job: Job, draw: int = 0, known: Masks | None = None) -> Job:
    return ARMS[arm].make(job, Draw(arm, draw, known=known))


def ticket(seed: int = 0) -> Job:
    state = initial_state(ARCHITECTURE, 77)
    return Job(ARCHITECTURE, state, masks(), NoTask(), TrainingConfig(), seed, start_step=5)


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def counts(masks: Masks) -> list[int]:
    return [int(mask.sum()) for mask in masks.values()]


@pytest.mark.parametrize("draw_masks", [random_masks, shuffled_masks])
@given(st.lists(st.lists(st.booleans(), min_size=1, max_size=40), min_size=1, max_size=4), st.integers(0, 2**40))
def test_drawn_masks_keep_as_many_weights_of_every_layer(draw_masks: Any, layers: list[list[bool]], seed: int) -> None:
    given_masks = {f"layer{n}": torch.tensor(layer).view(1, -1) for n, layer in enumerate(layers)}
    before = {name: mask.clone() for name, mask in given_masks.items()}
    drawn = draw_masks(given_masks, seed)
    assert list(drawn) == list(given_masks)
    assert counts(drawn) == counts(given_masks)
    assert [mask.shape for mask in drawn.values()] == [mask.shape for mask in given_masks.values()]
    assert all(mask.dtype is torch.bool for mask in drawn.values())
    assert same(drawn, draw_masks(given_masks, seed))
    assert same(given_masks, before)


@pytest.mark.parametrize("draw_masks", [random_masks, shuffled_masks])
def test_every_position_is_drawn_equally_often(draw_masks: Any) -> None:
    """2 of 8 are kept, so each position is in 1000 of 4000 draws, give or take 5 standard deviations of 27."""
    given_masks = {"layer": torch.tensor([True, True] + [False] * 6)}
    hits = torch.stack([draw_masks(given_masks, seed)["layer"] for seed in range(4000)]).sum(0)
    assert hits.sum() == 8000
    assert (hits - 1000).abs().max() <= 137


def test_layers_of_one_shape_get_positions_of_their_own() -> None:
    layer = torch.arange(100) < 50
    for draw_masks in (random_masks, shuffled_masks):
        drawn = draw_masks({"one": layer, "two": layer}, 0)
        assert not torch.equal(drawn["one"], drawn["two"])


def test_the_ticket_arm_is_the_ticket() -> None:
    job = ticket()
    assert arm_job("ticket", job) is job


def test_the_dense_arm_is_the_seed_s_own_initialisation_without_masks_from_step_0() -> None:
    dense = arm_job("dense", ticket(seed=3))
    assert same(dense.state, initial_state(ARCHITECTURE, 3))
    assert (dense.masks, dense.start_step, dense.seed) == ({}, 0, 3)


def test_random_reinit_keeps_the_masks_and_draws_every_weight_anew() -> None:
    job = ticket()
    reinit = arm_job("random_reinit", job)
    assert same(reinit.masks, job.masks)
    for other in (job.state, initial_state(ARCHITECTURE, job.seed)):  # neither the ticket's nor dense's start
        assert not (reinit.state["fc1.weight"] == other["fc1.weight"]).any()
    assert (job.start_step, reinit.start_step) == (5, 0)
    early = ARMS["random_reinit"].make(job, Draw("random_reinit", reinit_from="rewind-step"))
    assert early.start_step == 5
    assert same(early.state, reinit.state)


def test_permuted_values_are_the_kept_ones_of_each_layer_in_another_order() -> None:
    job = ticket()
    moved = arm_job("permuted_values", job)
    assert same(moved.masks, job.masks)
    assert moved.start_step == job.start_step
    for name, mask in job.masks.items():
        before, after = job.state[name], moved.state[name]
        assert torch.equal(before[mask].sort().values, after[mask].sort().values)
        assert not torch.equal(before[mask], after[mask])
        assert torch.equal(before[~mask], after[~mask])
    assert torch.equal(job.state["fc1.bias"], moved.state["fc1.bias"])


def test_large_init_keeps_the_largest_weights_of_each_layer_at_the_ticket_s_counts() -> None:
    job = ticket()
    large = arm_job("large_init", job)
    assert counts(large.masks) == counts(job.masks) == [8, 6, 6]
    assert same(large.state, job.state)
    size = job.state["fc1.weight"].abs()
    assert size[large.masks["fc1.weight"]].min() > size[~large.masks["fc1.weight"]].max()


def test_large_init_looks_at_the_weights_that_a_packaged_ticket_has() -> None:
    job = ticket()
    known = {name: mask.clone() for name, mask in job.masks.items()}
    known["fc1.weight"].view(-1)[1] = True
    large = arm_job("large_init", job, known=known)
    assert counts(large.masks) == [8, 6, 6]
    assert not (large.masks["fc1.weight"] & ~known["fc1.weight"]).any()


def test_rescaled_reinit_is_as_large_as_the_ticket_in_each_layer() -> None:
    job = ticket()
    job = replace(job, state={name: 3 * tensor for name, tensor in job.state.items()})
    fresh, scaled = arm_job("random_reinit", job), arm_job("rescaled_reinit", job)
    assert scaled.start_step == 0
    for name, mask in job.masks.items():
        rms = [one.state[name][mask].square().mean().sqrt() for one in (job, scaled)]
        assert torch.allclose(rms[0], rms[1])
        ratio = scaled.state[name] / initial_state(ARCHITECTURE, job.seed, "rescaled_reinit", 0)[name]
        assert torch.allclose(ratio, ratio.flatten()[0])
    assert not torch.equal(fresh.state["fc1.weight"], scaled.state["fc1.weight"])


def test_dense_long_is_dense_for_as_long_as_the_whole_search() -> None:
    job = ticket(seed=3)
    training = TrainingConfig.model_validate({"steps": "2ep", "schedule": {"name": "step", "milestones": ["1ep"]}})
    job = replace(job, training=training)
    dense, long = arm_job("dense", job), ARMS["dense_long"].make(job, Draw("dense_long", trainings=16))
    assert str(long.training.steps) == "32ep"
    assert [str(step) for step in long.training.schedule.milestones] == ["16ep"]
    assert same(long.state, dense.state)
    assert (long.masks, long.start_step, long.seed) == ({}, 0, 3)


ADDRESSES = {
    "ticket": "ca208893ec116775",
    "dense": "91f4a2592d0f6cc0",
    "random_mask": "93f6a2c4f5bd299a",
    "shuffled_mask": "34d8054451b1255d",
    "magnitude": "61dda8ce11d5e7fd",
}


@pytest.mark.parametrize("arm", ADDRESSES)
def test_trainings_of_earlier_versions_are_found_again(arm: str) -> None:
    specification = json.dumps(arm_job(arm, ticket()).specification(), sort_keys=True)
    assert hashlib.sha256(specification.encode()).hexdigest()[:16] == ADDRESSES[arm]


@pytest.mark.parametrize("arm", ["random_mask", "shuffled_mask"])
def test_random_positions_keep_the_rewind_weights(arm: Any) -> None:
    job = ticket()
    drawn = arm_job(arm, job)
    assert same(drawn.state, job.state)
    assert counts(drawn.masks) == counts(job.masks) == [8, 6, 6]
    assert not torch.equal(drawn.masks["fc1.weight"], job.masks["fc1.weight"])
    assert drawn.start_step == job.start_step


@pytest.mark.parametrize("arm", RANDOM_ARMS)
def test_a_draw_can_be_repeated_and_another_draw_or_seed_is_another(arm: Any) -> None:
    first = arm_job(arm, ticket()).specification()
    assert arm_job(arm, ticket()).specification() == first
    others = [arm_job(arm, ticket(), draw=1), arm_job(arm, ticket(), draw=2), arm_job(arm, ticket(seed=1))]
    digests = [first] + [{**other.specification(), "seed": 0} for other in others]
    assert len({str((one["state"], one["masks"])) for one in digests}) == 4


def test_random_and_shuffled_masks_are_different_draws() -> None:
    drawn, shuffled = (arm_job(arm, ticket()).masks for arm in ("random_mask", "shuffled_mask"))
    assert not same(drawn, shuffled)


def test_the_ticket_s_job_is_left_as_it_was() -> None:
    job = ticket()
    before = job.specification()
    for arm in ("dense", *RANDOM_ARMS):
        arm_job(arm, job)
    assert job.specification() == before


@pytest.mark.parametrize("arm", ["random_mask", "shuffled_mask"])
def test_where_a_packaged_ticket_has_no_weights_the_random_arms_use_fresh_ones(arm: Any) -> None:
    """A ticket packaged from level 1 on has weights for the survivors of level 1 alone; elsewhere its state is 0."""
    known = {name: torch.arange(mask.numel()).view(mask.shape) % 2 == 0 for name, mask in masks().items()}
    job = ticket()
    job = replace(job, state={name: t * known[name] if name in known else t for name, t in job.state.items()})
    drawn = arm_job(arm, job, known=known)
    for name, where in known.items():
        assert torch.equal(drawn.state[name][where], job.state[name][where])
        assert (drawn.state[name][~where] != 0).all()
        assert not (drawn.state[name][~where] == initial_state(ARCHITECTURE, job.seed)[name][~where]).any()
    assert torch.equal(drawn.state["fc1.bias"], job.state["fc1.bias"])
    other = arm_job(arm, job, known=known, draw=1)
    assert not torch.equal(other.state["fc1.weight"], drawn.state["fc1.weight"])


def test_initialisations_follow_the_seed_and_the_stream() -> None:
    states = [initial_state(ARCHITECTURE, *key)["fc1.weight"] for key in [(0,), (1,), (0, "a"), (0, "a", 1)]]
    for i, one in enumerate(states):
        for other in states[:i]:
            assert not torch.equal(one, other)
    assert torch.equal(initial_state(ARCHITECTURE, 0, "a", 1)["fc1.weight"], states[3])


def test_the_documents_table_of_arms_is_the_table() -> None:
    page = (Path(__file__).parents[2] / "docs" / "transfer.md").read_text()
    told = [line for line in page.splitlines() if line.startswith(tuple(f"| `{name}` |" for name in ARMS))]
    arms = [entry for entry in ARMS.values() if not entry.same_as]
    assert told == [f"| `{arm.name}` | {arm.masks} | {arm.weights} |" for arm in arms]


def test_controls_of_a_training_are_labelled_as_its_rows_with_arm_and_draw() -> None:
    labels = ticket_labels(ticket="t", level=3, sparsity=0.5, target="mnist", seed=7)
    controls = Controls(("random_mask", "magnitude", "dense_long"), trainings=4)
    made = list(controls.beside(ticket(seed=7), labels, once=True))
    drawn = [(said["arm"], said["draw"], said["level"], said["sparsity"]) for _, said in made]
    assert drawn == [
        ("random_mask", 0, 3, 0.5),
        ("random_mask", 1, 3, 0.5),
        ("magnitude", 0, 3, 0.5),
        ("dense_long", 0, 0, 0.0),
    ]
    assert len(list(controls.beside(ticket(seed=7), labels, once=False))) == 3
    assert (controls.count(1), controls.count(5)) == (3 + 1, 3 * 5 + 1)
    assert [list(said) for _, said in made] == [list(labels)] * 4
    for job, said in made[:3]:
        expected = arm_job(said["arm"], ticket(seed=7), draw=said["draw"])
        assert job.specification() == expected.specification()
    dense, said = dense_training(ticket(seed=7), labels)
    assert (said["arm"], said["level"], said["sparsity"], dense.masks) == ("dense", 0, 0.0, {})
