"""Barriers on lines between networks, and the levels that they say are matching (Paul et al. 2023)."""

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ticketzoo.evaluation.statistics import Summary, summarise


def barrier(points: Iterable[tuple[float, float]]) -> float:
    """Return by how much the error rises above the chord between the ends of a line, at most; never below 0.

    That is max over a of E(a) - ((1 - a) E(0) + a E(1)) (Paul et al. 2023). The `instability` of Frankle et al. 2020
    is the largest error minus the mean of the ends, which is above 0 wherever the ends differ.

    Args:
        points: position from 0 to 1, and error; both ends included.
    """
    along = sorted(points)
    (_, first), (_, last) = along[0], along[-1]
    return max(error - ((1 - position) * first + position * last) for position, error in along)


@dataclass(frozen=True)
class Connection:
    """The lines that end at a level.

    Attributes:
        level: above 0.
        sparsity: fraction of the prunable weights removed.
        errors: of the trained network, by seed.
        previous: barrier on the line from the level before, by seed.
        dense: barrier on the line from the dense network, by seed.
        before: errors of the level before, trained, by seed.
        projected: of that network under this level's masks, not trained again; empty where it was not measured.
    """

    level: int
    sparsity: float
    errors: Mapping[int, float]
    previous: Mapping[int, float]
    dense: Mapping[int, float]
    before: Mapping[int, float]
    projected: Mapping[int, float]

    @property
    def brought(self) -> Summary | None:
        """Return the share of the projected network's error that pruning brought; None where there is no such error."""
        shares = [1 - self.before[seed] / error for seed, error in self.projected.items() if error > 0]
        return summarise(shares) if shares else None

    def barrier(self, start: str) -> Summary:
        """Return mean and interval over seeds of the barrier from "previous" or "dense"."""
        return summarise(list(getattr(self, start).values()))

    def is_connected(self, start: str, threshold: float) -> bool:
        """Tell whether the mean barrier from "previous" or "dense" is at most `threshold`."""
        return self.barrier(start).mean <= threshold


STARTS = {"previous": "the level before", "dense": "dense"}
"""The starts of lines, in words."""


@dataclass(frozen=True)
class Agreement:
    """The levels by two questions: is the line's barrier at most the threshold, and is the level matching?

    Attributes:
        start: of the lines, a key of `STARTS`.
        threshold: of the barrier.
        counts: levels by (connected, matching).
        predicted: the last level before the first that is not connected; 0 where level 1 is not.
    """

    start: str
    threshold: float
    counts: Mapping[tuple[bool, bool], int]
    predicted: int

    @property
    def share(self) -> float:
        """Return the share of levels on which both agree."""
        return (self.counts[True, True] + self.counts[False, False]) / sum(self.counts.values())


@dataclass(frozen=True)
class LevelConnectivity:
    """All levels of a run.

    Attributes:
        dense_errors: by seed.
        levels: those above 0, in order.
        threshold: stated, see `LevelsConfig`.
        epsilon: error above dense's up to which a level is matching; None where it is not known.
        quantity: `error` or `loss`; errors above are losses, then.
    """

    dense_errors: Mapping[int, float]
    levels: Sequence[Connection]
    threshold: float
    epsilon: float | None
    quantity: str = "error"

    @property
    def dense_error(self) -> float:
        """Return the mean error of dense."""
        return statistics.fmean(self.dense_errors.values())

    @property
    def dense_std(self) -> float | None:
        """Return the standard deviation of dense's error over seeds; None of one seed."""
        return summarise(list(self.dense_errors.values())).std

    @property
    def thresholds(self) -> list[float]:
        """Return the stated threshold, and the standard deviation of dense where there is one."""
        return [self.threshold, *([self.dense_std] if self.dense_std is not None else [])]

    def is_matching(self, one: Connection) -> bool | None:
        """Tell whether a level's mean error is at most dense's plus epsilon; None where there is no epsilon."""
        if self.epsilon is None:
            return None
        return statistics.fmean(one.errors.values()) <= self.dense_error + self.epsilon

    @property
    def measured(self) -> int | None:
        """The last level before the first that is not matching, 0 where level 1 is not; None without an epsilon."""
        return None if self.epsilon is None else _up_to(self.levels, lambda one: bool(self.is_matching(one)))

    def agreements(self) -> list[Agreement]:
        """Return the 2x2 table of each start and threshold; its counts are 0 where nothing is known of matching."""
        found = []
        for start in STARTS:
            for threshold in self.thresholds:
                counts = Counter(
                    (one.is_connected(start, threshold), bool(self.is_matching(one)))
                    for one in self.levels
                    if self.epsilon is not None
                )
                predicted = _up_to(self.levels, lambda one, s=start, t=threshold: one.is_connected(s, t))
                found.append(Agreement(start, threshold, counts, predicted))
        return found


def _up_to(levels: Sequence[Connection], holds: Any) -> int:
    """Return the last level before the first of which `holds` is False; 0 where that is the first."""
    last = 0
    for one in levels:
        if not holds(one):
            break
        last = one.level
    return last


def level_connectivity(
    rows: Iterable[Mapping[str, Any]], *, threshold: float, epsilon: float | None, quantity: str = "error"
) -> LevelConnectivity:
    """Return the connectivity of all levels in `rows`, as `measure_levels` gives them.

    Args:
        rows: of results.jsonl.
        threshold: barrier up to which two networks are connected.
        epsilon: see `LevelsConfig`.
        quantity: column of the rows that is looked at.
    """
    projected: dict[int, dict[int, float]] = {}
    lines: dict[tuple[int, int], dict[int, list[tuple[float, float]]]] = {}
    sparsities: dict[int, float] = {}
    for row in rows:
        sparsities[row["second"]] = row["sparsity"]
        if "projected" in row:
            projected.setdefault(row["second"], {})[row["seed"]] = row["projected"]
            continue
        by_seed = lines.setdefault((row["first"], row["second"]), {})
        by_seed.setdefault(row["seed"], []).append((row["position"], row[quantity]))
    barriers = {ends: {seed: barrier(line) for seed, line in by_seed.items()} for ends, by_seed in lines.items()}
    levels = [
        Connection(
            level,
            sparsities[level],
            {seed: max(line)[1] for seed, line in lines[level - 1, level].items()},
            barriers[level - 1, level],
            barriers[0, level],
            {seed: min(line)[1] for seed, line in lines[level - 1, level].items()},
            projected.get(level, {}),
        )
        for level in sorted(sparsities)
    ]
    dense = {seed: min(line)[1] for seed, line in lines[0, 1].items()}
    spread = summarise(list(dense.values())).std
    return LevelConnectivity(dense, levels, threshold, spread if epsilon is None else epsilon, quantity)
