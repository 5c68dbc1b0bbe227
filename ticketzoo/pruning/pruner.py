"""Pruning: criterion x structure x scope x schedule. Exact counts, ties by index."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from ticketzoo.errors import RecipeError, RunError
from ticketzoo.masks.masks import Masks, kept
from ticketzoo.masks.topk import keep_highest
from ticketzoo.pruning.config import PruningConfig
from ticketzoo.pruning.criteria import CRITERIA, Criterion, Ranking
from ticketzoo.pruning.in_order import pruned_in_order
from ticketzoo.pruning.probe import Probe
from ticketzoo.pruning.schedule import SCHEDULES, Schedule
from ticketzoo.pruning.scope import SCOPES, Group, Layers, Scope, check_groups, on_the_way
from ticketzoo.pruning.structure import STRUCTURES, Structure


@dataclass(frozen=True)
class Pruner:
    """Takes a network from one level to the next, counting in units of the structure. Parts have a recipe's keys."""

    criterion: Criterion
    structure: Structure
    scope: Scope
    schedule: Schedule
    inverted: bool = False
    """Whether as many of the lowest scores stay instead (Frankle et al. 2021, section 4)."""

    @classmethod
    def of(cls, config: PruningConfig, model: nn.Module | None = None, *, inverted: bool = False) -> "Pruner":
        """Return the pruner that `config` describes, of `model`, whose graph some structures follow."""
        parts = config.pruning
        return cls(
            CRITERIA[parts.criterion.name].configured(parts.criterion),
            STRUCTURES[parts.structure.name].fitted(parts.structure, model, parts.schedule),
            SCOPES[parts.scope.name].configured(parts.scope),
            SCHEDULES[parts.schedule.name].configured(parts.schedule),
            inverted,
        )

    def __call__(
        self, probe: Probe, *, to: int, masks: Masks | None = None, warn: Callable[[str], None] | None = None
    ) -> Masks:
        """Return the masks of level `to`: a subset of those of the level before, less what scores lowest.

        Of equal scores the one earlier in the model goes first (Frankle & Carbin 2019, section 2). Weights that the
        criterion does not call eligible go before all others.

        Args:
            probe: the network that is scored.
            to: the level: 1, 2, ...
            masks: those of the level before, where others are scored, as in one-shot pruning; default: the probe's.
            warn: told in one line how many weights that are not eligible stay, where fewer are than stay.

        Raises:
            RunError: the score of a survivor is NaN, all are 0, or the criterion gave something else than scores.
        """
        found, criterion = probe.masks if masks is None else masks, self.criterion
        if criterion.in_order:
            return pruned_in_order(self, probe, found, to)[0]
        by_magnitude, iterations = criterion.by_magnitude and not self.inverted, criterion.keys.iterations
        for groups in on_the_way(self.kept(found, to=to, probe=probe), self.structure.layers(found), iterations):
            probe = probe.under(found) if iterations > 1 else probe
            ranking = criterion.ranking(probe, sum(keep for _, keep in groups))
            if criterion.keys.single:
                return ranking.only_eligible(found)
            if self.inverted:
                ranking = ranking.inverted(criterion.by_magnitude)
            else:
                criterion.check_scores(ranking, probe.masks, to)
            try:
                found = self.best(ranking, found, groups, by_magnitude, probe.masks)
            except RunError as error:
                raise error if by_magnitude else RunError(f"criterion {criterion.name!r}: {error}") from None
        if warn and not self.inverted and (others := kept(ranking.others(found))):
            warn(f"{others:,} of {kept(found):,} kept weights are not eligible by criterion {self.criterion.name!r}")
        return found

    def kept(self, masks: Masks, *, to: int, probe: Probe | None = None) -> list[Group]:
        """Return the groups that are ranked together on the way to level `to`, and how many units of each stay."""
        return self._groups(self.structure.layers(masks), to, probe)

    def sized(self, masks: Masks, *, to: int) -> Masks:
        """Return masks as large as those of level `to`, for plans; positions mean nothing, nor layers of one group."""
        ends = (1, 0) if self.inverted else (0, 1)
        ramps = {name: torch.linspace(*ends, mask.numel()).view(mask.shape) for name, mask in masks.items()}
        return self.best(Ranking(ramps), masks, self.kept(masks, to=to), by_magnitude=True, scored=masks)

    def check(self, masks: Masks, levels: int) -> None:
        """Raise RecipeError if one of so many levels from `masks` on would keep no weight, or remove none."""
        layers = self.structure.layers(masks)
        for level in range(1, levels + 1):
            before, kept = layers, {}
            for names, count in self._groups(layers, level):  # of those ranked together only the sum is right
                for name in names:
                    kept[name] = min(count, layers[name].kept)
                    count -= kept[name]
            layers = {name: layer._replace(kept=kept[name]) for name, layer in layers.items()}
            if not any(kept.values()):
                milder = f", or {self.schedule.milder}" * bool(self.schedule.milder)
                raise RecipeError(f"level {level} of {levels} would keep no weight; ask for fewer{milder}")
            if layers == before:
                raise RecipeError(f"level {level} of {levels} would remove no weight; ask for fewer")

    def best(self, ranking: Ranking, masks: Masks, groups: Sequence[Group], by_magnitude: bool, scored: Masks) -> Masks:
        """Return the masks that keep what ranks highest; arguments as those of `Structure.best`."""
        scores, eligible, *_ = ranking
        if self.scope.by_rows:
            return self.structure.best_in_rows(scores, masks, groups, by_magnitude, eligible)
        if eligible is not None and not self.structure.single:
            raise RunError(f"eligible are single weights, and structure {self.structure.name} removes several as one")
        if eligible is None:
            return self.structure.best(scores, masks, groups, by_magnitude, scored)
        found: Masks = {}
        for names, count in groups:
            found |= keep_highest(scores, {name: masks[name] for name in names}, count, eligible=eligible)
        return {name: found[name] for name in masks}

    def _groups(self, layers: Layers, to: int, probe: Probe | None = None) -> list[Group]:
        groups = self.scope.groups(layers, partial(self.schedule.make, to), probe, self.criterion.asked)
        check_groups(groups, layers, f"scope {self.scope.name!r} with schedule {self.schedule.name!r}")
        self.structure.check(groups)
        return groups
