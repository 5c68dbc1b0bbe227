"""Weight matching: units are matched by their incoming and outgoing weights (git re-basin)."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from ticketzoo.aligning.alignment import ALIGNMENTS, Network
from ticketzoo.aligning.permutation import Permutations, identity, permuted
from ticketzoo.models.state import State
from ticketzoo.models.unit_groups import UnitGroups

ROUNDS = 100
"""Passes over all groups, at most; a few are enough."""
LEAST = 1e-12
"""Increase of the objective from which an assignment counts as better."""


@ALIGNMENTS.add(
    "weights",
    cite="Ainsworth et al. 2023, algorithm 1",
    words="the sum of products of matched weights",
)
def weight_matching(network: Network, target: State, moved: State) -> Permutations:
    """Return the permutations of `moved` that raise its inner product with `target`, group by group, to the end."""
    generator = torch.Generator().manual_seed(network.seed)
    return matched(network.groups, target, moved, generator)


def matched(groups: UnitGroups, target: State, moved: State, generator: torch.Generator) -> Permutations:
    """Return what `weight_matching` does; groups are taken in an order that `generator` draws anew in each round."""
    found = identity(groups)
    fixed = {name: target[name].double() for name in groups.parameters}
    loose = {name: moved[name].double() for name in groups.parameters}
    names = list(groups.sizes)
    for _ in range(ROUNDS):
        better = False
        for place in torch.randperm(len(names), generator=generator).tolist():
            group = names[place]
            gains = gain(groups, group, fixed, loose, found)
            order = assigned(gains)
            if value(gains, order) > value(gains, found[group]) + LEAST:
                found[group], better = order, True
        if not better:
            break
    return found


def gain(
    groups: UnitGroups,
    group: str,
    target: Mapping[str, Tensor],
    moved: Mapping[str, Tensor],
    permutations: Mapping[str, Tensor],
) -> Tensor:
    """Return float64 [units, units]: what it adds to the objective that unit j of `moved` takes the place i.

    The other groups of `moved` are in the order of `permutations`.
    """
    size = groups.sizes[group]
    total = torch.zeros(size, size, dtype=torch.float64, device="cpu")
    for name, axes in groups.axes.items():
        if name in groups.parameters and any(axis.group == group for axis in axes):
            other = permuted({name: moved[name]}, groups, permutations, but=group)[name]
            for one, two in zip(
                _rows(groups, group, name, target[name]), _rows(groups, group, name, other), strict=True
            ):
                total += one @ two.T
    return total


def objective(groups: UnitGroups, target: State, moved: State, permutations: Mapping[str, Tensor]) -> float:
    """Return the inner product of `target` and the permuted `moved`, over all trained tensors that have units."""
    here = {name: moved[name] for name in groups.parameters}
    there = permuted(here, groups, permutations)
    return sum(float((target[name].double() * there[name].double()).sum()) for name in groups.parameters)


def assigned(gains: Tensor) -> Tensor:
    """Return the permutation with the largest sum of gains: int64, by place the unit (Kuhn 1955, by scipy)."""
    from scipy.optimize import linear_sum_assignment

    return torch.from_numpy(linear_sum_assignment(gains.numpy(), maximize=True)[1]).long()


def value(gains: Tensor, order: Tensor) -> float:
    """Return the sum of gains of a permutation."""
    return float(gains[torch.arange(len(order), device="cpu"), order].sum())


def _rows(groups: UnitGroups, group: str, name: str, tensor: Tensor) -> Iterator[Tensor]:
    """Yield for each axis of the group the tensor as a matrix: a row for each unit."""
    for axis in groups.axes[name]:
        if axis.group == group:
            yield tensor.movedim(axis.number, 0).reshape(groups.sizes[group], -1)
