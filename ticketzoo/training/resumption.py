"""Events between the updates of a training: progress is told, checkpoints are written, a signal ends it."""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from torch import nn
from torch.optim import Optimizer

from ticketzoo.distributed import processes
from ticketzoo.models import load_model_state, model_state
from ticketzoo.training.checkpoint import (
    Checkpoint,
    load_checkpoint,
    load_optimizer_tensors,
    optimizer_tensors,
    save_checkpoint,
)
from ticketzoo.training.record import Record
from ticketzoo.util.signals import Interrupted, interrupted


@dataclass
class Resumption:
    """The folder in which a training keeps its checkpoints, how often it writes one, who is told of a damaged one."""

    folder: Path
    every_seconds: float = 60.0
    warn: Callable[[str], None] = lambda message: None


def resume(
    resumption: Resumption | None,
    model: nn.Module,
    optimizer: Optimizer,
    start_step: int,
    snapshot_steps: Collection[int],
) -> tuple[Record, int]:
    """Return the record and the step that a training goes on from: those of its checkpoint, loaded, or of its start.

    A checkpoint from after one of `snapshot_steps` is of no use.
    """
    checkpoint = processes.from_first(
        lambda: load_checkpoint(resumption.folder, resumption.warn) if resumption else None
    )
    if checkpoint is None or any(step < checkpoint.step for step in snapshot_steps):
        return Record(), start_step
    load_model_state(model, checkpoint.model)
    load_optimizer_tensors(optimizer, checkpoint.optimizer)
    return Record(**checkpoint.record), checkpoint.step


class BetweenUpdates:
    """The clock of a training of `total` updates, and what is done by it."""

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        record: Record,
        total: int,
        resumption: Resumption | None,
        on_progress: Callable[[int, int], None],
    ) -> None:
        self._model, self._optimizer, self._record, self._total = model, optimizer, record, total
        self._kept = resumption if processes.rank() == 0 else None
        self._on_progress = on_progress
        now = time.monotonic()
        self._began, self._saved, self._shown = now - record.seconds, now, 0.0

    def after(self, step: int, told_to_stop: bool) -> None:
        """Say how far the training is; write a checkpoint if one is due; raise Interrupted if a signal came.

        Args:
            step: updates done.
            told_to_stop: whether one of several processes met a signal.
        """
        now = time.monotonic()
        self._record.seconds = now - self._began
        if now - self._shown > 0.1 or step == self._total:
            self._on_progress(step, self._total)
            self._shown = now
        if step == self._total:
            return
        stopping = told_to_stop or (processes.count() == 1 and interrupted())
        if self._kept and (now - self._saved > self._kept.every_seconds or stopping):
            tensors = model_state(self._model), optimizer_tensors(self._optimizer)
            save_checkpoint(self._kept.folder, Checkpoint(step, *tensors, dict(vars(self._record))))
            self._saved = now
        if stopping:
            processes.wait_for_all()  # one that ends has the others end, and the first may still be writing
            raise Interrupted
