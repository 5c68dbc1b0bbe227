"""Perturbed starts (Frankle et al. 2020b): the weights that a ticket starts from, changed in one respect."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from test_arms import masks, ticket

from ticketzoo.errors import RecipeError
from ticketzoo.evaluation.arms import ARMS, Draw
from ticketzoo.evaluation.perturbed_arms import effective_std, noisy, signed_as
from ticketzoo.masks.random import permuted_across, permuted_in_rows
from ticketzoo.models.create import initial_state
from ticketzoo.targets import TransferRecipe
from ticketzoo.training.job import Job

PERMUTED = ["permuted_across_layers", "permuted_in_filters"]
NEW = [*PERMUTED, *(f"{arm}_kept_signs" for arm in PERMUTED), "noise_0.5", "noise_1", "noise_2", "noise_3"]
NEW += ["initial_weights", "initial_signs", "initial_magnitudes"]


def begun(job: Job) -> dict[str, torch.Tensor]:
    return initial_state(job.architecture, 5)


def made(arm: str, job: Job, draw: int = 0) -> Job:
    return ARMS[arm].make(job, Draw(arm, draw, begun=lambda: begun(job)))


def survivors(job: Job, state: dict[str, torch.Tensor]) -> torch.Tensor:
    return torch.cat([state[name][mask] for name, mask in job.masks.items()])


@pytest.mark.parametrize("arm", NEW)
def test_a_perturbed_start_has_the_masks_the_step_and_the_pruned_weights_of_the_ticket(arm: str) -> None:
    job = ticket()
    before = job.specification()
    other = made(arm, job)
    assert other.start_step == job.start_step and other.seed == job.seed
    assert ARMS[arm].perturbs
    for name, mask in job.masks.items():
        assert torch.equal(other.masks[name], mask)
        if arm != "initial_weights":
            assert torch.equal(other.state[name][~mask], job.state[name][~mask])
    if arm != "initial_weights":
        assert torch.equal(other.state["fc1.bias"], job.state["fc1.bias"])
    assert not torch.equal(survivors(job, other.state), survivors(job, job.state))
    assert made(arm, job).specification() == other.specification()
    assert (made(arm, job, 1).specification() != other.specification()) == ARMS[arm].drawn
    assert job.specification() == before


def test_signs_and_magnitudes_are_those_of_the_two_states() -> None:
    job = ticket()
    now, then = survivors(job, job.state), survivors(job, begun(job))
    signs, sizes = (survivors(job, made(f"initial_{what}", job).state) for what in ("signs", "magnitudes"))
    assert torch.equal(signs.sign(), then.sign()) and torch.equal(signs.abs(), now.abs())
    assert torch.equal(sizes.sign(), now.sign()) and torch.equal(sizes.abs(), then.abs())
    assert all(torch.equal(made("initial_weights", job).state[name], tensor) for name, tensor in begun(job).items())


@pytest.mark.parametrize("arm", PERMUTED)
def test_permutations_keep_the_values_and_with_signs_the_signs(arm: str) -> None:
    job = ticket()
    before = survivors(job, job.state)
    plain, signed = (survivors(job, made(name, job).state) for name in (arm, f"{arm}_kept_signs"))
    assert torch.equal(plain.sort().values, before.sort().values)
    assert torch.equal(signed.abs().sort().values, before.abs().sort().values)
    assert torch.equal(signed.sign(), before.sign())


LAYERS = st.lists(st.tuples(st.integers(1, 4), st.integers(1, 5)), min_size=1, max_size=3)


@given(LAYERS, st.integers(0, 2**40))
def test_shuffles_keep_the_multiset_of_survivors_and_touch_no_pruned_position(layers: Any, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    values = {str(n): torch.randn(shape, generator=generator) for n, shape in enumerate(layers)}
    kept = {name: torch.rand(tensor.shape, generator=generator) < 0.6 for name, tensor in values.items()}
    across, rows = permuted_across(values, kept, seed), permuted_in_rows(values, kept, seed)
    for moved in (across, rows):
        assert all(torch.equal(moved[name][~mask], values[name][~mask]) for name, mask in kept.items())
    every = [torch.cat([of[name][mask] for name, mask in kept.items()]) for of in (values, across)]
    assert torch.equal(every[0].sort().values, every[1].sort().values)
    for name, mask in kept.items():
        for row, old, keeps in zip(rows[name], values[name], mask, strict=True):
            assert torch.equal(row[keeps].sort().values, old[keeps].sort().values)


def test_each_order_of_a_row_comes_as_often() -> None:
    """3 values have 6 orders: 200 of 1,200 draws each, give or take 5 standard deviations of 12.9."""
    values, kept = (
        {"w": torch.tensor([[9.0, 1, 2, 3], [4, 9, 5, 6]])},
        {"w": torch.tensor([[0, 1, 1, 1], [1, 0, 1, 1]])},
    )
    found: dict[tuple[float, ...], int] = {}
    for seed in range(1200):
        drawn = permuted_in_rows(values, {"w": kept["w"].bool()}, seed)["w"][0, 1:]
        found[tuple(drawn.tolist())] = found.get(tuple(drawn.tolist()), 0) + 1
    assert len(found) == 6 and all(abs(count - 200) <= 65 for count in found.values())


def test_a_sign_keeping_shuffle_within_rows_keeps_plus_and_minus() -> None:
    layer = torch.tensor([[1.0, -2.0], [3.0, -4.0]])
    job = replace(ticket(), state={"w": layer}, masks={"w": torch.ones(2, 2, dtype=torch.bool)})
    found = {tuple(made("permuted_in_filters_kept_signs", job, n).state["w"].flatten().tolist()) for n in range(30)}
    assert found == {(a, -b, c, -d) for a, b in ((1.0, 2.0), (2.0, 1.0)) for c, d in ((3.0, 4.0), (4.0, 3.0))}


def test_zero_counts_as_plus() -> None:
    assert signed_as(torch.tensor([-1.0, 2.0]), torch.tensor([0.0, -0.5])).tolist() == [1.0, -2.0]


def test_a_shift_of_1_2_3_by_one_is_a_change_of_the_square_root_of_2() -> None:
    """The changes are 1, 1 and -2: 6 / 3 on average of squares; 1, 2, 3 spread by the root of 2 / 3 about 2."""
    one, other, kept = ({"w": torch.tensor(of)} for of in ([1.0, 2, 3], [2.0, 3, 1], [True, True, True]))
    unit = {"w": torch.tensor([-1.0, 1.0, -1.0])[:2]}  # of standard deviation 1
    assert effective_std(one, other, kept, unit) == pytest.approx(2**0.5)
    assert effective_std(one, other, kept, one) == pytest.approx((2 / (2 / 3)) ** 0.5)
    assert effective_std(one, other, {"w": torch.tensor([True, False, False])}, unit) == pytest.approx(1)


def test_layers_are_pooled_weight_by_weight_each_by_its_own_spread() -> None:
    """A change of 2 where the spread is 1, and none of three where it is 4: (4 + 0 + 0 + 0) / 4."""
    before = {"a": torch.tensor([0.0]), "b": torch.zeros(3)}
    after = {"a": torch.tensor([2.0]), "b": torch.zeros(3)}
    initial = {"a": torch.tensor([-1.0, 1.0]), "b": torch.tensor([-4.0, 4.0])}
    assert effective_std(before, after, {name: torch.ones_like(t).bool() for name, t in before.items()}, initial) == 1
    constant = initial | {"b": torch.ones(3)}
    assert effective_std(before, after, {name: torch.ones_like(t).bool() for name, t in before.items()}, constant) == 2


@pytest.mark.parametrize("times", [0.5, 1, 2, 3])
def test_noise_of_n_standard_deviations_has_the_effective_std_n(times: float) -> None:
    generator = torch.Generator().manual_seed(0)
    state = {"w": torch.randn(500, 200, generator=generator), "v": torch.randn(100, generator=generator)}
    initial = {name: 0.03 * torch.randn(tensor.shape, generator=generator) for name, tensor in state.items()}
    kept = {name: torch.ones_like(tensor, dtype=torch.bool) for name, tensor in state.items()}
    job = replace(ticket(), state=state, masks=kept)
    after = ARMS[f"noise_{times}"].make(job, Draw(f"noise_{times}", begun=lambda: initial)).state
    assert effective_std(state, after, kept, initial) == pytest.approx(times, rel=0.02)


def test_no_noise_is_the_tickets_own_training() -> None:
    job = ticket()
    assert noisy(job, Draw("noise_1", begun=lambda: begun(job)), 0).specification() == job.specification()
    assert effective_std(job.state, job.state, masks(), begun(job)) == 0


def test_a_ticket_of_step_0_is_its_own_initial_weights() -> None:
    job = replace(ticket(), start_step=0)
    for arm in ("initial_weights", "initial_signs", "initial_magnitudes"):
        assert ARMS[arm].make(job, Draw(arm, begun=lambda: job.state)).specification() == job.specification()


@pytest.mark.parametrize("arm", ["noise_1", "initial_signs"])
def test_without_the_weights_of_step_0_arms_that_need_them_are_refused(arm: str) -> None:
    with pytest.raises(RecipeError, match=f"{arm} needs the weights of step 0: it goes with ticketzoo find"):
        ARMS[arm].make(ticket(), Draw(arm))
    target = {"task": {"type": "image-classification", "dataset": {"path": "digits"}}}
    with pytest.raises(ValidationError, match=f"arms: {arm} needs the weights of step 0"):
        TransferRecipe(name="a", tickets=["b"], targets=[target], arms=[arm], levels=[1])
