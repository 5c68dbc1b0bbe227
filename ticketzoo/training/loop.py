"""The one training loop, for every task and every arm."""

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ticketzoo.errors import RecipeError
from ticketzoo.masks.attach import hooks_paused
from ticketzoo.seeds import derive_seed
from ticketzoo.tasks.task import Task
from ticketzoo.training.callbacks import BetweenUpdates, Callbacks
from ticketzoo.training.captured import Update, captured
from ticketzoo.training.config import TrainingConfig
from ticketzoo.training.faulty import check_batches
from ticketzoo.training.forward import forward_of, precision_of, restored_generators, seed_generators, share_of
from ticketzoo.training.optim import create_optimizer, set_learning_rate
from ticketzoo.training.record import Diverged, Record, is_looked_at, measure


def train(
    model: nn.Module,
    task: Task,
    config: TrainingConfig,
    *,
    seed: int,
    device: torch.device,
    start_step: int = 0,
    callbacks: Callbacks | None = None,
) -> Record:
    """Train `model` in place from `start_step` to the end of `config.steps`, and return what was measured.

    Gradient descent moves the parameters that are not frozen; masks are the model's affair (`ticketzoo.masks.attach`).
    Learning rate, data order and augmentation are functions of (`seed`, step), so starting at step k goes on as a run
    from 0 would (Frankle et al. 2020, section 2). Several processes (`ticketzoo.distributed.processes`) share each
    batch, and all end with the same model.

    Args:
        model: on `device`, holding the weights to start from. One that is all frozen is measured as it is.
        task: gives batches, loss and metrics.
        config: how to train.
        seed: of data order, augmentation and dropout.
        device: where to train.
        start_step: updates that count as done.
        callbacks: snapshots, progress, checkpoints.

    Raises:
        RecipeError: `config.steps` leaves nothing to train after `start_step`.
        RunError: a loss is no longer finite.
        Interrupted: a signal came (see `ticketzoo.util.signals`).
    """
    total, evaluate_every = lengths_of(task, config, start_step)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        return measure(Record(), model, task, device, start_step, last=True)
    forward = forward_of(model, config, device)
    optimizer = create_optimizer(config.optimizer, model.parameters())
    between = BetweenUpdates(callbacks or Callbacks(), model, optimizer, total)
    record, step = between.begin(start_step)
    descent = Descent(model, forward, optimizer, task, config, seed, device)
    with closing(descent.updates(step, total, between.resumed)) as updates:
        for step, loss, told_to_stop in updates:
            if step == total or (is_looked_at(task) and step % evaluate_every == 0):
                try:
                    measure(record, model, task, device, step, loss, last=step == total, also=between.scores)
                except Diverged as error:
                    check_batches(task, config, seed, start_step, step, device, error)
                    raise
            between.after(step, told_to_stop)
    return record


@dataclass(frozen=True)
class Descent:
    """Gradient descent on a model; `forward` is what to call in the place of `model`, whose parameters it shares."""

    model: nn.Module
    forward: nn.Module
    optimizer: Optimizer
    task: Task
    config: TrainingConfig
    seed: int
    device: torch.device

    def updates(self, start: int, total: int, via: Callable[[Any], Any] = iter) -> Generator[tuple[int, Tensor, bool]]:
        """Do the updates that follow the first `start`, up to `total`, by batches that come through `via`.

        Yields:
            after each, how many there were, the loss of its batch (this process's part of the mean), and whether one
            of several processes has met a signal.
        """
        task, config, device = self.task, self.config, self.device
        per_epoch = task.steps_per_epoch(config.batch_size)
        self.model.train()
        with restored_generators(device), hooks_paused(self.model) as zero_pruned_gradients:
            update = self.update(zero_pruned_gradients)
            if device.type == "cuda":
                update = captured(update, self.model, task, config, self.optimizer, device)
            batches = via(task.batches(config.batch_size, self.seed, start, total, device))
            for step, batch in enumerate(batches, start):
                set_learning_rate(self.optimizer, config, step, total, per_epoch)
                seed_generators(device, derive_seed(self.seed, "augment", step))
                weight, told_to_stop = share_of(task, batch)
                yield step + 1, update(batch, weight), told_to_stop

    def update(self, zero_pruned_gradients: Callable[[], None]) -> Update:
        """Return what does one update and gives the loss of its batch: a function of tensors that stay in place."""
        precision, clip_norm = precision_of(self.config, self.device), self.config.clip_norm

        def update(batch: Any, weight: float) -> Tensor:
            with precision:
                loss = self.task.loss(self.forward, batch)
            loss = loss if weight == 1 else loss * weight
            loss.backward()
            zero_pruned_gradients()
            if clip_norm is not None:
                nn.utils.clip_grad_norm_(self.model.parameters(), clip_norm)
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            return loss.detach()

        return update


def lengths_of(task: Task, config: TrainingConfig, start_step: int) -> tuple[int, int]:
    """Return how many updates the training has, and after how many each it is evaluated.

    Raises RecipeError where none is after `start_step`.
    """
    per_epoch = task.steps_per_epoch(config.batch_size)
    total = config.steps.iterations(per_epoch)
    if total <= start_step:
        raise RecipeError(f"training.steps: {config.steps} is {total} iterations, none of them after {start_step}")
    return total, max(1, config.evaluate_every.iterations(per_epoch))
