"""One update of all members of a population: a function of tensors that stay where they are, so it can be captured."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ticketzoo.tasks.task import Resident, Task
from ticketzoo.training.config import TrainingConfig
from ticketzoo.training.forward import precision_of
from ticketzoo.training.optim import create_optimizer, learning_rate_factor, make_capturable
from ticketzoo.training.population import NotStackable, Population
from ticketzoo.training.python_state import changed, python_state
from ticketzoo.training.stacked_batches import StackedBatches, upload

_WARM_UP = 3
"""Updates before a capture, which set up what libraries set up on first use."""


def create_stacked_optimizer(config: TrainingConfig, population: Population) -> Optimizer:
    """Return the optimizer of all members, its state allocated: it works on each number alone.

    On CUDA its learning rate is a tensor on the device, so that it may change in captured updates.
    """
    optimizer = create_optimizer(config.optimizer, population.trained)
    make_capturable(optimizer)
    return optimizer


class StackedUpdates:
    """The updates of a population.

    Attributes:
        losses: float [members], of the last update.
    """

    def __init__(
        self,
        population: Population,
        optimizer: Optimizer,
        task: Task,
        resident: Resident,
        config: TrainingConfig,
        seeds: Sequence[int],
        total: int,
        device: torch.device,
    ) -> None:
        self._population, self._optimizer, self._config = population, optimizer, config
        self._task, self._resident, self._total, self._device = task, resident, total, device
        self._batches = StackedBatches(resident, seeds, config.batch_size, device)
        self.losses = torch.zeros(population.size, device=device)
        self._rates = torch.zeros(self._batches.per_epoch, device=device)
        self._next = -1
        self._graphs: dict[bool, torch.cuda.CUDAGraph] = {}

    def try_out(self) -> None:
        """Compute the losses of the first batch once, and change nothing.

        Raises:
            NotStackable: the model keeps something else than tensors from call to call, which would be everyone's.
            Exception: what torch raises where the model cannot be stacked.
        """
        kept = [buffer.clone() for buffer in self._population.buffers.values()]
        model = self._population.member(0)
        before = python_state(model)
        self._go_to(0, 0)
        with torch.no_grad():
            self._losses(self._batches.kinds[0])
        if (name := changed(before, python_state(model))) is not None:
            raise NotStackable(f"the model changes its {name} in Python from call to call")
        for buffer, values in zip(self._population.buffers.values(), kept, strict=True):
            buffer.copy_(values)

    def capture(self) -> None:
        """Do the updates from now on as CUDA graphs, one for each kind of batch. Changes no number.

        Raises:
            RuntimeError: an operation of the model or the loss cannot be captured; updates go on uncaptured.
        """
        pool = torch.cuda.graph_pool_handle()
        with torch.cuda.device(self._device):
            self._graphs = {whole: self._captured(whole, pool) for whole in self._batches.kinds}

    def __call__(self, step: int) -> None:
        """Do the update that follows `step` finished ones; the device may still be at it afterwards."""
        epoch, position = divmod(step, self._batches.per_epoch)
        if step != self._next or position == 0:
            self._go_to(epoch, position)
        if not self._rates.is_cuda:
            self._optimizer.param_groups[0]["lr"] = self._rate(step)
        whole = position < self._batches.whole
        if whole in self._graphs:
            self._graphs[whole].replay()
        else:
            self.update(whole)
        self._next = step + 1

    def update(self, whole: bool) -> None:
        """Do one update of the batch of `whole` size, or of the rest, that the tensors on the device point to."""
        population, config, rate = self._population, self._config, self._optimizer.param_groups[0]["lr"]
        if isinstance(rate, Tensor):
            rate.copy_(self._rates.index_select(0, self._batches.position)[0])
        population.drop_gradients()
        losses = self._losses(whole)
        losses.sum().backward()
        population.zero_pruned_gradients()
        if config.clip_norm is not None:
            population.clip_gradients(config.clip_norm)
        self._optimizer.step()
        population.hold_pruned()
        with torch.no_grad():
            self.losses.copy_(losses)
            self._batches.position += 1

    def _losses(self, whole: bool) -> Tensor:
        def loss(model: nn.Module, *of_one: Tensor) -> tuple[Tensor]:
            return (self._task.loss(model, self._resident.batch(of_one)),)

        gathered = self._batches.gather(whole)
        with precision_of(self._config, self._device):
            return self._population.of_each(loss, *gathered)[0]

    def _go_to(self, epoch: int, position: int) -> None:
        """Have the tensors on the device point to the update at `position` of `epoch`."""
        if self._batches.go_to(epoch, position):
            first, count = epoch * self._batches.per_epoch, self._batches.per_epoch
            rates = [self._rate(step) for step in range(first, first + count)]
            upload(torch.tensor(rates, dtype=torch.float32), self._rates)

    def _rate(self, step: int) -> float:
        factor = learning_rate_factor(self._config.schedule, step, self._total, self._batches.per_epoch)
        return self._config.optimizer.lr * factor

    def _captured(self, whole: bool, pool: Any) -> torch.cuda.CUDAGraph:
        kept = [(tensor, tensor.clone()) for tensor in self._moved()]
        graph, aside = torch.cuda.CUDAGraph(), torch.cuda.Stream(self._device)
        current = torch.cuda.current_stream(self._device)
        try:
            aside.wait_stream(current)
            with torch.cuda.stream(aside):
                for _ in range(_WARM_UP):
                    self._batches.position.zero_()
                    self.update(whole)
            current.wait_stream(aside)
            self._population.drop_gradients()
            with torch.cuda.graph(graph, pool=pool):
                self.update(whole)
            self._population.drop_gradients()
        finally:
            torch.cuda.set_stream(current)  # a capture that failed leaves another
            with torch.no_grad():
                for tensor, before in kept:
                    tensor.copy_(before)
        return graph

    def _moved(self) -> list[Tensor]:
        """Return the tensors that an update changes."""
        states = [value for state in self._optimizer.state.values() for value in state.values()]
        return [*self._population.tensors(), *states, self._batches.position, self.losses]
