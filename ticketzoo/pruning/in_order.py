"""Pruning by criteria that prune a network part by part as they score it."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from torch import Tensor

from ticketzoo.masks.masks import Masks
from ticketzoo.pruning.criteria import Criterion, OnTheWay, Ranking, Scores
from ticketzoo.pruning.probe import Probe
from ticketzoo.pruning.scope import Group


class Parts(Protocol):
    """A pruner."""

    @property
    def criterion(self) -> Criterion:
        """Return its criterion."""
        ...

    def kept(self, masks: Masks, *, to: int, probe: Probe | None = None) -> list[Group]:
        """See `Pruner.kept`."""
        ...

    def best(self, ranking: Ranking, masks: Masks, groups: Sequence[Group], by_magnitude: bool, scored: Masks) -> Masks:
        """See `Pruner.best`."""
        ...


def pruned_in_order(pruner: Parts, probe: Probe, masks: Masks, to: int) -> tuple[Masks, Mapping[str, Tensor]]:
    """Return the masks of level `to`, and new values of the weights that the criterion changed, if it changed any.

    Args:
        pruner: of a criterion that is `in_order`; each of its groups is one parameter.
        probe: the network.
        masks: those of the level before.
        to: the level: 1, 2, ...
    """
    groups = {name: Group((name,), keep) for (name,), keep in pruner.kept(masks, to=to, probe=probe)}

    def best(scores: Scores) -> Masks:
        here = {name: masks[name] for name in scores}
        return pruner.best(Ranking(scores), here, [groups[name] for name in here], False, here)

    keep = {name: group.keep for name, group in groups.items()}
    ranking = pruner.criterion.ranking(probe, on_the_way=OnTheWay(keep, best))
    found = {name: (ranking.masks or {})[name] & mask for name, mask in masks.items()}
    return found, ranking.values or {}
