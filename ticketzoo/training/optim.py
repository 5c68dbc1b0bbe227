import math
from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop

from ticketzoo.training.config import OptimizerConfig, ScheduleConfig, TrainingConfig

FUSED_DEVICES = ("cpu", "cuda", "mps")


def create_optimizer(config: OptimizerConfig, parameters: Iterable[Parameter]) -> Optimizer:
    """Return a fresh optimiser over those of `parameters` that are not frozen, fused where there is such a one."""
    parameters = [parameter for parameter in parameters if parameter.requires_grad]
    fused = all(p.device.type in FUSED_DEVICES and torch.is_floating_point(p) for p in parameters)
    if config.name == "sgd":
        return SGD(
            parameters,
            lr=config.lr,
            momentum=config.momentum,
            nesterov=config.nesterov,
            weight_decay=config.weight_decay,
            fused=fused,
        )
    if config.name == "rmsprop":
        decay = config.weight_decay
        return RMSprop(parameters, lr=config.lr, alpha=config.alpha, eps=config.eps, weight_decay=decay)
    adam = {"adam": Adam, "adamw": AdamW}[config.name]
    return adam(
        parameters, lr=config.lr, betas=config.betas, eps=config.eps, weight_decay=config.weight_decay, fused=fused
    )


def make_capturable(optimizer: Optimizer) -> None:
    """Allocate now what an optimizer of `create_optimizer` would at its first step; the numbers stay the same.

    On CUDA its learning rate becomes a tensor on the device, so that it may change in captured updates.
    """
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            state = optimizer.state[parameter]
            if state:
                continue
            if isinstance(optimizer, SGD):
                if group["momentum"]:
                    state["momentum_buffer"] = torch.zeros_like(parameter)
                continue
            state["step"] = torch.zeros((), dtype=torch.float32, device=parameter.device)
            for name in ("square_avg",) if isinstance(optimizer, RMSprop) else ("exp_avg", "exp_avg_sq"):
                state[name] = torch.zeros_like(parameter)
        if group["params"][0].is_cuda:
            group["lr"] = torch.tensor(group["lr"], dtype=torch.float32, device=group["params"][0].device)
            group["capturable"] = True
    optimizer._warned_capturable_if_run_uncaptured = True


def learning_rate_factor(schedule: ScheduleConfig, step: int, total: int, steps_per_epoch: int) -> float:
    """Return the factor on the base learning rate for the update that follows `step` finished ones, of `total`.

    A pure function of the step, so that a training resumed or rewound to step k goes on exactly where it was.
    """
    warmup = schedule.warmup.iterations(steps_per_epoch)
    if step < warmup:
        return (step + 1) / warmup
    if schedule.name == "step":
        passed = sum(step >= milestone.iterations(steps_per_epoch) for milestone in schedule.milestones)
        return schedule.gamma**passed
    progress = (step - warmup) / max(1, total - warmup)
    if schedule.name == "cosine":
        return 0.5 * (1 + math.cos(math.pi * progress))
    if schedule.name == "linear":
        return 1 - progress
    return 1.0


def set_learning_rate(optimizer: Optimizer, config: TrainingConfig, step: int, total: int, per_epoch: int) -> None:
    """Set the learning rate of the update that follows `step` finished ones, of `total`."""
    rate = config.optimizer.lr * learning_rate_factor(config.schedule, step, total, per_epoch)
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate
