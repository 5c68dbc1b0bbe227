"""Masks: which weights of a network are kept, and what can be said about a set of them."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn.parameter import is_lazy

from ticketzoo.errors import TicketError
from ticketzoo.masks.excluded import why_not

Masks: TypeAlias = dict[str, Tensor]
"""Bool tensors, True = kept, each of its parameter's shape, by parameter name."""


def kept(masks: Mapping[str, Tensor]) -> int:
    """Return the number of weights that the masks keep."""
    return sum(int(mask.count_nonzero()) for mask in masks.values())


def total(masks: Mapping[str, Tensor]) -> int:
    """Return the number of prunable weights, kept or not."""
    return sum(mask.numel() for mask in masks.values())


def sparsity(masks: Mapping[str, Tensor]) -> float:
    """Return the fraction of the prunable weights removed, in [0, 1]."""
    return sparsity_of(kept(masks), total(masks))


def sparsity_of(kept: int, total: int) -> float:
    """Return the fraction removed if `kept` of `total` weights remain, (total - kept) / total: 8 of 10 give 0.2."""
    return (total - kept) / total


def is_subset(inner: Mapping[str, Tensor], outer: Mapping[str, Tensor]) -> bool:
    """Tell whether `outer` keeps every weight that `inner` keeps. Both name the same parameters."""
    return inner.keys() == outer.keys() and not any((mask & ~outer[name]).any() for name, mask in inner.items())


def check_masks(masks: Mapping[str, Tensor], shapes: Mapping[str, Sequence[int]]) -> None:
    """Raise TicketError unless every mask is a bool tensor of the shape of the parameter it names in `shapes`."""
    for name, mask in masks.items():
        if name not in shapes:
            raise TicketError(f"mask '{name}' has no parameter of that name in the model")
        if not isinstance(mask, Tensor):
            what = f"is a {type(mask).__module__}.{type(mask).__name__}, not a tensor"
            raise TicketError(f"mask '{name}' {what}: torch.as_tensor(mask, dtype=torch.bool) makes one")
        if mask.dtype is not torch.bool:
            raise TicketError(f"mask '{name}' must be a bool tensor, True = kept, not {mask.dtype}")
        if tuple(mask.shape) != tuple(shapes[name]):
            fit = f"it has shape {tuple(mask.shape)}, its parameter {tuple(shapes[name])}"
            raise TicketError(f"mask '{name}' does not fit the model: {fit}")


def check_shaped(named: Mapping[str, Tensor]) -> None:
    """Raise TicketError where parameters have no shape yet, those of lazy modules."""
    if lazy := next((name for name, one in named.items() if is_lazy(one)), None):
        raise TicketError(f"the model has parameters without a shape yet, such as '{lazy}': call it once first")


def check_fitting(named: Mapping[str, Tensor], masks: Mapping[str, Tensor]) -> None:
    """Raise TicketError for masks that cannot be held on these parameters."""
    check_shaped(named)
    check_masks(masks, {name: parameter.shape for name, parameter in named.items()})
    for name in masks:
        if (why := why_not(named[name])) is not None:
            raise TicketError(f"mask '{name}' does not fit the model: the parameter {why}")
    first: dict[int, str] = {}
    for name, mask in masks.items():
        other = first.setdefault(id(named[name]), name)
        if other != name and not torch.equal(mask, masks[other]):
            raise TicketError(f"masks '{other}' and '{name}' differ, but the model ties these parameters together")
