"""The plan of a run, made without training: how many trainings, how long they take, how much room they need."""

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ticketzoo.distributed import processes
from ticketzoo.errors import RunError
from ticketzoo.models.state import State
from ticketzoo.runs.cell import Cell, read_cell
from ticketzoo.runs.files import environment, read_state
from ticketzoo.runs.progress import Quiet
from ticketzoo.runs.store import Store
from ticketzoo.runs.timing import Timing, time_training
from ticketzoo.training.checkpoint import KEPT
from ticketzoo.training.config import OptimizerConfig
from ticketzoo.training.job import Job, in_one_line
from ticketzoo.training.parametrisation import Learned, is_untrained
from ticketzoo.training.record import Record

NOT_COUNTED = (
    "reading the data, pruning, writing results",
    "tests at each new best validation loss",
    "what an interrupted training has done already",
    "memory of the processes that load data",
)


@dataclass
class Plan:
    """The work that is left of a run, and what it takes on one device."""

    device: str
    cells: str
    """The folder of the trainings."""
    finished: int
    """Trainings that are finished."""
    trainings: int = 0
    """Trainings left to do; so are `iterations`, and `examples` to train on, one counted as often as it is seen."""
    iterations: int = 0
    examples: int = 0
    seconds: float = 0.0
    """An estimate, from `timings`."""
    timings: dict[str, Timing] = field(default_factory=dict)
    """By the label of the training that was timed for all of its kind."""
    disk_bytes: dict[str, int] = field(default_factory=lambda: {"cells": 0, "checkpoints": 0, "ticket": 0})
    """Still to be written; checkpoints are removed again."""
    process_bytes: int = 0
    """Peak memory of this process while it timed."""
    device_bytes: int | None = None
    """Peak memory of the GPU while it timed."""
    not_counted: tuple[str, ...] = NOT_COUNTED
    warnings: tuple[str, ...] = ()
    """Lines that a user should read."""
    most: "Plan | None" = None
    """Where seeds are added until the levels are decided: the plan of the most; this one is of the next look."""


@dataclass
class _Kind:
    """Unfinished trainings that differ in weights, masks, seed and first iteration alone: `job` is timed for all."""

    label: str
    job: Job
    trainings: int = 0
    iterations: int = 0
    examples: int = 0
    looks: int = 0
    """Evaluations of the validation split."""
    stored_bytes: int = 0
    """Of the weights that are kept."""
    timing: Timing | None = None

    def add(self, job: Job, label: str, stored_states: int) -> None:
        if job.masks and not self.job.masks:  # masks take a little time
            self.label, self.job, self.timing = label, job, None
        batch_size, total = job.training.batch_size, job.iterations
        done = total if is_untrained(job.learn) else job.start_step
        per_epoch = job.task.steps_per_epoch(batch_size)
        every = max(1, job.training.evaluate_every.iterations(per_epoch))
        self.trainings += 1
        self.iterations += total - done
        self.examples += _seen(job, total) - _seen(job, done)
        self.looks += total // every - done // every + (total % every > 0)
        self.stored_bytes += stored_states * _bytes(job.state)

    @property
    def checkpoint_bytes(self) -> int:
        """Of one checkpoint, at most: the weights, and what the optimiser remembers of each."""
        return _bytes(self.job.state) * (1 + _remembered(self.job.training.optimizer))


class _Warnings(Quiet):
    """A progress that keeps what it should warn of."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def warn(self, message: str) -> None:
        """Keep the message."""
        self.messages.append(message)


class PlannedCells(Store):
    """A store in which nothing is trained or written.

    `run` notes what is not finished, and gives `Unknown` weights back, so that whoever calls it asks for everything
    that follows.
    """

    def __init__(self, folder: Path, *, device: torch.device) -> None:
        if processes.count() > 1:
            raise RunError("a plan is made by one process: leave out torchrun or accelerate launch")
        self._warnings = _Warnings()
        super().__init__(folder, device=device, progress=self._warnings)
        self._asked_for: set[Path] = set()
        self._unfinished: dict[str, _Kind] = {}
        self._finished = 0

    @property
    def complete(self) -> bool:
        """Return False once something was asked for that is yet to be trained."""
        return not self._unfinished

    def run(self, job: Job, label: str, *, keep_final: bool = False, snapshot_steps: Collection[int] = ()) -> Cell:
        """As `Store.run`, but an unfinished cell is noted, not trained: its record is empty."""
        _, folder = self.address(job.specification())
        cell = read_cell(folder, job, keep_final, snapshot_steps, self._due_again(label))
        if folder not in self._asked_for:
            self._asked_for.add(folder)
            self._finished += cell is not None
            if cell is None:
                self._kind(job, label).add(job, label, keep_final + len(snapshot_steps))
        return cell or _Untrained(Record(), folder, job)

    def remember(self, kind: str, specification: Mapping[str, Any], compute: Callable[[], State]) -> State:
        """As `Store.remember`, but what is not kept is computed and thrown away."""
        file = self.address(specification)[1] / f"{kind}.safetensors"
        return read_state(file) if file.is_file() else compute()

    def plan(self, *, seconds: float = 0.5) -> Plan:
        """The plan of what was asked for so far, each kind of training timed for about `seconds` at three places.

        Raises RunError, as a run would, where a kind does not fit into memory or cannot be compiled.
        """
        plan = Plan(environment(self.device)["device"], str(self.folder), self._finished)
        plan.warnings = tuple(self._warnings.messages)
        for kind in self._unfinished.values():
            with in_one_line(kind.label, kind.job, self.device):
                timing = kind.timing = kind.timing or time_training(kind.job, self.device, seconds)
            plan.timings[kind.label] = timing
            plan.trainings += kind.trainings
            plan.iterations += kind.iterations
            plan.examples += kind.examples
            plan.seconds += kind.iterations * timing.iteration + kind.trainings * timing.evaluation["test"]
            plan.seconds += kind.looks * timing.look
            plan.disk_bytes["cells"] += kind.stored_bytes
            plan.disk_bytes["checkpoints"] = max(plan.disk_bytes["checkpoints"], (KEPT + 1) * kind.checkpoint_bytes)
            plan.process_bytes = max(plan.process_bytes, timing.process_bytes)
            if timing.device_bytes is not None:
                plan.device_bytes = max(plan.device_bytes or 0, timing.device_bytes)
        return plan

    def _kind(self, job: Job, label: str) -> _Kind:
        kind = job.architecture, job.task.identity, job.training.model_dump(mode="json"), job.learn.identity
        key = json.dumps(kind)
        return self._unfinished.setdefault(key, _Kind(label, job))


class NotTrainedYet(RunError):
    """A plan comes to where a method decides by weights that are yet to be trained."""


class Unknown(dict[str, Tensor]):
    """Stands for the weights of a training that is yet to be done: the right names, shapes and sizes, wrong values."""


@dataclass(frozen=True)
class _Untrained(Cell):
    """Stands for a cell that is yet to be trained."""

    job: Job

    def final_state(self) -> State:
        return Unknown(self.job.state)

    def learned(self) -> Learned:
        """Return masks and scores as they are before training."""
        begun = self.job.learn.learned(self.job.model(torch.device("cpu")))
        return replace(begun, weights=Unknown(begun.weights))

    def snapshot(self, step: int) -> State:
        return Unknown(self.job.state)


def _seen(job: Job, steps: int) -> int:
    """Examples in the first `steps` iterations: the last batch of an epoch may be smaller."""
    epochs, rest = divmod(steps, job.task.steps_per_epoch(job.training.batch_size))
    return epochs * job.task.examples["train"] + rest * job.training.batch_size


def _bytes(state: State) -> int:
    return sum(tensor.nbytes for tensor in state.values())


def _remembered(optimizer: OptimizerConfig) -> int:
    """Numbers that the optimiser remembers of each weight."""
    return {"sgd": int(optimizer.momentum > 0), "rmsprop": 1}.get(optimizer.name, 2)
