"""The data that scores are computed of, and the temperature of the loss."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ticketzoo.errors import RunError
from ticketzoo.models.signature import End, Image, Named, Observation
from ticketzoo.pruning.probe import Inputs, Scored
from ticketzoo.tasks.task import ScoringTask, Task

BATCH = 128
"""Examples in a batch that scores are computed on, at most, where nothing else is asked for."""


def check_classes(task: Task, scored: Scored) -> None:
    """Raise RunError where examples of classes are asked for that the task does not have."""
    has_classes = isinstance(task, ScoringTask) and getattr(task, "train_labels", ...) is not None
    if scored.per_class is not None and not has_classes:
        raise RunError(f"examples_per_class: {task.name} has no classes to take examples of; leave it out")


def too_few(task: Task, per_class: int | None) -> str:
    """Return a line where classes have fewer training examples than `per_class`, which are asked for; else nothing."""
    labels = getattr(task, "train_labels", None)
    if per_class is None or labels is None:
        return ""
    counts = labels.bincount()
    counts = counts[counts > 0]
    if not (short := int((counts < per_class).sum())):
        return ""
    asked = f"examples_per_class: {per_class:,} are asked for, but {short} of {len(counts)} classes have fewer"
    others = ", and other classes fill up" * (short < len(counts))
    return f"{asked} (the smallest {int(counts.min()):,}): all of these are taken{others}"


def score_batches(task: Task, scored: Scored, seed: int, count: int, device: torch.device) -> Iterator[Any]:
    """Return `count` batches that scores are of; of a task that has no data for scores the first training batches."""
    size = _batch_size(task, scored)
    if not isinstance(task, ScoringTask):
        return task.batches(size, seed, 0, count, device)
    if scored.per_class is None:
        return task.score_batches(size, seed, count, device)
    return task.score_batches(size, seed, count, device, per_class=scored.per_class)


def stated(task: Task, scored: Scored) -> dict[str, Any]:
    """Return what the loss is of, in the form of a specification: what nobody asked for is left out."""
    content: dict[str, Any] = {"batch_size": _batch_size(task, scored)}
    if scored.per_class is not None:
        content["per_class"] = scored.per_class
    if scored.temperature != 1:
        content["temperature"] = scored.temperature
    return content


def set_temperature(model: nn.Module, temperature: float) -> None:
    """Divide by `temperature` what a network gives from now on."""
    if temperature != 1:
        model.register_forward_hook(partial(_divided, by=temperature))


def inputs_of_ones(end: End, device: torch.device) -> Inputs:
    """Return one example of an input, all numbers 1. Raises RunError where it is not made of floats."""
    if isinstance(end, Image):
        return (torch.ones(1, end.channels, end.height, end.width, device=device),)
    if isinstance(end, Observation):
        return (torch.ones(1, *end.shape, device=device),)
    if isinstance(end, Named):
        return {name: torch.ones(1, *shape, device=device) for name, shape in end.shapes}
    raise RunError(f"there is no input of ones for a model that takes {end.words}: choose another criterion")


def _batch_size(task: Task, scored: Scored) -> int:
    if scored.batch_size is not None:
        return scored.batch_size
    return BATCH if scored.per_class is None else task.examples["train"]


def _divided(module: nn.Module, inputs: Any, output: Any, by: float) -> Any:
    """Return a network's output divided by a number. Raises RunError for one that has no scores of classes."""
    if isinstance(output, Tensor):
        return output / by
    if isinstance(output, dict) and isinstance(output.get("logits"), Tensor):
        output["logits"] = output["logits"] / by
        return output
    raise RunError(f"a temperature divides scores of classes, and the network's output is {type(output).__name__}")
