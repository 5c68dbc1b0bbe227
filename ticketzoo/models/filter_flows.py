"""The way of a convolution's filters through a network: what reads the output of each, and what normalises it."""

from dataclasses import dataclass
from typing import TypeAlias

from torch import nn
from torch.fx import Graph, Node

from ticketzoo.models.channel_wise import CONVOLUTIONS, MODULES, NORMS, by_channel, flattens, flattens_all
from ticketzoo.models.graph import called, is_sum, traced
from ticketzoo.models.layers import head_of


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
        if isinstance(module, CONVOLUTIONS):
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
            elif user.args and user.args[0] is node and (by_channel(user) or (not flat and flattens(user))):
                self._follow(user, flat=flat or flattens(user))
            else:
                raise _Refused(_words(user))

    def _module(self, user: Node, flat: bool) -> None:
        name = str(user.target)
        module = self.modules[name]
        if isinstance(module, CONVOLUTIONS) and module.groups == 1 and not flat:
            self._read(name, module.in_channels)
        elif isinstance(module, nn.Linear) and flat:
            self._read(name, module.in_features)
        elif isinstance(module, NORMS) and not flat:
            if len(self.called[name]) > 1:
                raise _Refused(f"'{name}' is used several times")
            self.norms[name] = None
            self._follow(user, flat=flat)
        elif isinstance(module, MODULES):
            self._follow(user, flat=flat)
        elif flattens_all(module):
            self._follow(user, flat=True)
        else:
            raise _Refused(f"'{name}', a {type(module).__name__}, reads it")

    def _read(self, name: str, inputs: int) -> None:
        if len(self.called[name]) > 1:
            raise _Refused(f"'{name}' is used several times")
        if inputs % self.filters:
            raise _Refused(f"'{name}' has {inputs} inputs for {self.filters} filters")
        self.consumers[f"{name}.weight"] = inputs // self.filters


def _words(user: Node) -> str:
    if is_sum(user):
        return "it is part of a residual stream: its outputs are added to others"
    return f"{called(user)} reads it"
