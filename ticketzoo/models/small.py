"""The smaller dense network that whole filters leave: the same outputs from fewer numbers."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ticketzoo.models.architecture import ARCHITECTURES
from ticketzoo.models.arguments import FilterArguments
from ticketzoo.models.filter_flows import Flow, Flows

Kept = Mapping[str, Sequence[int]]
"""Indices of the filters that convolutions keep, by the name of their weight."""


def small_network(model: nn.Module, flows: Flows, kept: Kept) -> nn.Module:
    """Return a copy of `model` with these filters alone: their rows, biases and normalisation, and what reads them.

    The copy has the outputs of `model` with the inputs that come from other filters masked, up to the order of sums.

    Args:
        model: of which the copy is made; unchanged.
        flows: as `filter_flows` gives them of it.
        kept: the filters of each layer that loses some.
    """
    small = copy.deepcopy(model)
    for name, indices in kept.items():
        flow, rows = flows[name], torch.tensor(indices, device="cpu")
        assert isinstance(flow, Flow)
        layer = small.get_submodule(name.removesuffix(".weight"))
        _cut(layer, ("weight", "bias"), rows, 0)
        layer.out_channels = len(rows)  # type: ignore[assignment]
        for norm in map(small.get_submodule, flow.norms):
            _cut(norm, ("weight", "bias", "running_mean", "running_var"), rows, 0)
            norm.num_features = len(rows)  # type: ignore[assignment]
        columns = (rows[:, None] * flow.area + torch.arange(flow.area, device="cpu")).flatten()
        for reader in (small.get_submodule(one.removesuffix(".weight")) for one in flow.consumers):
            _cut(reader, ("weight",), columns, 1)
            setattr(reader, "in_features" if isinstance(reader, nn.Linear) else "in_channels", len(columns))
    return small


def _cut(module: nn.Module, names: Sequence[str], indices: Tensor, dim: int) -> None:
    for name in names:
        tensor = getattr(module, name, None)
        if tensor is not None:
            left = tensor.detach().index_select(dim, indices.to(tensor.device)).clone()
            trained = isinstance(tensor, nn.Parameter)
            setattr(module, name, nn.Parameter(left, requires_grad=tensor.requires_grad) if trained else left)


def takes_widths(name: str) -> bool:
    """Tell whether the architecture `name` can be built with fewer filters."""
    return name in ARCHITECTURES and issubclass(ARCHITECTURES[name].arguments, FilterArguments)


def small_architecture(architecture: Mapping[str, Any], flows: Flows, kept: Kept) -> dict[str, Any] | None:
    """Return the architecture of the smaller network; None where it takes no `widths`.

    Args:
        architecture: of the whole network, as `ticketzoo.models.architecture_of` gives it.
        flows: as `filter_flows` gives them of that network, with all its filters.
        kept: the filters of each layer that loses some.
    """
    name = architecture["name"]
    if architecture["library"] != "ticketzoo" or not takes_widths(name):
        return None
    widths = [len(kept[one]) if one in kept else flow.filters for one, flow in flows.items() if isinstance(flow, Flow)]
    kwargs = ARCHITECTURES[name].describe({**architecture["kwargs"], "widths": widths})
    return {"library": "ticketzoo", "name": name, "kwargs": kwargs}


def multiplications(model: nn.Module, inputs: Tensor) -> int:
    """Return the multiplications of linear and convolution layers in one pass of `inputs`, of all its examples."""
    count = 0

    def add(module: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal count
        weight = module.weight
        assert isinstance(weight, Tensor)
        count += output.numel() * (weight.numel() // len(weight))

    layers = [one for one in model.modules() if isinstance(one, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d)]
    handles = [layer.register_forward_hook(add) for layer in layers]
    training = model.training
    try:
        with torch.no_grad():
            model.eval()(inputs)
    finally:
        model.train(training)
        for handle in handles:
            handle.remove()
    return count
