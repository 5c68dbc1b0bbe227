"""The mask-1 actions of Zhou et al. 2019 on a layer of four weights, by hand."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from test_arms import ticket

from ticketzoo.evaluation.arms import ARMS, Draw
from ticketzoo.models.create import initial_state
from ticketzoo.training.job import Job

KEPT_SIGNS = ["random_reinit_kept_signs", "permuted_values_kept_signs", "constant_kept_signs"]


def made(arm: str, job: Job, draw: int = 0) -> Job:
    return ARMS[arm].make(job, Draw(arm, draw))


@pytest.mark.parametrize("arm", KEPT_SIGNS)
def test_signs_are_kept_and_so_are_the_masks(arm: str) -> None:
    job = ticket()
    other = made(arm, job)
    for name, mask in job.masks.items():
        assert torch.equal(other.masks[name], mask)
        assert torch.equal(other.state[name][mask].sign(), job.state[name][mask].sign())
        assert not torch.equal(other.state[name][mask], job.state[name][mask])


def test_constants_have_the_standard_deviation_of_the_whole_layer() -> None:
    """The weights 1, -2, 3, -6 have the mean -1 and the squares 4, 1, 16, 25 about it: 11.5 on average."""
    job = ticket()
    layer = torch.tensor([[1.0, -2.0], [3.0, -6.0], [1.0, -2.0]])
    mask = torch.tensor([[True, False], [True, False], [False, True]])
    four = replace(job, state={**job.state, "fc3.weight": layer}, masks={"fc3.weight": mask})
    size = layer.double().std(correction=0).item()
    kept = made("constant_kept_signs", four).state["fc3.weight"]
    assert torch.allclose(kept, size * layer.sign())
    drawn = made("constant", four).state["fc3.weight"]
    assert torch.allclose(drawn.abs(), torch.full((3, 2), size))
    assert sorted(drawn.flatten().sign().tolist()) == [-1, -1, -1, 1, 1, 1]
    assert any(not torch.equal(made("constant", four, draw).state["fc3.weight"], drawn) for draw in (1, 2, 3))


def test_the_divisor_of_the_standard_deviation_is_the_number_of_weights() -> None:
    from ticketzoo.models.signs import signed_constants

    weights = {"w": torch.tensor([1.0, -2.0, 3.0, -6.0])}
    assert signed_constants(weights, weights)["w"].tolist() == pytest.approx([x * 11.5**0.5 for x in (1, -1, 1, -1)])
    assert signed_constants(weights, {"w": torch.zeros(4)})["w"].tolist() == pytest.approx([11.5**0.5] * 4)


def test_magnitudes_are_those_that_the_plain_arm_has() -> None:
    job = ticket()
    fresh = initial_state(job.architecture, job.seed, "random_reinit_kept_signs", 0)
    reinit, moved = made(KEPT_SIGNS[0], job), made(KEPT_SIGNS[1], job)
    for name, mask in job.masks.items():
        assert torch.equal(reinit.state[name].abs(), fresh[name].abs())
        before, after = (state[name][mask].abs().sort().values for state in (job.state, moved.state))
        assert torch.equal(before, after)
    assert (reinit.start_step, moved.start_step) == (0, 5)
    assert torch.equal(reinit.state["fc1.bias"], fresh["fc1.bias"])


def test_of_a_random_ticket_only_the_counts_of_each_layer_are_the_tickets() -> None:
    job = ticket()
    job = replace(job, state={name: torch.full_like(tensor, 7.0) for name, tensor in job.state.items()})
    drawn = made("random_ticket", job)
    assert [int(mask.sum()) for mask in drawn.masks.values()] == [8, 6, 6]
    assert not torch.equal(drawn.masks["fc1.weight"], job.masks["fc1.weight"])
    assert all(tensor.abs().max() < 2 for tensor in drawn.state.values())  # no 7 is left, in no bias either
    assert not torch.equal(drawn.state["fc1.weight"], initial_state(job.architecture, job.seed)["fc1.weight"])
    assert (drawn.start_step, drawn.seed) == (0, job.seed)
    late = ARMS["random_ticket"].make(job, Draw("random_ticket", reinit_from="rewind-step"))
    assert late.start_step == 5
    other = made("random_ticket", job, draw=1)
    assert not torch.equal(other.masks["fc1.weight"], drawn.masks["fc1.weight"])
    assert not torch.equal(other.state["fc1.weight"], drawn.state["fc1.weight"])


@pytest.mark.parametrize("arm", [*KEPT_SIGNS, "constant", "random_ticket"])
def test_the_ticket_itself_is_left_alone(arm: Any) -> None:
    job = ticket()
    before = job.specification()
    made(arm, job)
    assert job.specification() == before
