"""Zero the gradients of pruned weights of many parameters by one call of torch.

On a GPU, where every small operation costs more time to start than to run, the gradients that a backward pass
accumulates wait for its end, and are then zeroed together. Where something else may read them before, they do not wait.
"""

import weakref
from collections.abc import Iterable

import torch
from torch import Tensor
from torch.autograd import Variable

from ticketzoo.masks.excluded import Excluded


class _Pass:
    """A backward pass that is going on. It lives as long as its callback: to its end, or until it fails."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Excluded, Tensor]] = []

    def end(self) -> None:
        zero_gradients(self.waiting)
        self.waiting = []


_PASSES: "weakref.WeakValueDictionary[int, _Pass]" = weakref.WeakValueDictionary()
"""By their numbers: several where several threads go backward."""


def zero_later(part: Excluded, parameter: Tensor) -> None:
    """Zero the gradient just accumulated: with others at the end of the backward pass, or now if it may be read."""
    if _may_be_read(parameter):
        part.zero_gradient(parameter)
        return
    number = torch._C._current_graph_task_id()
    going_on = _PASSES.get(number)
    if going_on is None:
        _PASSES[number] = going_on = _Pass()
        Variable._execution_engine.queue_callback(going_on.end)
    going_on.waiting.append((part, parameter))


def zero_gradients(pairs: Iterable[tuple[Excluded, Tensor]]) -> None:
    """Set the gradients of what is excluded of these parameters to 0.0, by one call where they are dense tensors."""
    gradients, kept = [], []
    for part, parameter in pairs:
        if (gradient := part.integers_of(parameter.grad)) is None:
            part.zero_gradient(parameter)
        else:
            gradients.append(gradient)
            kept.append(part.bits)
    if gradients:
        torch._foreach_mul_(gradients, kept)


def waits(parameter: Tensor) -> bool:
    """Tell whether gradients on its device wait. On a CPU they are zeroed at once, while they are in its cache."""
    return parameter.is_cuda


def _may_be_read(parameter: Tensor) -> bool:
    """Tell whether something else may read its gradient before the backward pass ends: another hook, a communication.

    Also outside of a backward pass, and where the pass is being compiled, which must see the operation itself.
    """
    hooks = parameter._post_accumulate_grad_hooks
    return (
        hooks is None
        or len(hooks) > 1
        or bool(parameter._backward_hooks)
        or (torch.distributed.is_available() and torch.distributed.is_initialized())
        or torch.compiler.is_compiling()
        or torch._C._current_graph_task_id() < 0
    )
