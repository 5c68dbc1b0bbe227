"""A population: each member's numbers are those of its lone training, but for rounding."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from made_population import CONV, LENET, OPTIMIZERS, NormedConv, digits, jobs_of, training
from made_task import CPU
from torch import Tensor, nn

from ticketzoo.data.order import training_order
from ticketzoo.errors import RecipeError
from ticketzoo.models.own import OwnArchitecture
from ticketzoo.models.state import State, copy_state
from ticketzoo.pruning.config import PruningConfig, dense_masks
from ticketzoo.pruning.magnitude import prune_by_magnitude
from ticketzoo.training import Record, train
from ticketzoo.training.callbacks import Callbacks
from ticketzoo.training.job import Job
from ticketzoo.training.parametrisation import FROZEN, HEAD
from ticketzoo.training.population import NotStackable, Population
from ticketzoo.training.population_loop import train_population
from ticketzoo.training.stacked_batches import StackedBatches
from ticketzoo.training.stacked_update import StackedUpdates, create_stacked_optimizer

CLOSE = {"rtol": 0.0, "atol": 1e-5}


def alone(job: Job) -> tuple[Record, State]:
    model = job.model(CPU)
    record = train(model, job.task, job.training, seed=job.seed, device=CPU, start_step=job.start_step)
    return record, copy_state(model)


def together(jobs: list[Job]) -> list[tuple[Record, State]]:
    trained = train_population(jobs, [Callbacks()] * len(jobs), CPU, start=jobs[0].start_step)
    return [(outcome, copy_state(trained.model(number))) for number, outcome in enumerate(trained.outcomes)]  # type: ignore[misc]


def pruned(state: State, job: Job) -> State:
    weights = {name: tensor for name, tensor in state.items() if tensor.dim() > 1}
    pruning = PruningConfig(rate=0.5)
    return prune_by_magnitude(weights, {**dense_masks(weights, pruning), **job.masks}, pruning)


def assert_alike(jobs: list[Job]) -> None:
    for job, (record, state) in zip(jobs, together(jobs), strict=True):
        expected_record, expected = alone(job)
        assert state.keys() == expected.keys()
        for name, tensor in state.items():
            torch.testing.assert_close(tensor, expected[name], **CLOSE)
        for name, mask in job.masks.items():
            assert not state[name][~mask].any()
        masks = pruned(expected, job)
        assert all(torch.equal(mask, masks[name]) for name, mask in pruned(state, job).items())
        for ours, theirs in zip(record.curve, expected_record.curve, strict=True):
            assert ours == pytest.approx(theirs, abs=1e-4)
        assert record.final == pytest.approx(expected_record.final, abs=1e-4)
        assert record.best["step"] == expected_record.best["step"]


@pytest.mark.parametrize("clip_norm", [None, 0.5])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_twelve_lenets_end_as_when_trained_alone(optimizer: str, clip_norm: float | None) -> None:
    """3 seeds x 4 arms, each arm with its own masks."""
    assert_alike(jobs_of(LENET, training(optimizer, clip_norm=clip_norm)))


def test_batch_normalization_keeps_statistics_of_each_member() -> None:
    assert_alike(jobs_of(CONV, training("adam"), seeds=2, arms=2))


def test_members_that_start_from_a_later_step_see_the_data_and_rates_from_there() -> None:
    assert_alike(jobs_of(LENET, training(), seeds=2, arms=2, start_step=4))


def test_batches_that_are_all_smaller_than_asked_for() -> None:
    assert_alike(jobs_of(LENET, training(batch_size=500), seeds=2, arms=2))


def test_each_member_meets_the_augmentation_of_its_own_seed() -> None:
    for augment in ({"crop": 1}, {"flip": True}, {"crop": 2, "flip": True}):
        assert_alike(jobs_of(LENET, training(), seeds=2, arms=2, task=digits(**augment), start_step=2))


def test_what_does_not_learn_stays() -> None:
    for learn in (FROZEN, HEAD):
        jobs = [replace(job, learn=learn) for job in jobs_of(LENET, training(), seeds=2, arms=2)]
        for job, (_, state) in zip(jobs, together(jobs), strict=True):
            expected = alone(job)[1]
            for name, mask in job.masks.items() if learn is FROZEN else ():
                assert torch.equal(state[name][~mask], job.state[name][~mask])
            for name, tensor in state.items():
                torch.testing.assert_close(tensor, expected[name], **CLOSE)


def test_each_member_meets_the_examples_of_its_own_seed() -> None:
    """The rows that are computed with are those that the order of each seed gives, in every update of two epochs."""
    seen: list[list[list[int]]] = []

    resident = digits().resident(CPU)
    assert not isinstance(resident, str)
    count, total = len(resident.tensors[0]), 2 * digits().steps_per_epoch(32)
    batches = StackedBatches(replace(resident, tensors=(torch.arange(count),)), [0, 1], 32, CPU)
    for step in range(total):
        epoch, position = divmod(step, batches.per_epoch)
        batches.go_to(epoch, position)
        seen.append(batches.gather(position < batches.whole)[0].tolist())
    orders = [list(training_order(count, 32, seed, 0, total)) for seed in (0, 1)]
    assert seen == [torch.stack(both).tolist() for both in zip(*orders, strict=True)]


def test_trying_out_changes_nothing() -> None:
    jobs = jobs_of(CONV, training(), seeds=2, arms=1)
    population = Population(jobs, CPU)
    before = [tensor.clone() for tensor in population.tensors()]
    resident = digits().resident(CPU)
    assert not isinstance(resident, str)
    optimizer = create_stacked_optimizer(training(), population)
    StackedUpdates(population, optimizer, digits(), resident, training(), [0, 1], 6, CPU).try_out()
    assert all(torch.equal(*pair) for pair in zip(before, population.tensors(), strict=True))


def test_a_member_that_diverges_leaves_the_others_alone() -> None:
    jobs = jobs_of(LENET, training("sgd"), seeds=3, arms=1)
    huge = {name: tensor * 1e30 for name, tensor in jobs[1].state.items()}
    outcomes = train_population([jobs[0], replace(jobs[1], state=huge), jobs[2]], [Callbacks()] * 3, CPU, start=0)
    assert str(outcomes.outcomes[1]).startswith("training diverged: train_loss is nan after 3 iterations")
    for number in (0, 2):
        expected = alone(jobs[number])[1]
        for name, tensor in copy_state(outcomes.model(number)).items():
            torch.testing.assert_close(tensor, expected[name], **CLOSE)


class Looking(NormedConv):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) * (2.0 if images.sum().item() > 0 else 1.0)


class Averaging(nn.Module):
    """A model whose running average is a new tensor after each batch, not the old one changed in place."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(64, 3)
        self.mean: Tensor
        self.register_buffer("mean", torch.zeros(64))

    def forward(self, images: Tensor) -> Tensor:
        images = images.flatten(1)
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * images.mean(0)
        return self.fc(images - self.mean)


class Counting(nn.Module):
    """A model that counts its calls in Python: in a population once for all members."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(64, 3)
        self.calls = 0

    def forward(self, images: Tensor) -> Tensor:
        self.calls += 1
        return self.fc(images.flatten(1)) / self.calls


REFUSED: dict[str, tuple[Any, str]] = {
    "a count in Python": (Counting, "the model changes its calls in Python from call to call"),
    "a model that branches by its data": (Looking, "the model cannot be stacked ("),
    "a buffer that is exchanged": (Averaging, "the model puts a new tensor in the place of its buffer mean"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_stacked_is_told_before_anything_happens(what: str) -> None:
    model, reason = REFUSED[what]
    jobs = jobs_of(OwnArchitecture(model), training(), seeds=2, arms=1)
    with pytest.raises(NotStackable) as error:
        together(jobs)
    assert str(error.value).startswith(reason)


def test_a_training_without_updates_is_refused_as_it_is_alone() -> None:
    with pytest.raises(RecipeError, match="none of them after 6"):
        together(jobs_of(LENET, training(steps="6it"), seeds=2, arms=1, start_step=6))
