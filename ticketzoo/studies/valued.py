"""A masked network whose kept weights all have the values that they are given."""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ticketzoo.masks.attach import detach
from ticketzoo.masks.masks import Masks
from ticketzoo.models.body import model_names_of
from ticketzoo.models.layers import is_bias


def valued(model: nn.Module, masks: Masks, values: Sequence[float], *, signed: bool, biases: bool = False) -> nn.Module:
    """Return a copy of `model` whose kept weights have a layer's value each, pruned ones and biases 0.

    Args:
        model: a ticket's network at the weights that it starts from.
        masks: the ticket's.
        values: one for each mask, in their order.
        biases: give biases beside a masked weight its value, too.
        signed: multiply each value by the sign of the weight that it replaces (0 counts as plus).
    """
    other = copy.deepcopy(model)
    detach(other)
    parameters, named = dict(other.named_parameters()), model_names_of(masks, other)
    with torch.no_grad():
        for name, parameter in parameters.items():
            if is_bias(name) and name not in named:
                of_layer = dict(zip(named, values, strict=True)).get(f"{name.rpartition('.')[0]}.weight", 0.0)
                parameter.copy_(_filled(parameter, of_layer if biases else 0.0, signed=signed))
        for (name, mask), value in zip(named.items(), values, strict=True):
            parameters[name].copy_(torch.where(mask, _filled(parameters[name], value, signed=signed), 0))
    return other.eval()


def _filled(weights: Tensor, value: float, *, signed: bool) -> Tensor:
    filled = torch.full_like(weights, value)
    return torch.where(weights < 0, -filled, filled) if signed else filled


class Ensemble(nn.Module):
    """Networks that score classes together: the logarithm of the mean of their probabilities."""

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        """Return log probabilities [b, classes], from the members' scores."""
        each = torch.stack([member(*args, **kwargs).log_softmax(-1) for member in self.members])
        return each.logsumexp(0) - torch.tensor(float(len(self.members))).log()
