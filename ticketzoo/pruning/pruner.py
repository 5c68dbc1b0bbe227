"""Pruning: criterion x structure x scope x schedule. Exact counts, ties by index."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ticketzoo.errors import RecipeError
from ticketzoo.masks.masks import Masks
from ticketzoo.pruning.config import PruningConfig, matches
from ticketzoo.pruning.criteria import CRITERIA, Criterion
from ticketzoo.pruning.probe import Probe, Weights
from ticketzoo.pruning.schedule import SCHEDULES, Schedule
from ticketzoo.pruning.scope import SCOPES, Group, Scope
from ticketzoo.pruning.structure import STRUCTURES, Structure


@dataclass(frozen=True)
class Pruner:
    """Takes a network from one level to the next.

    Attributes:
        criterion, structure, scope, schedule: rows of their tables.
        keys: the recipe's, which schedules read.
    """

    criterion: Criterion
    structure: Structure
    scope: Scope
    schedule: Schedule
    keys: PruningConfig

    @classmethod
    def of(cls, config: PruningConfig) -> "Pruner":
        """Return the pruner that `config` describes."""
        structure, scope = STRUCTURES[config.structure], SCOPES[config.scope]
        return cls(CRITERIA[config.criterion], structure, scope, SCHEDULES[config.schedule], config)

    def __call__(self, probe: Probe, *, to: int) -> Masks:
        """Return the masks of level `to`: a subset of `probe.masks`, which are those of the level before.

        Of equal scores the one earlier in the model goes first (Frankle & Carbin 2019, section 2).

        Raises:
            RunError: the score of a survivor is NaN, or the criterion gave something else than scores.
        """
        scores = self.criterion.scores(probe)
        pruned: Masks = {}
        for names, count in self._groups(probe.masks, to):
            group = {name: probe.masks[name] for name in names}
            pruned |= self.structure.make(scores, group, count, self.criterion.by_magnitude)
        return {name: pruned[name] for name in probe.masks}

    def sized(self, masks: Masks, *, to: int) -> Masks:
        """Return masks of the sizes that level `to` will have, at positions that mean nothing: for plans."""
        sized: Masks = {}
        for names, count in self._groups(masks, to):
            for name in names:
                before = masks[name].flatten().nonzero().flatten()
                flat = torch.zeros(masks[name].numel(), dtype=torch.bool)
                flat[before[:count]] = True
                sized[name], count = flat.view(masks[name].shape), max(0, count - len(before))
        return {name: sized[name] for name in masks}

    def check(self, masks: Masks, levels: int) -> None:
        """Raise RecipeError if one of so many levels from `masks` on would keep no weight, or remove none."""
        shapes = {name: tuple(mask.shape) for name, mask in masks.items()}
        kept = {name: int(mask.count_nonzero()) for name, mask in masks.items()}
        for level in range(1, levels + 1):
            before, kept = kept, self._counts(kept, shapes, level)
            what = f"level {level} of {levels} would"
            if not any(kept.values()):
                raise RecipeError(f"{what} keep no weight; ask for fewer, or lower finder.rate")
            if kept == before:
                raise RecipeError(f"{what} remove no weight; ask for fewer")

    def _counts(self, kept: Mapping[str, int], shapes: Mapping[str, tuple[int, ...]], to: int) -> dict[str, int]:
        """Return survivors of each parameter at level `to`, as `sized` gives them."""
        counts = {}
        for names, count in self.scope.make(kept, shapes, self._left(to)):
            for name in names:
                counts[name] = min(count, kept[name])
                count -= counts[name]
        return {name: counts[name] for name in kept}

    def _groups(self, masks: Masks, to: int) -> list[Group]:
        shapes = {name: tuple(mask.shape) for name, mask in masks.items()}
        kept = {name: int(mask.count_nonzero()) for name, mask in masks.items()}
        return self.scope.make(kept, shapes, self._left(to))

    def _left(self, to: int) -> "LeftOf":
        return LeftOf(self.schedule, self.keys, to)


@dataclass(frozen=True)
class LeftOf:
    """Counts of weights that a level keeps: called with survivors, original weights and a layer's name."""

    schedule: Schedule
    keys: PruningConfig
    level: int

    def __call__(self, survivors: int, original: int, name: str | None) -> int:
        """Return how many of `survivors` stay."""
        return self.schedule.make(self.keys, self.level, survivors, original, self._rate(name))

    def _rate(self, name: str | None) -> float:
        if name is None:
            return self.keys.rate
        return next((rate for pattern, rate in self.keys.rates.items() if matches(name, pattern)), self.keys.rate)


def prune_by_magnitude(weights: Mapping[str, Tensor], masks: Masks, config: PruningConfig, *, to: int = 1) -> Masks:
    """Return the masks of one more round on trained `weights`, by magnitude; raises as `Pruner` does.

    Removes exactly round(rate * survivors) weights of smallest magnitude by default (Python's round: half to even);
    among equal magnitudes the one earlier in the model goes first. The result is a subset of `masks`, which is not
    changed.
    """
    return Pruner.of(config)(Weights(weights, masks), to=to)
