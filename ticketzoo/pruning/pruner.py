"""Pruning: criterion x structure x scope x schedule. Exact counts, ties by index."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from ticketzoo.errors import RecipeError, RunError
from ticketzoo.masks.masks import Masks, kept
from ticketzoo.masks.rows import keep_in_rows
from ticketzoo.masks.topk import keep_highest
from ticketzoo.models import inputs_first
from ticketzoo.pruning.config import PruningConfig
from ticketzoo.pruning.criteria import CRITERIA, Criterion, OnTheWay, Ranking, Scores
from ticketzoo.pruning.probe import Probe
from ticketzoo.pruning.schedule import SCHEDULES, Schedule
from ticketzoo.pruning.scope import SCOPES, Group, Layers, Scope, check_groups, on_the_way
from ticketzoo.pruning.structure import STRUCTURES, Structure


@dataclass(frozen=True)
class Pruner:
    """Takes a network from one level to the next. Each part is a row of its table, with the keys that a recipe gave.

    Everything is counted in the units of the structure: single weights, or filters.
    """

    criterion: Criterion
    structure: Structure
    scope: Scope
    schedule: Schedule
    inverted: bool = False
    """Whether as many of the lowest scores stay instead (Frankle et al. 2021, section 4)."""
    inputs_first: frozenset[str] = frozenset()
    """Parameters that are [inputs, outputs]."""

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
            frozenset() if model is None else inputs_first(model),
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
            masks: those of the level before, where the network is scored under others: one-shot pruning scores the
                dense network once for all levels. Default: the probe's.
            warn: told in one line how many weights that are not eligible stay, where fewer are than stay.

        Raises:
            RunError: the score of a survivor is NaN, all are 0, or the criterion gave something else than scores.
        """
        return self.pruned(probe, to=to, masks=masks, warn=warn)[0]

    def pruned(
        self, probe: Probe, *, to: int, masks: Masks | None = None, warn: Callable[[str], None] | None = None
    ) -> tuple[Masks, Mapping[str, Tensor]]:
        """Return what a call does, and new values of the weights that the criterion changes, if it changes any."""
        found, criterion = probe.masks if masks is None else masks, self.criterion
        if criterion.in_order:
            return self._in_order(probe, found, to)
        by_magnitude, iterations = criterion.by_magnitude and not self.inverted, criterion.keys.iterations
        for groups in on_the_way(self._groups(self._layers(found), to, probe), self._layers(found), iterations):
            probe = probe.under(found) if iterations > 1 else probe
            ranking = criterion.ranking(probe, sum(keep for _, keep in groups))
            if criterion.keys.single:
                return ranking.only_eligible(found), {}
            if self.inverted:
                ranking = ranking.inverted(criterion.by_magnitude)
            else:
                criterion.check_scores(ranking, probe.masks, to)
            try:
                found = self._best(ranking, found, groups, by_magnitude, probe.masks)
            except RunError as error:
                raise error if by_magnitude else RunError(f"criterion {criterion.name!r}: {error}") from None
        if warn and not self.inverted and (others := kept(ranking.others(found))):
            warn(f"{others:,} of {kept(found):,} kept weights are not eligible by criterion {self.criterion.name!r}")
        return found, {}

    def _in_order(self, probe: Probe, masks: Masks, to: int) -> tuple[Masks, Mapping[str, Tensor]]:
        groups = {name: Group((name,), keep) for (name,), keep in self._groups(self._layers(masks), to, probe)}

        def best(scores: Scores) -> Masks:
            here = {name: masks[name] for name in scores}
            return self._best(Ranking(scores), here, [groups[name] for name in here], False, here)

        keep = {name: group.keep for name, group in groups.items()}
        ranking = self.criterion.ranking(probe, on_the_way=OnTheWay(keep, best))
        found = {name: (ranking.masks or {})[name] & mask for name, mask in masks.items()}
        return found, ranking.values or {}

    def _layers(self, masks: Masks) -> Layers:
        """Return the layers as scopes see them, outputs first."""
        layers = self.structure.layers(masks)
        return {
            name: layer._replace(shape=layer.shape[::-1]) if name in self.inputs_first else layer
            for name, layer in layers.items()
        }

    def kept(self, masks: Masks, *, to: int) -> list[Group]:
        """Return the groups that are ranked together on the way to level `to`, and how many units of each stay."""
        return self._groups(self._layers(masks), to)

    def sized(self, masks: Masks, *, to: int) -> Masks:
        """Return masks of the sizes that level `to` will have, at positions that mean nothing: for plans.

        In groups of several layers each has about its share.
        """
        ends = (1, 0) if self.inverted else (0, 1)
        ramps = {name: torch.linspace(*ends, mask.numel()).view(mask.shape) for name, mask in masks.items()}
        return self._best(Ranking(ramps), masks, self.kept(masks, to=to), by_magnitude=True, scored=masks)

    def check(self, masks: Masks, levels: int) -> None:
        """Raise RecipeError if one of so many levels from `masks` on would keep no weight, or remove none."""
        layers = self._layers(masks)
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

    def _best(
        self, ranking: Ranking, masks: Masks, groups: Sequence[Group], by_magnitude: bool, scored: Masks
    ) -> Masks:
        scores, eligible, *_ = ranking
        if self.scope.by_rows:
            counts = {name: keep for (name,), keep in groups}
            turned = self.inputs_first
            return keep_in_rows(
                scores, masks, counts, inputs_first=turned, by_magnitude=by_magnitude, eligible=eligible
            )
        if eligible is not None and not self.structure.single:
            raise RunError(f"eligible are single weights, and structure {self.structure.name} removes several as one")
        if eligible is None:
            return self.structure.best(scores, masks, groups, by_magnitude, scored)
        found: Masks = {}
        for names, count in groups:
            found |= keep_highest(scores, {name: masks[name] for name in names}, count, eligible=eligible)
        return {name: found[name] for name in masks}

    def _groups(self, layers: Layers, to: int, probe: Probe | None = None) -> list[Group]:
        """Return the groups; of a scope that looks at what the network computes, with a probe what it says of it."""
        looks, keywords = self.scope.outliers, {}
        if looks and probe is not None:
            keywords["outliers"] = looks(probe, self.scope.asked, self.criterion.asked)
        groups = self.scope.make(layers, partial(self.schedule.make, to), **keywords)
        check_groups(groups, layers, f"scope {self.scope.name!r} with schedule {self.schedule.name!r}")
        self.structure.check(groups)
        return groups
