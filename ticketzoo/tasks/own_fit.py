"""A check that a user's network and examples fit, in one line before any training."""

import torch
from torch import Tensor, nn

from ticketzoo.errors import DataError
from ticketzoo.tasks.own import OwnTask

_CHECKED = 1024
"""Examples whose labels are looked at together."""
IGNORED = -100
"""The label that cross-entropy leaves out."""


@torch.no_grad()
def check_fit(task: OwnTask, model: nn.Module, device: torch.device) -> None:
    """Take a step's loss of two training examples, look at all labels and numbers, and evaluate, as training does.

    Args:
        task: of the user's examples.
        model: a fresh network, in evaluation mode on `device`.
        device: of the trainings.

    Raises:
        DataError: the network does not take the inputs, or its outputs do not fit the targets.
    """
    (batch,) = task.batches(2, 0, 0, 1, device)
    inputs, targets = batch
    shapes = f"inputs {_shapes(inputs)}, targets {_shapes(targets)}"
    try:
        outputs = model(**inputs) if isinstance(inputs, dict) else model(inputs)
    except (RuntimeError, IndexError, ValueError, TypeError) as error:
        raise DataError(f"train: the network does not take its examples ({shapes}): {_line(error)}") from error
    outputs = getattr(outputs, "logits", outputs)
    if isinstance(outputs, Tensor) and outputs.dim() == 2 and targets.dim() == 1 and not targets.is_floating_point():
        _check_labels(task, outputs.shape[1], device)
    if task.takes_squares and isinstance(outputs, Tensor) and outputs.shape != targets.shape:
        advice = "give classes as integers (targets.long()), and values in the outputs' shape, or a loss"
        raise DataError(f"train: outputs {_shapes(outputs)} and targets {_shapes(targets)} differ in shape: {advice}")
    try:
        task.loss(model, batch)
    except (RuntimeError, IndexError, ValueError, TypeError) as error:
        shapes = f"outputs {_shapes(outputs)}, targets {_shapes(targets)}"
        raise DataError(f"loss: cannot be taken of the network's outputs ({shapes}): {_line(error)}") from error
    try:
        task.evaluate(model, "test", device)
        task.check_finite(model, device)
    except (RuntimeError, IndexError) as error:
        raise DataError(f"evaluate: the network does not fit these examples: {_line(error)}") from error


def _check_labels(task: OwnTask, outputs: int, device: torch.device) -> None:
    for _, targets in task.batches(_CHECKED, 0, 0, task.steps_per_epoch(_CHECKED), device):
        labels = targets[targets != IGNORED]
        if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < outputs:
            found = f"labels from {int(labels.min())} to {int(labels.max())}"
            raise DataError(f"train: has {found}, but the network has {outputs} outputs, for labels 0 to {outputs - 1}")


def _shapes(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_shapes(item)}" for key, item in value.items()) + "}"
    return f"{list(value.shape)} {str(value.dtype).removeprefix('torch.')}" if isinstance(value, Tensor) else "none"


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
