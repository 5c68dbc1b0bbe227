from collections.abc import Iterable

import torch
from torch.nn import Parameter
from torch.optim import SGD, Adam, AdamW, Optimizer

from ticketzoo.training.config import OptimizerConfig

FUSED_DEVICES = ("cpu", "cuda", "mps")


def create_optimizer(config: OptimizerConfig, parameters: Iterable[Parameter]) -> Optimizer:
    """A fresh fused optimiser over those of `parameters` that are not frozen (unfused on devices that have none)."""
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
    adam = {"adam": Adam, "adamw": AdamW}[config.name]
    return adam(
        parameters, lr=config.lr, betas=config.betas, eps=config.eps, weight_decay=config.weight_decay, fused=fused
    )
