"""Initializations by name, and the papers they come from.

Each sets the weights of linear and convolution layers (and of the three projections stacked in `nn.MultiheadAttention`)
by one rule and zeroes their biases; other parameters stay as PyTorch makes them.

- `default`: nothing is changed; PyTorch's or torchvision's own.
- `glorot_normal`: normal, variance 2 / (fan in + fan out). Frankle and Carbin 2019 (arXiv 1803.03635), as printed.
- `glorot_normal_truncated`: the same deviation, from a normal distribution cut at two of its own. What TensorFlow's
  Glorot initialisers draw, so that paper's published code and Zhou et al. 2019 (1905.01067).
- `kaiming_normal`: normal, variance 2 / fan in. He et al. 2015 (1502.01852); Ramanujan et al. 2020 (1911.13299).
- `kaiming_normal_bn_uniform`: the same, and scales of batch norm uniform in [0, 1). Frankle et al. 2020 (1912.05671),
  by open_lth, which leaves the biases of linear layers as PyTorch makes them.
- `kaiming_uniform`: uniform, variance 2 / fan in. An option of open_lth's and of Ramanujan et al.'s code.
- `signed_constant`: `glorot_normal`'s deviation with a random sign. Supermasks of Zhou et al. 2019.
- `signed_kaiming_constant`: `kaiming_normal`'s deviation with a random sign. Ramanujan et al. 2020, who call this one
  signed constant.
"""

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from ticketzoo.models.layers import weight_layers

Initialisation = Literal[
    "default",
    "glorot_normal",
    "glorot_normal_truncated",
    "kaiming_normal",
    "kaiming_normal_bn_uniform",
    "kaiming_uniform",
    "signed_constant",
    "signed_kaiming_constant",
]

# Standard deviation of a unit normal distribution truncated at -2 and 2.
_TRUNCATED_STD = 0.87962566103423978


def initialise(model: nn.Module, name: Initialisation) -> None:
    """Initialize `model` in place, drawing from the global random state of its device."""
    if name == "default":
        return
    draw = _DRAWS[name]
    for _, layer in weight_layers(model):
        draw(layer.weight)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    for module in model.modules():
        if isinstance(module, nn.MultiheadAttention) and module.in_proj_weight is not None:
            for projection in module.in_proj_weight.detach().chunk(3):
                draw(projection)
        if name == "kaiming_normal_bn_uniform" and isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
            nn.init.uniform_(module.weight)


def _glorot_std(weight: Tensor) -> float:
    receptive_field = math.prod(weight.shape[2:])
    return math.sqrt(2 / ((weight.shape[0] + weight.shape[1]) * receptive_field))


def _glorot_normal_truncated(weight: Tensor) -> None:
    std = _glorot_std(weight) / _TRUNCATED_STD
    nn.init.trunc_normal_(weight, std=std, a=-2 * std, b=2 * std)


def _signed_constant(weight: Tensor) -> None:
    _random_signs(weight, _glorot_std(weight))


def _signed_kaiming_constant(weight: Tensor) -> None:
    _random_signs(weight, math.sqrt(2 / weight[0].numel()))


def _kaiming_uniform(weight: Tensor) -> None:
    nn.init.kaiming_uniform_(weight, nonlinearity="relu")


def _kaiming_normal(weight: Tensor) -> None:
    nn.init.kaiming_normal_(weight, nonlinearity="relu")


@torch.no_grad()
def _random_signs(weight: Tensor, magnitude: float) -> None:
    weight.bernoulli_(0.5).mul_(2 * magnitude).sub_(magnitude)


_DRAWS: dict[str, Callable[[Tensor], object]] = {
    "glorot_normal": nn.init.xavier_normal_,
    "glorot_normal_truncated": _glorot_normal_truncated,
    "kaiming_normal": _kaiming_normal,
    "kaiming_normal_bn_uniform": _kaiming_normal,
    "kaiming_uniform": _kaiming_uniform,
    "signed_constant": _signed_constant,
    "signed_kaiming_constant": _signed_kaiming_constant,
}
