"""Hidden units that may change places: the axes of a network's tensors that go with them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from torch import nn
from torch.fx import Node

from ticketzoo.errors import ModelError
from ticketzoo.models.channel_wise import CONVOLUTIONS, MODULES, NORMS, by_channel, flattens, flattens_all
from ticketzoo.models.graph import called, is_sum, traced

_FIXED = ""
"""The group of inputs and outputs, which keep their places."""


class Axis(NamedTuple):
    """An axis of a tensor that goes with units."""

    number: int
    """Of the axis."""
    group: str
    """Of units: the name of the first weight that computes them."""
    area: int
    """Entries of the axis for each unit, side by side: 1, or the size of an image that was flattened."""


@dataclass(frozen=True)
class UnitGroups:
    """Groups of hidden units. To permute a group along all its axes leaves the network's function as it is.

    Attributes:
        sizes: units of each group.
        axes: of each tensor those that go with a group, by the tensor's name.
        layers: by group the names of the layers that compute its units: several share a residual stream.
        parameters: names of the tensors among `axes` that are trained; the others are running statistics.
    """

    sizes: Mapping[str, int]
    axes: Mapping[str, tuple[Axis, ...]]
    layers: Mapping[str, tuple[str, ...]]
    parameters: frozenset[str]


def unit_groups(model: nn.Module) -> UnitGroups:
    """Return the groups of hidden units of `model`: one for each layer of a chain, one for all of a residual stream.

    The graph is followed through linear layers, convolutions, batch normalization, activations, pooling, flattening and
    sums (Ainsworth et al. 2023, section 3: a permutation specification).

    Raises:
        ModelError: the graph cannot be traced, or has a layer that mixes units in another way.
    """
    walk = _Walk(model)
    for node in traced(model).nodes:
        walk.visit(node)
    return walk.found()


@dataclass
class _Walk:
    model: nn.Module
    group_of: dict[Node, str] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    merged: dict[str, str] = field(default_factory=dict)
    axes: dict[str, list[Axis]] = field(default_factory=dict)
    layers: dict[str, str] = field(default_factory=dict)

    def visit(self, node: Node) -> None:
        if node.op == "placeholder":
            self.group_of[node] = _FIXED
        elif node.op == "output":
            for given in node.all_input_nodes:
                self._merge(self.group_of[given], _FIXED)
        elif node.op == "call_module":
            self._module(node)
        elif is_sum(node) and all(given in self.group_of for given in node.all_input_nodes):
            first, *others = [self.group_of[given] for given in node.all_input_nodes]
            for other in others:
                self._merge(first, other)
            self.group_of[node] = first
        elif node.all_input_nodes and (by_channel(node) or flattens(node)):
            self.group_of[node] = self.group_of[node.all_input_nodes[0]]
        else:
            raise self._cannot(f"{called(node)} reads it")

    def _module(self, node: Node) -> None:
        name = str(node.target)
        module, group = self.model.get_submodule(name), self.group_of[node.all_input_nodes[0]]
        if isinstance(module, MODULES) or flattens_all(module):
            self.group_of[node] = group
            return
        if name in self.layers:
            raise self._cannot(f"'{name}' is used several times")
        if isinstance(module, NORMS):
            self.layers[name] = group
            for tensor in ("weight", "bias", "running_mean", "running_var"):
                self._axis(module, f"{name}.{tensor}", 0, group)
            self.group_of[node] = group
        elif isinstance(module, nn.Linear) or (isinstance(module, CONVOLUTIONS) and module.groups == 1):
            own = f"{name}.weight"
            self.sizes[own] = len(module.weight)
            self.layers[name] = self.group_of[node] = own
            for tensor, number, of in ((own, 0, own), (own, 1, group), (f"{name}.bias", 0, own)):
                self._axis(module, tensor, number, of)
        else:
            raise self._cannot(f"'{name}', a {type(module).__name__}, mixes units")

    def _axis(self, module: nn.Module, tensor: str, number: int, group: str) -> None:
        value = getattr(module, tensor.rpartition(".")[2], None)
        if value is None:
            return
        size = self.sizes.get(self._root(group), value.shape[number])
        if value.shape[number] % size:
            raise self._cannot(f"'{tensor}' has {value.shape[number]} inputs for {size} units")
        self.axes.setdefault(tensor, []).append(Axis(number, group, value.shape[number] // size))

    def _root(self, group: str) -> str:
        while group in self.merged:
            group = self.merged[group]
        return group

    def _merge(self, one: str, other: str) -> None:
        first, second = self._root(one), self._root(other)
        if first == second:
            return
        if _FIXED not in (first, second) and self.sizes[first] != self.sizes[second]:
            raise self._cannot(f"{self.sizes[first]} and {self.sizes[second]} units are added")
        order = [_FIXED, *self.sizes]
        kept, gone = sorted((first, second), key=order.index)
        self.merged[gone] = kept

    def found(self) -> UnitGroups:
        axes = {}
        for name, own in self.axes.items():
            rooted = tuple(axis._replace(group=self._root(axis.group)) for axis in own)
            if moved := tuple(axis for axis in rooted if axis.group != _FIXED):
                axes[name] = moved
        groups = [group for group in self.sizes if self._root(group) == group]
        computed = {name: self._root(own) for name, own in self.layers.items() if own == f"{name}.weight"}
        layers = {group: tuple(name for name, own in computed.items() if own == group) for group in groups}
        trained = frozenset(name for name, _ in self.model.named_parameters() if name in axes)
        return UnitGroups({group: self.sizes[group] for group in groups}, axes, layers, trained)

    def _cannot(self, why: str) -> ModelError:
        return ModelError(f"{type(self.model).__name__}: its hidden units cannot be put in another order: {why}")
