"""A ticket's measurements on one target, ready for the rule."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import takewhile
from typing import Literal

import numpy as np

from ticketzoo.evaluation.arms import CHANCE, DENSE, SCALE_ARMS, TICKET, arm_entry, pretrained_arms
from ticketzoo.evaluation.decide import Measured
from ticketzoo.evaluation.filter_arms import FILTER_ARMS
from ticketzoo.evaluation.inference import ROUNDING, Floats
from ticketzoo.evaluation.metrics import beside_of, metric_of, show, words
from ticketzoo.evaluation.statistics import Group

Use = Literal["train", "filters", "as-is"]
"""How a ticket is used: it is trained, it is of whole filters and trained, or neither."""
Margin = float | Mapping[str, float] | None
"""A stated margin, in the metric's unit: of every target, by target, or None for the metric's default."""

FEWEST = 3
"""Seeds of each arm that a claim against the controls needs."""


@dataclass(frozen=True)
class Target:
    """The groups of one ticket on one target; `groups_beside` are by the metric that has to match, too."""

    name: str
    groups: Sequence[Group]
    stated_margin: Margin
    transfer: bool
    use: Use
    pretrained: bool = False
    groups_beside: Sequence[Group] = ()

    @cached_property
    def dense(self) -> Group | None:
        """Return the dense network."""
        return self._once(DENSE)

    @cached_property
    def levels(self) -> dict[int, dict[str, Group]]:
        """Return the arms by level, of levels above 0."""
        found: dict[int, dict[str, Group]] = {}
        for group in self.groups:
            if group.key.level > 0:
                found.setdefault(group.key.level, {})[group.key.arm] = group
        return dict(sorted(found.items()))

    @property
    def metric(self) -> str:
        """Return the metric, as rows name it."""
        return self.groups[0].metric

    @property
    def sign(self) -> int:
        """Return -1 where less is better."""
        return 1 if self.groups[0].higher_is_better else -1

    @cached_property
    def beside(self) -> "Target | None":
        """Return the same target by the metric that has to match, too; None where there is none."""
        metric = beside_of(self.metric)
        if not metric:
            return None
        stated = self.stated_margin
        if isinstance(stated, Mapping):
            stated = stated.get(f"{self.name} {metric}", stated.get(self.name))
        return replace(self, groups=self.groups_beside, groups_beside=(), stated_margin=stated)

    @property
    def margins(self) -> dict[str, float]:
        """Return the margin by the target's name, and by this and a metric's that of one which has to match, too."""
        beside = {f"{self.name} {self.beside.metric}": self.beside.margin} if self.beside and self.beside.dense else {}
        return {self.name: self.margin} | beside

    @cached_property
    def margin(self) -> float:
        """Return the margin: the stated one, or the default of the metric at dense's mean."""
        stated = self.stated_margin.get(self.name) if isinstance(self.stated_margin, Mapping) else self.stated_margin
        if stated is not None or self.dense is None:
            return stated or 0.0
        return metric_of(self.metric).default_margin(self.dense.summary.mean)

    @cached_property
    def measured_levels(self) -> list[int]:
        """Return the levels, up to the first at which the ticket or dense has less than 2 seeds.

        What is said of a level is said of every denser one, too.
        """
        return list(takewhile(lambda level: not self.few(level), self.levels))

    def few(self, level: int) -> str:
        """Return the arms of which too few seeds are measured for any label, as "dense 1"; empty for none."""
        short = self.short_of(level, (TICKET, DENSE), 2)
        if short or not self.beside:
            return short
        beside = self.beside.short_of(level, (TICKET, DENSE), 2)
        return f"{beside} of {words(beside_of(self.metric))}" if beside else ""

    @cached_property
    def control_levels(self) -> list[int]:
        """Return the measured levels at which every control has enough seeds for a claim."""
        return [level for level in self.measured_levels if not self.missing_controls(level)]

    def missing_controls(self, level: int) -> str:
        """Return the arms that a claim against the controls lacks seeds of, as "random_mask 0"; empty for none."""
        controls, needed = set(self.controls(level)), self._required
        return self.short_of(level, (TICKET, DENSE, *needed, *sorted(controls - {*needed})), FEWEST)

    def short_of(self, level: int, arms: Collection[str], fewest: int) -> str:
        """Return the arms with fewer than `fewest` seeds at `level`, as "dense 1, random_mask 0"."""
        seeds = {arm: len(group.by_seed) for arm, group in self.levels.get(level, {}).items()}
        seeds[DENSE] = len(self.dense.by_seed) if self.dense else 0
        return ", ".join(f"{arm} {seeds.get(arm, 0)}" for arm in arms if seeds.get(arm, 0) < fewest)

    def controls(self, level: int) -> list[str]:
        """Return the arms at `level` that a winning ticket must be above; of whole filters these two alone."""
        needed = FILTER_ARMS if self.structured else tuple(self.levels[level])
        return [arm for arm in self.levels[level] if arm_entry(arm).verdict_control and arm in needed]

    @cached_property
    def unmeasured(self) -> str:
        """Return why nothing can be said of the ticket, however many seeds there are; empty where something can."""
        if self.dense is None or len(self.dense.by_seed) < 2:
            return ""
        return self._unresolved() or self._constant() or self._unlearned(self.dense)

    def _unresolved(self) -> str:
        if self.resolution is None or self.resolution <= self.margin + ROUNDING:
            return ""
        margin, one = show(self.metric, self.margin), show(self.metric, self.resolution)
        return (
            f"{self.examples:,} test examples cannot tell a margin of {margin} apart, as one is worth {one}: test on "
            "more, or state a wider verdict.margin"
        )

    def _constant(self) -> str:
        numbers = {value for group in self.groups for value in group.by_seed.values() if group.key.arm != CHANCE}
        if len(numbers) > 1:
            return ""
        said = f"every training gave the same number, {show(self.metric, next(iter(numbers)))}"
        if numbers != {metric_of(self.metric).bounds[1 if self.sign > 0 else 0]}:
            at_top = self.chance is not None and self.sign * (numbers.pop() - self.chance) > 0
            return f"{said}: {'no two of them can be told apart' if at_top else 'nothing was learned'}"
        return "" if self.examples else f"{said}, and the rows do not say of how many test examples"

    def _unlearned(self, dense: Group) -> str:
        if self.chance is None:
            return ""
        gain, spread = self.sign * (dense.summary.mean - self.chance), 3 * (dense.summary.std or 0.0)
        if gain > spread:
            return ""
        whose = "a guess or an untrained network" if metric_of(self.metric).floor else "a guess"
        against = f"{show(self.metric, dense.summary.mean)} against {show(self.metric, self.chance)} of {whose}"
        return f"dense did not learn: {against}, within 3 standard deviations ({show(self.metric, spread)})"

    @cached_property
    def chance(self) -> float | None:
        """Return the best score of a guess that takes no notice of the input, if it is among the rows."""
        group = self._once(CHANCE)
        return group.summary.mean if group else None

    @property
    def examples(self) -> int | None:
        """Return the number of test examples; None where the rows do not state it."""
        return self.groups[0].examples

    @property
    def resolution(self) -> float | None:
        """Return the most that one test example is worth; None where it is not known, or the metric has no bounds."""
        low, high = metric_of(self.metric).bounds
        return None if self.examples is None or math.isinf(high - low) else (high - low) / self.examples

    @property
    def sampling_error(self) -> float | None:
        """Return the standard error, over test sets as large, of a difference of two such metrics; None as above.

        Of fractions, at dense's mean and one example beside it, so that it is not 0 at a bound; as much as this where
        two networks err independently.
        """
        if self.dense is None or self.examples is None or metric_of(self.metric).bounds != (0.0, 1.0):
            return None
        share = (self.dense.summary.mean * self.examples + 1) / (self.examples + 2)
        return math.sqrt(2 * share * (1 - share) / self.examples)

    @property
    def short_training(self) -> bool:
        """Return True where dense trained for longer is better by more than the margin."""
        long = self._once("dense_long")
        if long is None or self.dense is None:
            return False
        return self.sign * (long.summary.mean - self.dense.summary.mean) > self.margin

    @cached_property
    def values(self) -> Measured:
        """Return the values for the rule: those of `measured_levels` and `control_levels`."""
        assert self.dense is not None
        arms = sorted({arm for level in self.control_levels for arm in self.controls(level)})
        rows = [[self.levels[level].get(arm) for level in self.control_levels] for arm in arms]
        every = [self.dense, *(self.levels[level][TICKET] for level in self.measured_levels)]
        seeds = max(len(group.by_seed) for group in [*every, *(one for row in rows for one in row if one)])
        padded = np.array([self._padded(group, seeds) for group in every])
        shape = (max(len(arms), 1), len(self.control_levels), seeds)
        controls, draws = np.full(shape, np.nan), np.ones(shape[:-1], dtype=int)
        for arm, row in enumerate(rows):
            for level, group in enumerate(row):
                controls[arm, level] = self._padded(group, seeds)
                draws[arm, level] = group.draws if group else 1
        at = [self.measured_levels.index(level) for level in self.control_levels]
        return Measured(padded[0], padded[1:], controls, at, self.margin, draws, self._values_beside())

    def _values_beside(self) -> Measured | None:
        other = self.beside
        if other is None or other.dense is None:
            return None
        every = [other.dense, *(other.levels[level][TICKET] for level in self.measured_levels)]
        seeds = max(len(group.by_seed) for group in every)
        padded = np.array([other._padded(group, seeds) for group in every])
        return Measured(padded[0], padded[1:], np.full((1, 0, seeds), np.nan), [], other.margin)

    def rising(self, group: Group) -> list[float]:
        """Return the values of `group`, of which more is better: negated where less is."""
        return [self.sign * value for value in group.by_seed.values()]

    def _once(self, arm: str) -> Group | None:
        return next((group for group in self.groups if group.key.arm == arm), None)

    def _padded(self, group: Group | None, seeds: int) -> Floats:
        values = [] if group is None else self.rising(group)
        return np.array(values + [np.nan] * (seeds - len(values)))

    @cached_property
    def structured(self) -> bool:
        """Return True for a ticket of whole filters: known to be one, or compared with other filters or networks."""
        return self.use == "filters" or any(arm_entry(group.key.arm).structured for group in self.groups)

    @property
    def _required(self) -> tuple[str, ...]:
        """Return the controls that a claim needs; of a pretrained model those that are made for one."""
        if self.structured:
            return FILTER_ARMS
        arms = ("random_mask", "random_reinit", *(SCALE_ARMS if self.transfer else ()))
        return pretrained_arms(arms) if self.pretrained else arms
