"""The parts of a training step: the model laid out, compiled and shared, its precision, its random numbers."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

import torch
from torch import nn

from ticketzoo.distributed import processes
from ticketzoo.distributed.batch_norm import synchronise_batch_norm
from ticketzoo.tasks.task import Task
from ticketzoo.training.bernoulli import Sampled
from ticketzoo.training.config import TrainingConfig
from ticketzoo.training.popup import Popup
from ticketzoo.util.signals import interrupted


def forward_of(model: nn.Module, config: TrainingConfig, device: torch.device) -> nn.Module:
    """Return what to call in place of `model`, whose parameters it shares; each process calls it on its share.

    `model` itself changes its memory layout and its BatchNorm at most. It is compiled for each shape of batch apart,
    since kernels for varying shapes are slower. BatchNorm takes statistics of the whole batch that several processes
    share where `config` says so, and where a mask is trained: a ticket that is used as it is holds them.
    """
    if config.channels_last:
        model.to(memory_format=torch.channels_last)
    several = processes.count() > 1
    if several and (config.sync_batchnorm or any(isinstance(module, Popup) for module in model.modules())):
        synchronise_batch_norm(model, device)
    called = processes.parallel(model, device, static=not config.compile) if several else model
    if config.compile:
        _keep_from_compiler(model)
        called = cast(nn.Module, torch.compile(called, dynamic=False))
    processes.own_random_numbers(called)
    return called


def _keep_from_compiler(model: nn.Module) -> None:
    """Have what makes the weights of a learned mask run as it is; `torch.compiler.disable` is slow to import."""
    for module in model.modules():
        if isinstance(module, Popup | Sampled):
            module.forward = torch.compiler.disable(module.forward)  # type: ignore[method-assign]


def precision_of(config: TrainingConfig, device: torch.device) -> AbstractContextManager[Any]:
    """Return the context in which forward passes on `device` compute as `config.precision` says."""
    in_bf16 = config.precision == "bf16"
    if config.precision == "auto" and device.type == "cuda":
        in_bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.autocast(device.type, torch.bfloat16) if in_bf16 else nullcontext()


def share_of(task: Task, batch: Any) -> tuple[float, bool]:
    """Return this process's weight in the mean over processes, and whether any of them has met a signal."""
    if processes.count() == 1:
        return 1.0, False
    size = task.size(batch)
    whole, signals = processes.summed(size, interrupted())
    return size * processes.count() / max(whole, 1), signals > 0


def is_compilers(error: BaseException) -> bool:
    """Tell whether `error` came from torch.compile's own code: no compiler here, or a model that it cannot take."""
    return type(error).__module__.startswith(("torch._dynamo", "torch._inductor"))


def restored_generators(device: torch.device) -> AbstractContextManager[None]:
    """Return a context after which the generators of the CPU and of `device` are as they were before."""
    return torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])


def seed_generators(device: torch.device, seed: int) -> None:
    """Do what `torch.manual_seed` does, for the generators a step may use; it itself takes longer than many a step."""
    torch.default_generator.manual_seed(seed)
    if device.type != "cpu":
        torch.get_device_module(device).manual_seed(seed)
