"""A look back at the data of a training that went wrong: it may have been theirs to begin with."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from ticketzoo.errors import DataError
from ticketzoo.tasks.task import Task
from ticketzoo.training.config import TrainingConfig
from ticketzoo.training.record import Diverged


def check_batches(
    task: Task, config: TrainingConfig, seed: int, start: int, stop: int, device: torch.device, met: Diverged
) -> None:
    """Raise DataError if a batch of the first epoch of a training holds NaN or infinite numbers.

    Args:
        task: gives the batches.
        config: of the training.
        seed: of the order of the data.
        start: the first iteration.
        stop: the iteration after the last.
        device: of the batches.
        met: what has shown that something is wrong.
    """
    stop = min(stop, start + task.steps_per_epoch(config.batch_size))
    for step, batch in enumerate(task.batches(config.batch_size, seed, start, stop, device), start):
        count = sum(int((~tensor.isfinite()).sum()) for tensor in _numbers(batch))
        if count:
            what = f"the batch of iteration {step} has {count:,} numbers that are NaN or infinite"
            raise DataError(f"task {task.name}: {what}: mend the data, as no training can learn from it") from met


def _numbers(batch: Any) -> Iterator[Tensor]:
    """Yield the tensors of floating-point numbers in a batch."""
    if isinstance(batch, Tensor):
        if batch.is_floating_point():
            yield batch
    elif isinstance(batch, Mapping | list | tuple):
        for part in batch.values() if isinstance(batch, Mapping) else batch:
            yield from _numbers(part)
