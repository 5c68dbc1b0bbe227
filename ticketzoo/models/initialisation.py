"""Initialisations by name. Each sets the weights of linear and convolution layers and zeroes their biases."""

from collections.abc import Callable
from typing import Literal

from torch import Tensor, nn

from ticketzoo.models.layers import weight_layers

Initialisation = Literal["default", "glorot_normal"]

_WEIGHTS: dict[str, Callable[[Tensor], object]] = {"glorot_normal": nn.init.xavier_normal_}


def initialise(model: nn.Module, name: Initialisation) -> None:
    """Initialise `model` in place from the CPU's global random numbers; `default` leaves it as PyTorch made it."""
    if name == "default":
        return
    for _, layer in weight_layers(model):
        _WEIGHTS[name](layer.weight)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
