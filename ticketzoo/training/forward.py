"""The model as the training loop calls it: laid out in memory and compiled as the recipe asks."""

from typing import cast

import torch
from torch import nn

from ticketzoo.training.config import TrainingConfig


def forward_of(model: nn.Module, config: TrainingConfig) -> nn.Module:
    """What to call in place of `model`, whose parameters it shares; `model` itself changes its memory layout at most.

    It is compiled for each shape of batch apart, since kernels for varying shapes are slower.
    """
    if config.channels_last:
        model.to(memory_format=torch.channels_last)
    return cast(nn.Module, torch.compile(model, dynamic=False)) if config.compile else model


def is_compilers(error: BaseException) -> bool:
    """Whether `error` came from torch.compile's own code: no compiler here, or a model that it cannot take."""
    return type(error).__module__.startswith(("torch._dynamo", "torch._inductor"))
