"""Events between the updates of a training: snapshots, progress, checkpoints, and a signal that ends it."""

import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from ticketzoo.distributed import processes
from ticketzoo.errors import RunError
from ticketzoo.models import load_model_state, model_state
from ticketzoo.models.state import State, copy_state
from ticketzoo.tasks.task import MeasuringBatches, StatefulBatches
from ticketzoo.training.checkpoint import (
    Checkpoint,
    load_checkpoint,
    load_optimizer_tensors,
    optimizer_tensors,
    save_checkpoint,
)
from ticketzoo.training.record import Record
from ticketzoo.util.signals import Interrupted, interrupted


@dataclass(frozen=True)
class Resumption:
    """The checkpoints of a training.

    Attributes:
        folder: where they are.
        every_seconds: how often one is written.
        warn: called with a message about each damaged one.
    """

    folder: Path
    every_seconds: float = 60.0
    warn: Callable[[str], None] = lambda message: None


@dataclass(frozen=True)
class Callbacks:
    """The things that are done beside the updates of a training.

    Attributes:
        snapshot_steps: numbers of updates after which `on_snapshot` is called.
        on_snapshot: called, in the first process, with the number of updates and a copy of the model's state. In a
            training that goes on from a checkpoint, steps before it count as kept; if one is asked for again, the
            training begins anew.
        on_progress: called with (step, total), about ten times a second at most.
        on_record: called, in the first process, with what is recorded so far after each evaluation but the last.
        resumption: continue from a checkpoint there if one exists, and keep writing them; also where a signal ends
            the training (see `ticketzoo.util.signals`), before Interrupted is raised. The first process does that.
    """

    snapshot_steps: Collection[int] = ()
    on_snapshot: Callable[[int, State], None] = lambda step, state: None
    on_progress: Callable[[int, int], None] = lambda step, total: None
    on_record: Callable[[Record], None] = lambda record: None
    resumption: Resumption | None = None


class BetweenUpdates:
    """The clock of a training of `total` updates, and what is done by it."""

    def __init__(self, callbacks: Callbacks, model: nn.Module, optimizer: Optimizer, total: int) -> None:
        self._callbacks, self._model, self._optimizer, self._total = callbacks, model, optimizer, total
        self._checkpoints = callbacks.resumption if processes.rank() == 0 else None
        self._snapshots = frozenset(callbacks.snapshot_steps if processes.rank() == 0 else ())
        self._left: State = {}
        self._batches: StatefulBatches | None = None

    def begin(self, start_step: int) -> tuple[Record, int]:
        """Return the record and the step that training goes on from: those of its checkpoint, loaded, or of its start.

        A checkpoint from after a step whose snapshot is asked for is of no use.
        """
        resumption = self._callbacks.resumption
        checkpoint = processes.from_first(
            lambda: load_checkpoint(resumption.folder, resumption.warn) if resumption else None
        )
        record, step = Record(), start_step
        if checkpoint is not None and not any(step < checkpoint.step for step in self._callbacks.snapshot_steps):
            load_model_state(self._model, checkpoint.model)
            load_optimizer_tensors(self._optimizer, checkpoint.optimizer)
            record, step, self._left = Record(**checkpoint.record), checkpoint.step, checkpoint.batches
        now = time.monotonic()
        self._record, self._began, self._saved, self._shown = record, now - record.seconds, now, 0.0
        self._cpu_began, self._points = time.process_time() - record.cpu_seconds, len(record.curve)
        self._snapshot(step)
        return record, step

    def resumed(self, batches: Iterator[Any]) -> Iterator[Any]:
        """Return `batches` as the checkpoint left them, where their state is one that changes.

        Raises:
            RunError: no checkpoint can hold it.
        """
        if isinstance(batches, StatefulBatches):
            if self._left:
                batches.load_state_dict(self._left)
            self._batches = batches
            self._state_of_batches()
        return batches

    def _state_of_batches(self) -> State:
        state = {} if self._batches is None else self._batches.state_dict()
        for name, value in state.items():
            if not isinstance(value, Tensor):
                what = f"{name} of {type(self._batches).__name__} is of type {type(value).__name__}"
                raise RunError(f"{what}, and a checkpoint holds tensors: have state_dict give tensors alone")
        return state

    def scores(self) -> dict[str, float]:
        """Return what the batches themselves have measured so far."""
        return self._batches.scores() if isinstance(self._batches, MeasuringBatches) else {}

    def after(self, step: int, told_to_stop: bool) -> None:
        """Take a snapshot, report progress, write a checkpoint, each if it is due; stop at a signal.

        Args:
            step: updates done.
            told_to_stop: whether one of several processes met a signal.

        Raises:
            Interrupted: a signal came.
        """
        self._snapshot(step)
        now = time.monotonic()
        self._record.seconds, self._record.cpu_seconds = now - self._began, time.process_time() - self._cpu_began
        if now - self._shown > 0.1 or step == self._total:
            self._callbacks.on_progress(step, self._total)
            self._shown = now
        if step == self._total:
            return
        if len(self._record.curve) > self._points and processes.rank() == 0:
            self._callbacks.on_record(self._record)
            self._points = len(self._record.curve)
        stopping = told_to_stop or (processes.count() == 1 and interrupted())
        if self._checkpoints and (now - self._saved > self._checkpoints.every_seconds or stopping):
            tensors = model_state(self._model), optimizer_tensors(self._optimizer)
            checkpoint = Checkpoint(step, *tensors, dict(vars(self._record)), self._state_of_batches())
            save_checkpoint(self._checkpoints.folder, checkpoint)
            self._saved = now
        if stopping:
            processes.wait_for_all()  # one that ends has the others end, and the first may still be writing
            raise Interrupted

    def _snapshot(self, step: int) -> None:
        if step in self._snapshots:
            self._callbacks.on_snapshot(step, copy_state(self._model))
