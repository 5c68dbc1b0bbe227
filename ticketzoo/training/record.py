"""Measurements of a training."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ticketzoo.distributed import processes
from ticketzoo.errors import RunError
from ticketzoo.tasks.task import Task


class Diverged(RunError):
    """A loss is not finite."""


@dataclass
class Record:
    """The measurements of a training. Steps count finished updates."""

    final: dict[str, Any] = field(default_factory=dict)
    """`{"step", "train_loss", "validation_loss", "test_loss", "test_accuracy", ...}` after the last update."""
    best: dict[str, Any] = field(default_factory=dict)
    """The same at the step of minimum validation loss (the first such); empty without a validation split."""
    curve: list[dict[str, Any]] = field(default_factory=list)
    """The validation metrics at every evaluation, or what a task's `measures_course` asks for, and the loss of the last
    training batch (`train_loss`)."""
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    """Processor time of this process and its threads."""
    left_out: int = 0
    """Examples that could not be read, of all that the task had met by then."""


def is_looked_at(task: Task) -> bool:
    """Tell whether trainings on `task` are measured before their end."""
    return task.has_validation or getattr(task, "measures_course", False)


def measure(
    record: Record,
    model: nn.Module,
    task: Task,
    device: torch.device,
    step: int,
    loss: Tensor | None = None,
    *,
    last: bool,
    also: Callable[[], Mapping[str, float]] = dict,
) -> Record:
    """Add to `record` the metrics after `step` updates: validation, and test where its numbers will be reported.

    A task that measures the course of trainings is measured on training and test split every time.

    Args:
        record: of the training so far.
        model: in training mode, as it is afterwards.
        task: gives the metrics.
        device: of the model.
        step: finished updates.
        loss: of the last training batch, this process's part of the mean; None where there was none.
        last: whether training ends here.
        also: gives metrics of the training itself, which take the place of the task's on the test split.

    Returns:
        `record`.

    Raises:
        Diverged: a loss is not finite.
        RunError: the task does not give its metric.
    """
    model.eval()
    processes.take_buffers_of_first(model)
    point: dict[str, Any] = {"step": step}
    if loss is not None:
        (total_loss,) = processes.summed(loss.item())
        point["train_loss"] = total_loss / processes.count()
    with parametrize.cached():  # weights that are functions of others are worked out once
        _evaluate(record, point, model, task, device, also if last else None)
    model.train()
    return record


def _evaluate(
    record: Record,
    point: dict[str, Any],
    model: nn.Module,
    task: Task,
    device: torch.device,
    last: Callable[[], Mapping[str, float]] | None,
) -> None:
    if task.has_validation:
        point |= _scores("validation", model, task, device)
    if getattr(task, "measures_course", False):
        point |= _scores("test", model, task, device) | _training_scores(model, task, device)
    if is_looked_at(task):
        record.curve.append(point)
    _check_finite(point)
    is_best = task.has_validation and (not record.best or point["validation_loss"] < record.best["validation_loss"])
    if is_best or last:
        point = point | _scores("test", model, task, device)
        point |= {f"test_{name}": value for name, value in (last() if last else {}).items()}
        if last and getattr(task, "measures_training", False):
            point |= _training_scores(model, task, device)
        _check_finite(point)
    if is_best:
        record.best = point
    if last:
        record.final = point


def _training_scores(model: nn.Module, task: Task, device: torch.device) -> dict[str, float]:
    """Return the metrics on the training split; the loss of the last batch is there as `train_loss`."""
    scores = task.evaluate(model, "train", device)
    return {f"train_{name}": value for name, value in scores.items() if name != "loss"}


def _check_finite(point: dict[str, Any]) -> None:
    for name, value in point.items():
        if not math.isfinite(value):
            what = f"{name} is {value} after {point['step']} iterations"
            raise Diverged(f"training diverged: {what}; lower training.optimizer.lr")


def _scores(split: str, model: nn.Module, task: Task, device: torch.device) -> dict[str, float]:
    metrics = task.evaluate(model, split, device)
    needed = "loss" if split == "validation" else task.metric.name
    if needed not in metrics:
        raise RunError(f"task {task.name}: evaluate gave no {needed}, only {', '.join(metrics) or 'nothing'}")
    return {f"{split}_{name}": value for name, value in metrics.items()}
