"""The training of a population: what `ticketzoo.training.loop` does for one model, for all members at once."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn
from torch.optim import Optimizer

from ticketzoo.errors import TicketzooError
from ticketzoo.models.state import copy_state
from ticketzoo.tasks.task import Resident, ResidentTask, Task
from ticketzoo.training.callbacks import Callbacks
from ticketzoo.training.captured import mend_generator
from ticketzoo.training.checkpoint import Checkpoint, load_checkpoint, remove_later_checkpoints, save_checkpoint
from ticketzoo.training.faulty import check_batches
from ticketzoo.training.job import Job
from ticketzoo.training.loop import lengths_of
from ticketzoo.training.population import (
    NotStackable,
    Population,
    load_member_optimizer_tensors,
    member_optimizer_tensors,
)
from ticketzoo.training.record import Diverged, Record, is_looked_at, measure
from ticketzoo.training.stacked_update import StackedUpdates, create_stacked_optimizer
from ticketzoo.util.signals import Interrupted, interrupted

_SHOWN_EVERY = 0.5
"""Seconds between reports of progress."""


class NoCheckpoint(TicketzooError):
    """A member has no whole checkpoint of the step that its population was to go on from."""


@dataclass(frozen=True)
class TrainedPopulation:
    """A population after training.

    Attributes:
        outcomes: of each member its record, or the error that it alone met.
    """

    outcomes: list[Record | TicketzooError]
    population: Population

    def model(self, number: int) -> nn.Module:
        """Return a member's trained model, good until the next is asked for."""
        return self.population.member(number)


def train_population(
    jobs: Sequence[Job], callbacks: Sequence[Callbacks], device: torch.device, *, start: int, capture: bool = True
) -> TrainedPopulation:
    """Train `jobs`, of one architecture, task, training section, start step and parametrisation, all at once.

    Each member has its own weights, masks and order of the data, and ends where its lone training would, up to
    rounding. One that diverges is given up at the next evaluation; the others go on. On CUDA updates are captured as
    CUDA graphs (`config.capture`) unless that fails, which is logged.

    Args:
        jobs: the trainings.
        callbacks: of each; all save checkpoints at the same steps, as often as the first says.
        device: where to train.
        start: updates that count as done: the jobs' start step, or where each has a checkpoint.
        capture: whether to capture updates on CUDA.

    Raises:
        NotStackable: the model does something that cannot be done for several at once; nothing has happened.
        NoCheckpoint: a checkpoint of `start` is damaged, and was removed with a warning.
        RecipeError: nothing is left to train after the start step.
        Interrupted: a signal came; checkpoints are written.
    """
    task, config = jobs[0].task, jobs[0].training
    total, evaluate_every = lengths_of(task, config, jobs[0].start_step)
    resident = _resident(task, device)
    population = Population(jobs, device)
    optimizer = create_stacked_optimizer(config, population)
    seeds = [job.seed for job in jobs]
    updates = StackedUpdates(population, optimizer, task, resident, config, seeds, total, device)
    try:
        updates.try_out()
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, ValueError, TypeError, NotImplementedError) as error:
        raise NotStackable(f"the model cannot be stacked ({str(error).strip().splitlines()[0]})") from error
    between = _Between(jobs, callbacks, population, optimizer, total)
    outcomes = between.begin(start)
    if capture and config.capture == "auto" and device.type == "cuda":
        _capture(updates, device)
    for step in range(start, total):
        updates(step)
        done = step + 1
        if done == total or (is_looked_at(task) and done % evaluate_every == 0):
            _measure(jobs, outcomes, population, updates, done, device, last=done == total)
        between.after(done, outcomes)
        if not any(isinstance(outcome, Record) for outcome in outcomes):
            break
    return TrainedPopulation(outcomes, population)


def _resident(task: object, device: torch.device) -> Resident:
    resident = task.resident(device) if isinstance(task, ResidentTask) else "the task does not keep examples on devices"
    if isinstance(resident, str):
        raise NotStackable(resident)
    return resident


def _capture(updates: StackedUpdates, device: torch.device) -> None:
    try:
        updates.capture()
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        why = str(error.__context__ or error).strip().splitlines()[0]  # the end of a broken capture fails, too
        logging.getLogger(__name__).warning("updates are not captured as CUDA graphs: %s", why)
        mend_generator(device)


def _measure(
    jobs: Sequence[Job],
    outcomes: list[Record | TicketzooError],
    population: Population,
    updates: StackedUpdates,
    step: int,
    device: torch.device,
    *,
    last: bool,
) -> None:
    """Measure each member that has not failed; one that fails now has its error in the place of its record."""
    losses, scores = updates.losses.cpu(), _Scores(jobs[0].task, population)
    for number, (job, record) in enumerate(zip(jobs, outcomes, strict=True)):
        if not isinstance(record, Record):
            continue
        scores.number = number
        try:
            try:
                measure(record, population.mode, cast(Task, scores), device, step, losses[number], last=last)
            except Diverged as error:
                check_batches(job.task, job.training, job.seed, job.start_step, step, device, error)
                raise
        except TicketzooError as error:
            outcomes[number] = error


class _Scores:
    """A task that knows how all members of a population score, and tells it of the one whose `number` is set."""

    def __init__(self, task: Task, population: Population) -> None:
        assert isinstance(task, ResidentTask)
        self._task, self._population, self.number = task, population, 0
        self._of_split: dict[str, list[dict[str, float]]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._task, name)

    def evaluate(self, model: nn.Module, split: str, device: torch.device) -> dict[str, float]:
        """Return the metrics of one member."""
        if split not in self._of_split:
            self._of_split[split] = self._task.evaluate_each(self._population, split, device)
        return self._of_split[split][self.number]


class _Between:
    """The things done between updates, as `ticketzoo.training.callbacks.BetweenUpdates` does them for one model."""

    def __init__(
        self,
        jobs: Sequence[Job],
        callbacks: Sequence[Callbacks],
        population: Population,
        optimizer: Optimizer,
        total: int,
    ) -> None:
        self._jobs, self._callbacks, self._population, self._optimizer = jobs, callbacks, population, optimizer
        self._total = total
        self._snapshots = frozenset(step for one in callbacks for step in one.snapshot_steps)

    def begin(self, start: int) -> list[Record | TicketzooError]:
        """Load the checkpoints of `start`, unless that is where the jobs begin. Returns the records so far."""
        records = [Record() for _ in self._jobs]
        for number, (job, one) in enumerate(zip(self._jobs, self._callbacks, strict=True)):
            if one.resumption is None:
                continue
            if start > job.start_step:
                checkpoint = load_checkpoint(one.resumption.folder, one.resumption.warn, at=start)
                if checkpoint is None:
                    raise NoCheckpoint(f"no whole checkpoint of iteration {start}")
                self._population.load(number, checkpoint.model)
                load_member_optimizer_tensors(self._optimizer, number, checkpoint.optimizer)
                records[number] = Record(**checkpoint.record)
        for one in self._callbacks:
            if one.resumption is not None:
                remove_later_checkpoints(one.resumption.folder, start)
        now = time.monotonic()
        self._cpu, self._began, self._saved, self._shown = time.process_time(), now, now, 0.0
        self._seconds = [(record.seconds, record.cpu_seconds) for record in records]
        outcomes: list[Record | TicketzooError] = [*records]
        self._snapshot(start, outcomes)
        return outcomes

    def after(self, step: int, outcomes: list[Record | TicketzooError]) -> None:
        """Take snapshots, report progress, write checkpoints, each if it is due; stop at a signal.

        Raises:
            Interrupted: a signal came.
        """
        self._snapshot(step, outcomes)
        now = time.monotonic()
        if now - self._shown > _SHOWN_EVERY or step == self._total:
            for one in self._callbacks:
                one.on_progress(step, self._total)
            self._shown = now
        if step == self._total:
            self._note_seconds(outcomes)
            return
        resumption, stopping = self._callbacks[0].resumption, interrupted()
        if resumption and (now - self._saved > resumption.every_seconds or stopping):
            self._note_seconds(outcomes)
            self._save(step, outcomes)
            self._saved = time.monotonic()
        if stopping:
            raise Interrupted

    def _snapshot(self, step: int, outcomes: list[Record | TicketzooError]) -> None:
        if step not in self._snapshots:
            return
        for number, (one, outcome) in enumerate(zip(self._callbacks, outcomes, strict=True)):
            if step in one.snapshot_steps and isinstance(outcome, Record):
                one.on_snapshot(step, copy_state(self._population.member(number)))

    def _note_seconds(self, outcomes: list[Record | TicketzooError]) -> None:
        """Share the time out among the members."""
        wall = (time.monotonic() - self._began) / self._population.size
        processor = (time.process_time() - self._cpu) / self._population.size
        for outcome, (seconds, cpu_seconds) in zip(outcomes, self._seconds, strict=True):
            if isinstance(outcome, Record):
                outcome.seconds, outcome.cpu_seconds = seconds + wall, cpu_seconds + processor

    def _save(self, step: int, outcomes: list[Record | TicketzooError]) -> None:
        for number, (one, outcome) in enumerate(zip(self._callbacks, outcomes, strict=True)):
            if one.resumption and isinstance(outcome, Record):
                state = self._population.state(number)
                tensors = member_optimizer_tensors(self._optimizer, number)
                save_checkpoint(one.resumption.folder, Checkpoint(step, state, tensors, dict(vars(outcome))))
