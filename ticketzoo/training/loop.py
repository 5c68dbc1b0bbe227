"""The one training loop, for every task and every arm."""

import math
import time
from collections.abc import Callable, Collection
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ticketzoo.errors import RecipeError, RunError
from ticketzoo.interruption import Interrupted, interrupted
from ticketzoo.models import load_model_state, model_state
from ticketzoo.seeds import derive_seed
from ticketzoo.ticket.masking import hooks_paused
from ticketzoo.training import processes
from ticketzoo.training.checkpoint import (
    Checkpoint,
    State,
    load_checkpoint,
    load_optimizer_tensors,
    optimizer_tensors,
    save_checkpoint,
)
from ticketzoo.training.config import TrainingConfig
from ticketzoo.training.forward import forward_of
from ticketzoo.training.optimizers import create_optimizer
from ticketzoo.training.schedules import learning_rate_factor
from ticketzoo.training.task import Task


@dataclass
class Record:
    """What was measured in a training. Steps count finished updates."""

    final: dict[str, Any] = field(default_factory=dict)
    """`{"step", "train_loss", "validation_loss", "test_loss", "test_accuracy", ...}` after the last update."""
    best: dict[str, Any] = field(default_factory=dict)
    """The same at the step of minimum validation loss (the first such); empty without a validation split."""
    curve: list[dict[str, Any]] = field(default_factory=list)
    """The validation metrics at every evaluation, and the loss of the last training batch (`train_loss`)."""
    seconds: float = 0.0


@dataclass
class Resumption:
    """The folder in which a training keeps its checkpoints, how often it writes one, who is told of a damaged one."""

    folder: Path
    every_seconds: float = 60.0
    warn: Callable[[str], None] = lambda message: None


def train(
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

    Masks are the model's affair (`ticketzoo.ticket.masking.attach`). Learning rate, data order and augmentation are
    functions of (`seed`, step), so starting at step k goes on as a run from 0 would (Frankle et al. 2020, section 2).
    Several processes (`ticketzoo.training.processes`) share each batch, and all end with the same model.

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
            the training (see `ticketzoo.interruption`), before Interrupted is raised. The first process does that.
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
    is_first = processes.rank() == 0
    optimizer = create_optimizer(config.optimizer, model.parameters())
    record, step = Record(), start_step
    checkpoint = processes.from_first(lambda: resumption and load_checkpoint(resumption.folder, resumption.warn))
    if checkpoint and all(later >= checkpoint.step for later in snapshot_steps):
        record, step = _restore(checkpoint, model, optimizer)
    if step in snapshot_steps and is_first:
        on_snapshot(step, copy_state(model))
    began, saved, shown = time.monotonic() - record.seconds, time.monotonic(), 0.0

    model.train()
    with torch.random.fork_rng(devices=_rng_devices(device)), hooks_paused(model) as zero_pruned_gradients:
        for batch in task.batches(config.batch_size, seed, step, total, device):
            _set_learning_rate(optimizer, config, step, total, per_epoch)
            _seed_generators(device, derive_seed(seed, "augment", step))
            weight, told_to_stop = _agree(task, batch)
            with torch.autocast(device.type, torch.bfloat16) if config.precision == "bf16" else nullcontext():
                loss = task.loss(forward, batch)
            (loss if weight == 1 else loss * weight).backward()
            zero_pruned_gradients()
            if config.clip_norm is not None:
                nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            step += 1

            if step in snapshot_steps and is_first:
                on_snapshot(step, copy_state(model))
            if step == total or (task.has_validation and step % evaluate_every == 0):
                _evaluate(record, model, task, device, step, loss * weight, last=step == total)
            now = time.monotonic()
            if now - shown > 0.1 or step == total:
                on_progress(step, total)
                shown = now
            stopping = told_to_stop or (processes.count() == 1 and interrupted())
            if step < total and resumption and is_first and (now - saved > resumption.every_seconds or stopping):
                record.seconds = now - began
                tensors = model_state(model), optimizer_tensors(optimizer)
                save_checkpoint(resumption.folder, Checkpoint(step, *tensors, dict(vars(record))))
                saved = now
            if step < total and stopping:
                raise Interrupted
    record.seconds = time.monotonic() - began
    return record


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


def _evaluate(
    record: Record, model: nn.Module, task: Task, device: torch.device, step: int, loss: Tensor, *, last: bool
) -> None:
    """Look at the validation split; at the test split only where its number will be reported."""
    model.eval()
    processes.take_buffers_of_first(model)
    (total_loss,) = processes.summed(loss.item())
    point: dict[str, Any] = {"step": step, "train_loss": total_loss / processes.count()}
    if task.has_validation:
        point |= _prefixed("validation", task.evaluate(model, "validation", device))
        record.curve.append(point)
    _check_finite(point)
    is_best = task.has_validation and (not record.best or point["validation_loss"] < record.best["validation_loss"])
    if is_best or last:
        point = point | _prefixed("test", task.evaluate(model, "test", device))
        _check_finite(point)
    if is_best:
        record.best = point
    if last:
        record.final = point
    model.train()


def _check_finite(point: dict[str, Any]) -> None:
    for name, value in point.items():
        if not math.isfinite(value):
            what = f"{name} is {value} after {point['step']} iterations"
            raise RunError(f"training diverged: {what}; lower training.optimizer.lr")


def _prefixed(prefix: str, metrics: dict[str, float]) -> dict[str, float]:
    return {f"{prefix}_{name}": value for name, value in metrics.items()}


def _seed_generators(device: torch.device, seed: int) -> None:
    """What `torch.manual_seed` does, for the generators a step may use; it itself takes longer than many a step."""
    torch.default_generator.manual_seed(seed)
    if device.type != "cpu":
        torch.get_device_module(device).manual_seed(seed)


def _rng_devices(device: torch.device) -> list[torch.device]:
    return [device] if device.type == "cuda" else []


def _restore(checkpoint: Checkpoint, model: nn.Module, optimizer: Optimizer) -> tuple[Record, int]:
    load_model_state(model, checkpoint.model)
    load_optimizer_tensors(optimizer, checkpoint.optimizer)
    return Record(**checkpoint.record), checkpoint.step
