"""The one training loop, for every task and every arm."""

from collections.abc import Callable, Collection, Generator
from contextlib import closing, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ticketzoo.distributed import processes
from ticketzoo.errors import RecipeError
from ticketzoo.masks.attach import hooks_paused
from ticketzoo.models import model_state
from ticketzoo.models.state import State
from ticketzoo.seeds import derive_seed
from ticketzoo.tasks.task import Task
from ticketzoo.training.config import TrainingConfig
from ticketzoo.training.forward import forward_of
from ticketzoo.training.optim import create_optimizer, learning_rate_factor
from ticketzoo.training.record import Record, measure
from ticketzoo.training.resumption import BetweenUpdates, Resumption, resume
from ticketzoo.util.signals import interrupted


def train(  # noqa: PLR0913 - one loop for every task, arm and device
    model: nn.Module,
    task: Task,
    config: TrainingConfig,
    *,
    seed: int,
    device: torch.device,
    start_step: int = 0,
    snapshot_steps: Collection[int] = (),
    on_snapshot: Callable[[int, State], None] = lambda step, state: None,
    resumption: Resumption | None = None,
    on_progress: Callable[[int, int], None] = lambda step, total: None,
) -> Record:
    """Train `model` in place from `start_step` to the end of `config.steps`.

    Masks are the model's affair (`ticketzoo.masks.attach.attach`). Learning rate, data order and augmentation are
    functions of (`seed`, step), so starting at step k goes on as a run from 0 would (Frankle et al. 2020, section 2).
    Several processes (`ticketzoo.distributed.processes`) share each batch, and all end with the same model.

    Args:
        model: on `device`, holding the weights to start from.
        task: gives batches, loss and metrics.
        config: how to train.
        seed: of data order, augmentation and dropout.
        device: where to train.
        start_step: updates that count as done.
        snapshot_steps: numbers of updates after which `on_snapshot` is called.
        on_snapshot: called, in the first process, with the number of updates and a copy of the model's state. In a
            training that goes on from a checkpoint, steps before it count as kept; if one is asked for again, the
            training begins anew.
        resumption: continue from a checkpoint there if one exists, and keep writing them; also where a signal ends
            the training (see `ticketzoo.util.signals`), before Interrupted is raised. The first process does that.
        on_progress: called with (step, total), about ten times a second at most.

    Raises:
        RecipeError: `config.steps` leaves nothing to train after `start_step`.
        RunError: a loss is no longer finite.
    """
    per_epoch = task.steps_per_epoch(config.batch_size)
    total = config.steps.iterations(per_epoch)
    if total <= start_step:
        raise RecipeError(f"training.steps: {config.steps} is {total} iterations, none of them after {start_step}")
    evaluate_every = max(1, config.evaluate_every.iterations(per_epoch))
    forward = forward_of(model, config, device)
    optimizer = create_optimizer(config.optimizer, model.parameters())
    record, step = resume(resumption, model, optimizer, start_step, snapshot_steps)
    snapshots = frozenset(snapshot_steps if processes.rank() == 0 else ())
    if step in snapshots:
        on_snapshot(step, copy_state(model))
    between = BetweenUpdates(model, optimizer, record, total, resumption, on_progress)
    with closing(_updates(model, forward, task, config, optimizer, seed, device, step, total)) as updates:
        for step, loss, told_to_stop in updates:
            if step in snapshots:
                on_snapshot(step, copy_state(model))
            if step == total or (task.has_validation and step % evaluate_every == 0):
                measure(record, model, task, device, step, loss, last=step == total)
            between.after(step, told_to_stop)
    return record


def _updates(  # noqa: PLR0913 - its steps are those of `train`
    model: nn.Module,
    forward: nn.Module,
    task: Task,
    config: TrainingConfig,
    optimizer: Optimizer,
    seed: int,
    device: torch.device,
    start: int,
    total: int,
) -> Generator[tuple[int, Tensor, bool]]:
    """Descend along the gradient of masked weights.

    Yields after each update how many there were, the loss of its batch (this process's part of the mean), and whether
    one of several processes has met a signal.
    """
    per_epoch = task.steps_per_epoch(config.batch_size)
    model.train()
    with torch.random.fork_rng(devices=_rng_devices(device)), hooks_paused(model) as zero_pruned_gradients:
        for step, batch in enumerate(task.batches(config.batch_size, seed, start, total, device), start):
            _set_learning_rate(optimizer, config, step, total, per_epoch)
            _seed_generators(device, derive_seed(seed, "augment", step))
            weight, told_to_stop = _agree(task, batch)
            with torch.autocast(device.type, torch.bfloat16) if config.precision == "bf16" else nullcontext():
                loss = task.loss(forward, batch)
            loss = loss if weight == 1 else loss * weight
            loss.backward()
            zero_pruned_gradients()
            if config.clip_norm is not None:
                nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            yield step + 1, loss.detach(), told_to_stop


def _agree(task: Task, batch: Any) -> tuple[float, bool]:
    """How much this process's mean counts in the mean over processes, and whether any of them has met a signal."""
    if processes.count() == 1:
        return 1.0, False
    size = task.size(batch)
    whole, signals = processes.summed(size, interrupted())
    return size * processes.count() / max(whole, 1), signals > 0


def copy_state(model: nn.Module) -> State:
    """A copy, on the CPU, of the model's parameters and buffers, tied ones once: later training cannot change it."""
    layout = torch.contiguous_format
    return {name: tensor.to("cpu", copy=True, memory_format=layout) for name, tensor in model_state(model).items()}


def _set_learning_rate(optimizer: Optimizer, config: TrainingConfig, step: int, total: int, per_epoch: int) -> None:
    rate = config.optimizer.lr * learning_rate_factor(config.schedule, step, total, per_epoch)
    for group in optimizer.param_groups:
        group["lr"] = rate


def _seed_generators(device: torch.device, seed: int) -> None:
    """What `torch.manual_seed` does, for the generators a step may use; it itself takes longer than many a step."""
    torch.default_generator.manual_seed(seed)
    if device.type != "cpu":
        torch.get_device_module(device).manual_seed(seed)


def _rng_devices(device: torch.device) -> list[torch.device]:
    return [device] if device.type == "cuda" else []
