"""Trainings in this process, one after the other."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch

from ticketzoo.runs.cell import Training, train_cell
from ticketzoo.runs.executor import Item, Result
from ticketzoo.runs.progress import Progress
from ticketzoo.training.job import in_one_line
from ticketzoo.util.signals import ending_by_itself


class LocalExecutor:
    """Trains here; of several processes (`ticketzoo.distributed.processes`) all train together.

    Args:
        device: where to train; if None the CPU.
        checkpoint_seconds: how often a training under way is saved.
    """

    def __init__(self, device: torch.device | None, checkpoint_seconds: float) -> None:
        self.device, self._checkpoint_seconds = device or torch.device("cpu"), checkpoint_seconds

    def __enter__(self) -> "LocalExecutor":
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def train(self, training: Training, progress: Progress) -> None:
        """Train as `ticketzoo.runs.executor.Executor.train` says."""
        with in_one_line(training.label, training.job, self.device), ending_by_itself():
            train_cell(training, self.device, self._checkpoint_seconds, progress)

    def each(self, work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """Return `work` of each of `items`, one after the other."""
        return [work(item) for item in items]

    def alone(self, folder: Path) -> AbstractContextManager[object]:
        """Return a block like any other: here one work at a time is done anyway."""
        return nullcontext()
