"""Parameters that a task trains: those its loss depends on."""

from collections.abc import Iterable

import torch
from torch import nn

from ticketzoo.distributed import processes
from ticketzoo.seeds import derive_seed
from ticketzoo.tasks.task import Task

EXAMPLES = 2
"""Per process, in the one batch that is looked at."""


def unreached(model: nn.Module, task: Task, names: Iterable[str]) -> list[str]:
    """Return those of the parameters `names` that get no gradient from the task's loss, in their order.

    They are no part of what the loss is computed from, such as the pooler of an encoder under masked language modeling:
    training leaves them as they were, so nothing is known of their worth. One small batch is looked at, in evaluation
    mode. A gradient that is zero on it counts as a gradient. Of several processes all give the same.

    Args:
        model: on the CPU; afterwards it is as before, but that these parameters require gradients.
        task: gives the batch and the loss.
        names: of parameters of the model.
    """
    names, device, training = list(names), torch.device("cpu"), model.training
    if not names:
        return []
    size = EXAMPLES * processes.count()
    (batch,) = task.batches(size, derive_seed(0, "reached"), 0, 1, device)
    parameters = [model.get_parameter(name).requires_grad_() for name in names]
    model.eval()
    try:
        with torch.random.fork_rng(devices=[]):
            loss = task.loss(model, batch)
            gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
    finally:
        model.train(training)
    reached = {name for name, gradient in zip(names, gradients, strict=True) if gradient is not None}
    anywhere = set().union(*processes.from_each(reached))
    return [name for name in names if name not in anywhere]
