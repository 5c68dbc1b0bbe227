"""The way of a convolution's filters through a network: what reads the output of each, and what normalises it."""

from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import nn
from torch.fx import Graph, Node
from torch.nn import functional as F

from ticketzoo.models.graph import called, is_sum, traced
from ticketzoo.models.layers import head_of

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_POOLS = tuple(
    getattr(nn, f"{adaptive}{kind}Pool{d}d") for adaptive in ("", "Adaptive") for kind in ("Max", "Avg") for d in "123"
)
_DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
_ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Mish, nn.Hardswish, nn.Sigmoid, nn.Tanh)
_MODULES = (*_POOLS, *_DROPOUTS, *_ACTIVATIONS, nn.Identity)
_NAMES = ("relu", "relu6", "leaky_relu", "elu", "gelu", "silu", "sigmoid", "tanh", "dropout", "dropout2d")
_POOLED = [f"{adaptive}{kind}_pool{d}d" for adaptive in ("", "adaptive_") for kind in ("max", "avg") for d in "123"]
_FUNCTIONS = {getattr(home, name) for home in (F, torch) for name in (*_NAMES, *_POOLED) if hasattr(home, name)}
"""Modules and functions that treat each channel by itself."""

_METHODS = {"relu", "relu_", "sigmoid", "tanh", "contiguous"}


@dataclass(frozen=True)
class Flow:
    """The readers of a convolution's filters.

    Attributes:
        consumers: names of the weights that read its output.
        area: inputs of a consumer for each filter: 1, or the size of an image that is flattened in between.
        norms: names of the modules of batch normalisation in between.
        filters: number of them.
    """

    consumers: tuple[str, ...]
    area: int
    norms: tuple[str, ...]
    filters: int


Flows: TypeAlias = dict[str, Flow | str]
"""By the name of a convolution's weight its flow, or why its filters cannot go, in words."""


def filter_flows(model: nn.Module) -> Flows:
    """Return the flow of every convolution of `model`, by the name of its weight, in the order of its modules.

    The network's graph is followed from a convolution through batch normalisation, activations, pooling and flattening
    to the layers that read it. Filters can go where nothing else does: not those that are added to others (a residual
    stream), nor those whose outputs are the network's.

    Raises:
        ModelError: the network's graph cannot be traced.
    """
    modules = dict(model.named_modules())
    nodes_of = _called(traced(model))
    flows: Flows = {}
    for name, module in modules.items():
        if isinstance(module, _CONVOLUTIONS):
            nodes = nodes_of.get(name, [])
            walk = _Walk(modules, nodes_of, module.out_channels)
            flows[f"{name}.weight"] = walk.of(nodes, module, is_head=name == head_of(model))
    return flows


def _called(graph: Graph) -> dict[str, list[Node]]:
    nodes: dict[str, list[Node]] = {}
    for node in graph.nodes:
        if node.op == "call_module":
            nodes.setdefault(str(node.target), []).append(node)
    return nodes


class _Refused(Exception):
    """A reason, in words, why the filters of a convolution cannot go."""


@dataclass
class _Walk:
    """The way from one convolution on."""

    modules: dict[str, nn.Module]
    called: dict[str, list[Node]]
    filters: int

    def of(self, nodes: list[Node], layer: nn.Module, *, is_head: bool) -> Flow | str:
        if len(nodes) != 1:
            return "it is used several times" if nodes else "it is not used"
        if is_head:
            return "its outputs are the network's"
        if getattr(layer, "groups", 1) != 1:
            return "it is a grouped convolution"
        self.consumers: dict[str, int] = {}
        self.norms: dict[str, None] = {}
        try:
            self._follow(nodes[0], flat=False)
        except _Refused as refused:
            return str(refused)
        if not self.consumers:
            return "nothing reads it"
        if len(set(self.consumers.values())) > 1:
            return "its readers see images of several sizes"
        return Flow(tuple(self.consumers), next(iter(self.consumers.values())), tuple(self.norms), self.filters)

    def _follow(self, node: Node, *, flat: bool) -> None:
        for user in node.users:
            if user.op == "output":
                raise _Refused("its outputs are the network's")
            if user.op == "call_module":
                self._module(user, flat)
            elif user.args and user.args[0] is node and self._by_channel(user, flat):
                self._follow(user, flat=flat or _flattens(user))
            else:
                raise _Refused(_words(user))

    def _module(self, user: Node, flat: bool) -> None:
        name = str(user.target)
        module = self.modules[name]
        if isinstance(module, _CONVOLUTIONS) and module.groups == 1 and not flat:
            self._read(name, module.in_channels)
        elif isinstance(module, nn.Linear) and flat:
            self._read(name, module.in_features)
        elif isinstance(module, _NORMS) and not flat:
            if len(self.called[name]) > 1:
                raise _Refused(f"'{name}' is used several times")
            self.norms[name] = None
            self._follow(user, flat=flat)
        elif isinstance(module, _MODULES):
            self._follow(user, flat=flat)
        elif isinstance(module, nn.Flatten) and module.start_dim == 1 and module.end_dim == -1:
            self._follow(user, flat=True)
        else:
            raise _Refused(f"'{name}', a {type(module).__name__}, reads it")

    def _read(self, name: str, inputs: int) -> None:
        if len(self.called[name]) > 1:
            raise _Refused(f"'{name}' is used several times")
        if inputs % self.filters:
            raise _Refused(f"'{name}' has {inputs} inputs for {self.filters} filters")
        self.consumers[f"{name}.weight"] = inputs // self.filters

    def _by_channel(self, user: Node, flat: bool) -> bool:
        if user.op == "call_function" and user.target in _FUNCTIONS:
            return True
        if user.op == "call_method" and user.target in _METHODS:
            return True
        return not flat and _flattens(user)


def _flattens(user: Node) -> bool:
    """Tell whether a node makes (batch, channels x area) of images, or (batch, channels)."""
    if user.target in ("flatten", torch.flatten):
        return _arguments(user, ("start_dim", "end_dim"), (0, -1)) in ((1, -1), (1, 3))
    if user.target in ("mean", torch.mean):
        dim, keep = _arguments(user, ("dim", "keepdim"), (None, False))
        return not keep and isinstance(dim, tuple | list) and sorted(dim) in ([2, 3], [-2, -1])
    return False


def _arguments(user: Node, names: tuple[str, ...], defaults: tuple[Any, ...]) -> tuple[Any, ...]:
    given = dict(zip(names, user.args[1:], strict=False)) | dict(user.kwargs)
    return tuple(given.get(name, default) for name, default in zip(names, defaults, strict=True))


def _words(user: Node) -> str:
    if is_sum(user):
        return "it is part of a residual stream: its outputs are added to others"
    return f"{called(user)} reads it"
