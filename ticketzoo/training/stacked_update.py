"""One update of all members of a population: a function of tensors that stay where they are, so it can be captured."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ticketzoo.data.order import whole_order
from ticketzoo.tasks.task import Resident, Task
from ticketzoo.training.config import TrainingConfig
from ticketzoo.training.forward import precision_of
from ticketzoo.training.optim import create_optimizer, learning_rate_factor
from ticketzoo.training.population import Population

_WARM_UP = 3
"""Updates before a capture, which set up what libraries set up on first use."""


def create_stacked_optimizer(config: TrainingConfig, population: Population) -> Optimizer:
    """Return the optimizer of all members, its state allocated: it works on each number alone.

    On CUDA its learning rate is a tensor on the device, so that it may change in captured updates.
    """
    optimizer = create_optimizer(config.optimizer, population.trained)
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            state = optimizer.state[parameter]
            if config.optimizer.name == "sgd":
                if config.optimizer.momentum:
                    state["momentum_buffer"] = torch.zeros_like(parameter)
                continue
            state["step"] = torch.zeros((), dtype=torch.float32, device=parameter.device)
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
        if group["params"][0].is_cuda:
            group["lr"] = torch.tensor(group["lr"], dtype=torch.float32, device=group["params"][0].device)
            group["capturable"] = True
    optimizer._warned_capturable_if_run_uncaptured = True
    return optimizer


class StackedUpdates:
    """The updates of a population. Whole batches of an epoch are one kind, its last smaller one is another.

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
        self._task, self._resident, self._seeds, self._total, self._device = task, resident, seeds, total, device
        self._examples, self._per_epoch = len(resident.tensors[0]), task.steps_per_epoch(config.batch_size)
        self.losses = torch.zeros(population.size, device=device)
        whole, rest = divmod(self._examples, config.batch_size)
        self._whole = torch.zeros(whole, population.size, config.batch_size, dtype=torch.int64, device=device)
        self._rest = torch.zeros(1, population.size, rest, dtype=torch.int64, device=device)
        self._rates = torch.zeros(self._per_epoch, device=device)
        self._position = torch.zeros(1, dtype=torch.int64, device=device)
        self._epoch = -1
        self._next = -1
        self._graphs: dict[bool, torch.cuda.CUDAGraph] = {}

    def try_out(self) -> None:
        """Compute the losses of the first batch once, and change nothing. Raises what torch does where that fails."""
        kept = [buffer.clone() for buffer in self._population.buffers.values()]
        self._go_to(0, 0)
        with torch.no_grad():
            self._losses(self._rows(len(self._whole) > 0))
        for buffer, before in zip(self._population.buffers.values(), kept, strict=True):
            buffer.copy_(before)

    def capture(self) -> None:
        """Do the updates from now on as CUDA graphs, one for each kind of batch. Changes no number.

        Raises:
            RuntimeError: an operation of the model or the loss cannot be captured; updates go on uncaptured.
        """
        kinds = [True] * (len(self._whole) > 0) + [False] * (self._rest.shape[2] > 0)
        pool = torch.cuda.graph_pool_handle()
        with torch.cuda.device(self._device):
            self._graphs = {whole: self._captured(whole, pool) for whole in kinds}

    def __call__(self, step: int) -> None:
        """Do the update that follows `step` finished ones; the device may still be at it afterwards."""
        epoch, position = divmod(step, self._per_epoch)
        if step != self._next or epoch != self._epoch:
            self._go_to(epoch, position)
        if not self._rates.is_cuda:
            self._optimizer.param_groups[0]["lr"] = self._rate(step)
        whole = position < len(self._whole)
        if whole in self._graphs:
            self._graphs[whole].replay()
        else:
            self.update(whole)
        self._next = step + 1

    def update(self, whole: bool) -> None:
        """Do one update of the batch of `whole` size, or of the rest, that the tensors on the device point to."""
        population, config, rate = self._population, self._config, self._optimizer.param_groups[0]["lr"]
        if isinstance(rate, Tensor):
            rate.copy_(self._rates.index_select(0, self._position)[0])
        population.drop_gradients()
        losses = self._losses(self._rows(whole))
        losses.sum().backward()
        population.zero_pruned_gradients()
        if config.clip_norm is not None:
            population.clip_gradients(config.clip_norm)
        self._optimizer.step()
        population.hold_pruned()
        with torch.no_grad():
            self.losses.copy_(losses)
            self._position += 1

    def _losses(self, rows: Tensor) -> Tensor:
        members = self._population.size
        gathered = [tensor.index_select(0, rows).unflatten(0, (members, -1)) for tensor in self._resident.tensors]

        def loss(model: nn.Module, *of_one: Tensor) -> tuple[Tensor]:
            return (self._task.loss(model, self._resident.batch(of_one)),)

        with precision_of(self._config, self._device):
            return self._population.of_each(loss, *gathered)[0]

    def _rows(self, whole: bool) -> Tensor:
        """Return which examples the update is of, one member's after the other's."""
        return (self._whole.index_select(0, self._position) if whole else self._rest).flatten()

    def _go_to(self, epoch: int, position: int) -> None:
        """Have the tensors on the device point to the update at `position` of `epoch`."""
        if epoch != self._epoch:
            orders = {
                seed: next(whole_order(self._examples, self._examples, seed, epoch, epoch + 1))
                for seed in dict.fromkeys(self._seeds)
            }
            order, in_whole = torch.stack([orders[seed] for seed in self._seeds]), self._whole.shape[0]
            in_whole *= self._config.batch_size
            if len(self._whole):
                whole = order[:, :in_whole].reshape(self._population.size, len(self._whole), -1).transpose(0, 1)
                self._upload(whole, self._whole)
            self._upload(order[:, in_whole:].unsqueeze(0), self._rest)
            first = epoch * self._per_epoch
            rates = [self._rate(step) for step in range(first, first + self._per_epoch)]
            self._upload(torch.tensor(rates, dtype=torch.float32), self._rates)
            self._epoch = epoch
        self._position.fill_(position)

    def _upload(self, values: Tensor, there: Tensor) -> None:
        values = values.contiguous()
        there.copy_(values.pin_memory() if there.is_cuda else values, non_blocking=True)

    def _rate(self, step: int) -> float:
        factor = learning_rate_factor(self._config.schedule, step, self._total, self._per_epoch)
        return self._config.optimizer.lr * factor

    def _captured(self, whole: bool, pool: Any) -> torch.cuda.CUDAGraph:
        kept = [(tensor, tensor.clone()) for tensor in self._moved()]
        graph, aside = torch.cuda.CUDAGraph(), torch.cuda.Stream(self._device)
        current = torch.cuda.current_stream(self._device)
        try:
            aside.wait_stream(current)
            with torch.cuda.stream(aside):
                for _ in range(_WARM_UP):
                    self._position.zero_()
                    self.update(whole)
            current.wait_stream(aside)
            self._population.drop_gradients()
            with torch.cuda.graph(graph, pool=pool):
                self.update(whole)
            self._population.drop_gradients()
        finally:
            with torch.no_grad():
                for tensor, before in kept:
                    tensor.copy_(before)
        return graph

    def _moved(self) -> list[Tensor]:
        """Return the tensors that an update changes."""
        states = [value for state in self._optimizer.state.values() for value in state.values()]
        return [*self._population.tensors(), *states, self._position, self.losses]
