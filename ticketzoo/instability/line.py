"""The error, or the loss, along the line between two trained networks."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ticketzoo.distributed import processes
from ticketzoo.distributed.batch_norm import synchronise_batch_norm
from ticketzoo.instability.recipe import LineConfig
from ticketzoo.masks.digests import state_sha256
from ticketzoo.models import create_from_architecture, load_model_state
from ticketzoo.models.state import State
from ticketzoo.runs.store import Store
from ticketzoo.seeds import derive_seed
from ticketzoo.tasks.task import Task
from ticketzoo.training import TrainingConfig
from ticketzoo.training.forward import restored_generators


class Point(NamedTuple):
    """A point of a line."""

    position: float
    """From 0 to 1 along the line."""
    error: float
    """1 minus the task's metric, or the loss, as `LineConfig.quantity` says."""

    def row(self, look: LineConfig) -> dict[str, float]:
        """Return the columns of results.jsonl: the position, and under its name the quantity."""
        return {"position": self.position, look.quantity: self.error}


@dataclass(frozen=True)
class Line:
    """A line in the space of weights, and all that decides the errors along it."""

    architecture: dict[str, Any]
    ends: tuple[State, State]
    task: Task
    training: TrainingConfig
    """Of both ends; it says in which batches statistics of BatchNorm are recomputed."""
    seed: int
    """Of the order and augmentation of those batches."""
    look: LineConfig

    def specification(self) -> dict[str, Any]:
        """Return all that decides the errors, as JSON: states by their digests."""
        return {
            "line": self.look.model_dump(mode="json", exclude={"quantity"} if self.look.quantity == "error" else None),
            "architecture": self.architecture,
            "ends": [state_sha256(end) for end in self.ends],
            "task": self.task.identity,
            "training": self.training.model_dump(mode="json", exclude_defaults=True),
            "seed": self.seed,
        }

    def state(self, position: float) -> State:
        """Return weights and buffers at `position`; whole numbers, which have no line, are those of the first end."""
        first, second = self.ends
        return {
            name: (1 - position) * tensor + position * second[name] if tensor.is_floating_point() else tensor
            for name, tensor in first.items()
        }


def errors_along(line: Line, store: Store, label: str) -> tuple[list[Point], bool]:
    """Return the points of the line, in order, and whether any of them had to be evaluated now.

    They are kept in the store, each as soon as it is there.

    Args:
        line: what to evaluate.
        store: where points are kept, and the device to evaluate on.
        label: the name of the line where progress is shown.

    Raises:
        RunError: the store's folder cannot be read or written.
    """
    models: list[nn.Module] = []  # made where a point is missing

    def evaluate(number: int) -> Point:
        if not models:
            models.append(_model(line, store.device))
        store.progress.step(label, number, line.look.points)
        return _evaluate(line, number / (line.look.points - 1), models[0], store.device)

    return store.remember_rows("line", line.specification(), Point, evaluate, count=line.look.points, key="points")


def end_of(line: Line, store: Store) -> tuple[Point, bool]:
    """Return the point at the second end of a line and whether it had to be evaluated now, as `errors_along` does it.

    It is kept apart from the points of lines, for networks at whose other end nothing is.
    """
    specification = {**line.specification(), "ends": [state_sha256(line.ends[1])]}
    specification["line"] = {key: value for key, value in specification["line"].items() if key != "points"}

    def evaluate(number: int) -> Point:
        return _evaluate(line, 1.0, _model(line, store.device), store.device)

    points, new = store.remember_rows("point", specification, Point, evaluate, count=1, key="points")
    return points[0], new


def metric_along(look: LineConfig, task: Task) -> str:
    """Return the metric that is looked at along a line, with its split: "test_accuracy" or "test_loss"."""
    return f"{look.split}_{'loss' if look.quantity == 'loss' else task.metric.name}"


def _model(line: Line, device: torch.device) -> nn.Module:
    model = create_from_architecture(line.architecture, seed=0).to(device)
    if processes.count() > 1:
        synchronise_batch_norm(model, device)
    return model


def recompute_batch_norm(
    model: nn.Module, task: Task, batch_size: int, seed: int, steps: range, device: torch.device
) -> None:
    """Set running means and variances of BatchNorm to their averages over the training batches of `steps`.

    Between two trained networks those of neither are right. Everything else of the model is as in evaluation.

    Args:
        model: on `device`; changed in place.
        task: gives the batches.
        batch_size: examples in a batch.
        seed: of the order and augmentation of the batches.
        steps: iterations whose batches are seen.
        device: of the model.
    """
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
    if not norms:
        return
    model.eval()
    with torch.no_grad(), _averaging(norms), restored_generators(device):
        for step, batch in zip(steps, task.batches(batch_size, seed, steps.start, steps.stop, device), strict=True):
            torch.manual_seed(derive_seed(seed, "augment", step))
            task.loss(model, batch)


def _evaluate(line: Line, position: float, model: nn.Module, device: torch.device) -> Point:
    load_model_state(model, line.state(position))
    per_epoch = line.task.steps_per_epoch(line.training.batch_size)
    total = line.training.steps.iterations(per_epoch)
    last = max(1, min(total, line.look.batch_norm.iterations(per_epoch)))
    recompute_batch_norm(model, line.task, line.training.batch_size, line.seed, range(total - last, total), device)
    model.eval()
    values, metric = line.task.evaluate(model, line.look.split, device), line.task.metric
    if line.look.quantity == "loss":
        return Point(position, values["loss"])
    value = values[metric.name]
    return Point(position, 1 - value if metric.higher_is_better else value)


@contextmanager
def _averaging(norms: list[_BatchNorm]) -> Iterator[None]:
    """Make BatchNorm's running statistics in this block the plain averages over the batches seen in it."""
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            norm.eval()
