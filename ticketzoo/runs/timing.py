"""Duration of a training on this device, from a timed handful of its real iterations."""

import statistics
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import closing, nullcontext
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn

from ticketzoo.recipe import Steps
from ticketzoo.tasks.task import Task
from ticketzoo.training.job import Job
from ticketzoo.training.loop import train
from ticketzoo.training.threads import threads_for

PLACES = (1 / 2, 1 / 6, 5 / 6)
"""Places of a training at which iterations are timed: progressive resizing makes later ones slower."""
_ENOUGH = 10
"""Iterations to time at a place, unless they take `_PATIENCE` times the seconds meant for them."""
_PATIENCE = 16


@dataclass(frozen=True)
class Timing:
    """The measurements of a training.

    Attributes:
        iteration: mean seconds of an iteration, loading of data included.
        timed: iterations that were timed, after a warm-up at each place.
        places: the iterations from which they were timed; the middle of the training alone where iterations are long.
        evaluation: seconds of an evaluation of `"validation"` (if there is one) and `"test"`; of `"train"` where
            the course of trainings is measured.
        guessed: splits too large to try: each of their examples is taken to cost as much as one of training.
        process_bytes: peak memory of this process; the workers that load data have their own.
        device_bytes: peak memory reserved on the GPU; None where there is none.
        threads: processor threads of torch that the training gets.
    """

    iteration: float
    timed: int
    places: tuple[int, ...]
    evaluation: dict[str, float]
    guessed: tuple[str, ...]
    process_bytes: int
    device_bytes: int | None
    threads: int

    @property
    def look(self) -> float:
        """Seconds of an evaluation before the end of training."""
        if "train" in self.evaluation:
            return self.evaluation["train"] + self.evaluation["test"]
        return self.evaluation.get("validation", 0.0)


def time_training(job: Job, device: torch.device, seconds: float) -> Timing:
    """Train a little of `job` at each of `PLACES`, about `seconds` each after a warm-up of half that.

    This goes through the training loop itself, masks, augmentation and loading of data included, and keeps nothing.

    Args:
        job: the training.
        device: where to train.
        seconds: at each place, about.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    model, endless = job.model(device), job.training.model_copy(update={"steps": Steps(10**12, "it")})
    measured: dict[int, _TimedTask] = {}
    with threads_for(job, model, device) as threads:
        for place in PLACES:
            start = int(place * job.iterations)
            measured[start] = _TimedTask(job.task, device, seconds)
            train(model, cast(Task, measured[start]), endless, seed=job.seed, device=device, start_step=start)
            if measured[start].timed < _ENOUGH:
                break
        iteration = statistics.fmean(task.seconds for task in measured.values())
        evaluation, guessed = _time_evaluation(job, model, device, iteration, _PATIENCE * seconds)
    return Timing(
        iteration,
        sum(task.timed for task in measured.values()),
        tuple(measured),
        evaluation,
        guessed,
        _peak_of_process(),
        torch.cuda.max_memory_reserved(device) if device.type == "cuda" else None,
        threads,
    )


def _time_evaluation(
    job: Job, model: nn.Module, device: torch.device, iteration: float, at_most: float
) -> tuple[dict[str, float], tuple[str, ...]]:
    """Return seconds of evaluating each split, and those that would have taken more than `at_most` and are guessed."""
    model.eval()
    seconds, guessed = {}, []
    course = getattr(job.task, "measures_course", False)
    for split in (*["validation"] * job.task.has_validation, "test", *["train"] * course):
        seconds[split] = job.task.examples[split] * iteration / job.training.batch_size
        if seconds[split] > at_most:
            guessed.append(split)
            continue
        began = time.perf_counter()
        job.task.evaluate(model, split, device)
        _wait_for(device)
        seconds[split] = time.perf_counter() - began
    return seconds, tuple(guessed)


class _TimedTask:
    """A task that gives batches for as long as it takes to time them; evaluation is timed apart."""

    has_validation = measures_course = False

    def __init__(self, task: Task, device: torch.device, budget: float) -> None:
        self._task, self._device, self._budget = task, device, budget
        self.seconds, self.timed = 0.0, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._task, name)

    def batches(self, batch_size: int, seed: int, start: int, stop: int, device: torch.device) -> Iterator[Any]:
        """Yield batches of a warm-up, then of the timed iterations: each from one request for a batch to the next."""
        batches = self._task.batches(batch_size, seed, start, stop, device)
        with closing(batches) if isinstance(batches, Generator) else nullcontext():
            yield from self._until_enough(batches, least=3, budget=self._budget / 2)
            _wait_for(self._device)
            began = time.perf_counter()
            self.timed = yield from self._until_enough(batches, least=_ENOUGH, budget=self._budget)
            _wait_for(self._device)
            self.seconds = (time.perf_counter() - began) / self.timed

    def _until_enough(self, batches: Iterator[Any], *, least: int, budget: float) -> Generator[Any, None, int]:
        """Yield batches until `least` are done and the budget is spent, or far more than that. Returns how many."""
        done, began = 0, time.perf_counter()
        while True:
            spent = (time.perf_counter() - began) / budget
            if (done >= least and spent >= 1) or (done and spent >= _PATIENCE):
                return done
            yield next(batches)
            done += 1


def _wait_for(device: torch.device) -> None:
    if device.type != "cpu":
        torch.get_device_module(device).synchronize()


def _peak_of_process() -> int:
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
