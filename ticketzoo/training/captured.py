"""Updates as CUDA graphs: one launch does all kernels of an update, which launching them one by one would wait for."""

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ticketzoo.distributed import processes
from ticketzoo.tasks.task import StaticBatch, StaticTask, Task
from ticketzoo.training.config import TrainingConfig
from ticketzoo.training.optim import make_capturable
from ticketzoo.training.python_state import changed, python_state

Update = Callable[[Any, float], Tensor]
"""Does one update by a batch, given this process's weight in the mean over processes, and returns the batch's loss."""

MOST_SHAPES = 16
"""Shapes of batches whose updates are captured, at most: each has a graph of its own."""


def captured(
    update: Update,
    model: nn.Module,
    task: Task,
    config: TrainingConfig,
    optimizer: Optimizer,
    device: torch.device,
) -> Update:
    """Return what does the same updates as `update`, as CUDA graphs, or `update` itself; then the log says why.

    Args:
        update: computes with tensors that stay in place: parameters, buffers, the optimizer's state and its rate.
        model: what is updated.
        task: gives the batches.
        config: of the training.
        optimizer: in the state that training begins with.
        device: a CUDA one.
    """
    if config.capture == "off":
        return update
    why = why_not(task, config)
    if why is not None:
        _say(why)
        return update
    make_capturable(optimizer)
    return StaticUpdates(update, model, task, optimizer, device)  # type: ignore[arg-type]


def why_not(task: Task, config: TrainingConfig) -> str | None:
    """Return why the updates of a training are not to be captured; None where they may be."""
    if config.compile:
        return "the model is compiled (training.compile)"
    if processes.count() > 1:
        return "several processes share each batch"
    if not hasattr(task, "static"):
        return f"the task {task.name} has no `static`, which makes tensors of its batches"
    return None


@dataclass(frozen=True)
class _Graph:
    """A captured update: what it reads its batch from, and the loss that it leaves."""

    graph: torch.cuda.CUDAGraph
    inputs: list[Tensor]
    loss: Tensor


class StaticUpdates:
    """Updates by batches that are tensors of few shapes. On a CPU none is captured; the numbers are the same.

    The first update of a shape is done kernel by kernel, which sets up what libraries set up on first use; the second
    is captured. Both are done on one stream beside the current one, as autograd may keep the stream that it first met.
    Random numbers come from the generators as they are seeded before each update, captured or not.
    """

    def __init__(
        self, update: Update, model: nn.Module, task: StaticTask, optimizer: Optimizer, device: torch.device
    ) -> None:
        self._model, self._update, self._task, self._optimizer, self._device = model, update, task, optimizer, device
        self._met: set[tuple[Any, ...]] = set()
        self._graphs: dict[tuple[Any, ...], _Graph] = {}
        self._captures = device.type == "cuda"
        self._pool = torch.cuda.graph_pool_handle() if self._captures else None

    def __call__(self, batch: Any, weight: float) -> Tensor:
        """Do the update of a batch; the device may still be at it afterwards. Returns the loss, good until the next."""
        static = self._task.static(batch)
        shapes = tuple((tensor.shape, tensor.dtype) for tensor in static.tensors)
        if self._captures and shapes in self._met and shapes not in self._graphs and len(self._graphs) < MOST_SHAPES:
            self._try_to_capture(shapes, static, weight)
        graph = self._graphs.get(shapes)
        if graph is None:
            first = self._captures and shapes not in self._met
            self._met.add(shapes)
            return self._watched(static, weight) if first else self._aside(static, weight)
        for there, tensor in zip(graph.inputs, static.tensors, strict=True):
            there.copy_(tensor, non_blocking=True)
        graph.graph.replay()
        return graph.loss

    def _watched(self, static: StaticBatch, weight: float) -> Tensor:
        """Do an update, and capture none from then on if it did what a graph would repeat or leave out."""
        drawn, kept = _random_states(), python_state(self._model)
        loss = self._aside(static, weight)
        why = "the model draws random numbers on the CPU" if _random_states() != drawn else None
        if (name := changed(kept, python_state(self._model))) is not None:
            why = f"the model changes its {name} in Python from call to call"
        if why is not None:
            self._captures = False
            self._graphs.clear()
            _say(why)
        return loss

    def _aside(self, static: StaticBatch, weight: float) -> Tensor:
        """Do an update kernel by kernel."""
        batch = static.batch(static.tensors)
        if self._device.type != "cuda":
            return self._update(batch, weight)
        current, aside = torch.cuda.current_stream(self._device), _stream(self._device)
        aside.wait_stream(current)
        with torch.cuda.stream(aside):
            loss = self._update(batch, weight)
        current.wait_stream(aside)
        return loss

    def _try_to_capture(self, shapes: tuple[Any, ...], static: StaticBatch, weight: float) -> None:
        """Capture the update of batches of these shapes, which does nothing yet; where that fails, capture no other."""
        current = torch.cuda.current_stream(self._device)
        try:
            with torch.cuda.device(self._device), torch.cuda.stream(current):  # which a capture that fails would leave
                self._graphs[shapes] = self._capture(static, weight)
        except Exception as error:  # all of it has just worked uncaptured
            self._captures = False
            first = error.__context__ or error  # the end of a capture that failed fails, too
            _say(str(first).strip().splitlines()[0] if str(first).strip() else type(first).__name__)
            self._optimizer.zero_grad(set_to_none=True)
            with torch.cuda.device(self._device), torch.cuda.stream(current):
                mend_generator(self._device)

    def _capture(self, static: StaticBatch, weight: float) -> _Graph:
        inputs = [tensor.clone() for tensor in static.tensors]
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(
            graph, pool=self._pool, stream=_stream(self._device), capture_error_mode="thread_local"
        ):  # other threads may read data and pin memory meanwhile
            loss = self._update(static.batch(inputs), weight)
        return _Graph(graph, inputs, loss)


@cache
def _stream(device: torch.device) -> torch.cuda.Stream:
    """Return the stream beside the current one; one for all trainings, as libraries keep memory for each."""
    return torch.cuda.Stream(device)


@cache
def _say(why: str) -> None:
    """Log the reason, once."""
    if processes.rank() == 0:
        logging.getLogger(__name__).warning("updates are not captured as CUDA graphs: %s", why)


def _random_states() -> tuple[Any, ...]:
    of_numpy = repr(np.random.get_state(legacy=False))  # noqa: NPY002 - the one that a model draws from
    return torch.default_generator.get_state().numpy().tobytes(), random.getstate(), of_numpy


def mend_generator(device: torch.device) -> None:
    """Have the device's generator draw again after a capture that failed: it takes itself to be captured still."""
    try:
        with torch.cuda.graph(torch.cuda.CUDAGraph(), stream=_stream(device), capture_error_mode="thread_local"):
            torch.zeros(1, device=device)
    except RuntimeError:
        pass
