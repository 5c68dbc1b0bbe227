"""Timing a training, by a clock that the training itself turns on."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from made_task import CPU, MadeImages
from torch import Tensor, nn

from ticketzoo.models import architecture_of
from ticketzoo.models.create import initial_state
from ticketzoo.recipe import Steps
from ticketzoo.runs.timing import time_training
from ticketzoo.training import TrainingConfig
from ticketzoo.training.job import Job

ARCHITECTURE = architecture_of("lenet-300-100", {"width": 0.02, "in_shape": [1, 2, 2], "num_classes": 2})


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


class Slow(MadeImages):
    """An iteration takes `early` seconds in the first third of 600, `late` in the last, else `middle`."""

    def __init__(self, clock: Clock, early: float, middle: float, late: float, evaluation: float) -> None:
        super().__init__()
        self.clock, self.thirds, self.evaluation = clock, (early, middle, late), evaluation

    def batches(self, batch_size: int, seed: int, start: int, stop: int, device: torch.device) -> Iterator[Any]:
        for step in range(start, stop):
            yield self.thirds[min(2, step // 200)]

    def loss(self, model: nn.Module, batch: Any) -> Tensor:
        self.clock.seconds += batch
        return model(self.images).sum()

    def evaluate(self, model: nn.Module, split: str, device: torch.device) -> dict[str, float]:
        self.clock.seconds += self.evaluation
        return super().evaluate(model, split, device)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("time.perf_counter", clock)
    return clock


def job(task: MadeImages) -> Job:
    state = initial_state(ARCHITECTURE, 0)
    training = TrainingConfig(steps=Steps(600, "it"), batch_size=4)
    return Job(ARCHITECTURE, state, {}, task, training, seed=0)


def test_an_iteration_takes_the_mean_of_early_middle_and_late_ones(clock: Clock) -> None:
    timing = time_training(job(Slow(clock, 0.25, 0.5, 1.5, evaluation=3.0)), CPU, seconds=2.0)
    assert timing.iteration == 0.75
    assert timing.places == (300, 100, 500)
    assert timing.timed == 30  # ten at each place, at least
    assert (timing.evaluation, timing.guessed) == ({"validation": 3.0, "test": 3.0}, ())


def test_of_long_iterations_few_are_timed_and_evaluation_is_guessed(clock: Clock) -> None:
    timing = time_training(job(Slow(clock, 50.0, 100.0, 150.0, evaluation=3.0)), CPU, seconds=2.0)
    assert (timing.iteration, timing.places, timing.timed) == (100.0, (300,), 1)
    assert timing.evaluation == {"validation": 100.0, "test": 100.0}  # four examples, as many as in a batch
    assert timing.guessed == ("validation", "test")
    assert clock.seconds == 200.0  # one of warm-up


def test_batches_that_are_no_generator_are_timed_too(clock: Clock) -> None:
    """As those of a task that carries a state from one batch to the next are."""

    class Stepwise(Slow):
        def batches(self, *args: Any) -> Iterator[Any]:
            return map(float, super().batches(*args))

    assert time_training(job(Stepwise(clock, 0.25, 0.5, 1.5, evaluation=3.0)), CPU, seconds=2.0).iteration == 0.75
