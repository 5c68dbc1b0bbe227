"""Nodes of a network's graph that treat each channel by itself, and layers that mix channels."""

from typing import Any

import torch
from torch import nn
from torch.fx import Node
from torch.nn import functional as F

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_POOLS = tuple(
    getattr(nn, f"{adaptive}{kind}Pool{d}d") for adaptive in ("", "Adaptive") for kind in ("Max", "Avg") for d in "123"
)
_DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
_ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Mish, nn.Hardswish, nn.Sigmoid, nn.Tanh)
MODULES = (*_POOLS, *_DROPOUTS, *_ACTIVATIONS, nn.Identity)
"""Modules that treat each channel by itself; batch normalization has tensors of its own."""

_NAMES = ("relu", "relu6", "leaky_relu", "elu", "gelu", "silu", "sigmoid", "tanh", "dropout", "dropout2d")
_POOLED = [f"{adaptive}{kind}_pool{d}d" for adaptive in ("", "adaptive_") for kind in ("max", "avg") for d in "123"]
_FUNCTIONS = {getattr(home, name) for home in (F, torch) for name in (*_NAMES, *_POOLED) if hasattr(home, name)}
_METHODS = {"relu", "relu_", "sigmoid", "tanh", "contiguous"}


def by_channel(node: Node) -> bool:
    """Tell whether a node calls a function or method that treats each channel by itself."""
    if node.op == "call_function":
        return node.target in _FUNCTIONS
    return node.op == "call_method" and node.target in _METHODS


def flattens(node: Node) -> bool:
    """Tell whether a node makes (batch, channels x area) of images, or (batch, channels)."""
    if node.target in ("flatten", torch.flatten):
        return _arguments(node, ("start_dim", "end_dim"), (0, -1)) in ((1, -1), (1, 3))
    if node.target in ("mean", torch.mean):
        dim, keep = _arguments(node, ("dim", "keepdim"), (None, False))
        return not keep and isinstance(dim, tuple | list) and sorted(dim) in ([2, 3], [-2, -1])
    return False


def flattens_all(module: nn.Module) -> bool:
    """Tell whether a module flattens all axes but that of the batch."""
    return isinstance(module, nn.Flatten) and module.start_dim == 1 and module.end_dim == -1


def _arguments(node: Node, names: tuple[str, ...], defaults: tuple[Any, ...]) -> tuple[Any, ...]:
    given = dict(zip(names, node.args[1:], strict=False)) | dict(node.kwargs)
    return tuple(given.get(name, default) for name, default in zip(names, defaults, strict=True))
