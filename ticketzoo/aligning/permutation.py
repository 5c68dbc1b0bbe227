"""Permutations of hidden units, and what they do to weights and masks."""

from collections.abc import Mapping
from typing import TypeAlias

import torch
from torch import Tensor

from ticketzoo.errors import ModelError
from ticketzoo.models.unit_groups import UnitGroups

Permutations: TypeAlias = dict[str, Tensor]
"""By group int64 [units]: unit i of the new network is unit `permutation[i]` of the old one."""


def identity(groups: UnitGroups) -> Permutations:
    """Return the permutations that leave every unit where it is."""
    return {group: torch.arange(size, device="cpu") for group, size in groups.sizes.items()}


def inverse(permutations: Mapping[str, Tensor]) -> Permutations:
    """Return the permutations that undo `permutations`."""
    return {group: order.argsort() for group, order in permutations.items()}


def random_permutations(groups: UnitGroups, seed: int) -> Permutations:
    """Return a random order of each group's units."""
    generator = torch.Generator().manual_seed(seed)
    return {group: torch.randperm(size, generator=generator) for group, size in groups.sizes.items()}


def permuted(
    tensors: Mapping[str, Tensor], groups: UnitGroups, permutations: Mapping[str, Tensor], *, but: str = ""
) -> dict[str, Tensor]:
    """Return weights, buffers or masks with their units in another order; tensors without units stay as they are.

    Args:
        tensors: by name.
        groups: of the network.
        permutations: of each group; another one stays in order.
        but: a group that stays in order, too.
    """
    return {name: _of_one(name, tensor, groups, permutations, but) for name, tensor in tensors.items()}


def _of_one(name: str, tensor: Tensor, groups: UnitGroups, permutations: Mapping[str, Tensor], but: str = "") -> Tensor:
    for axis in groups.axes.get(name, ()):
        order = permutations.get(axis.group)
        if order is not None and axis.group != but:
            if axis.number >= tensor.ndim or tensor.shape[axis.number] != len(order) * axis.area:
                raise ModelError(f"'{name}' is {list(tensor.shape)}: its axis {axis.number} has not {len(order)} units")
            order = order.to(tensor.device)
            places = (order[:, None] * axis.area + torch.arange(axis.area, device=order.device)).flatten()
            tensor = tensor.index_select(axis.number, places)
    return tensor
