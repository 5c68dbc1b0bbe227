"""Tickets on targets that differ in their number of training examples alone: scarce data (Sabatelli et al. 2020)."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ticketzoo.evaluation.arms import TICKET
from ticketzoo.evaluation.matrix import About, BySeed, levels_of, minus, own_tickets, shared_seeds, spearman_by_seed
from ticketzoo.evaluation.statistics import Group, Row, Summary, dense_of, group_rows


@dataclass(frozen=True)
class Series:
    """One ticket at one level on targets that differ in their number of training examples alone.

    Attributes:
        name: of the data.
        source: the ticket; None for the own ticket of each target.
        arm: what dense is taken from, "ticket" or a control.
        sparsity: of the ticket.
        gaps: by number of examples, ascending, the arm minus dense.
        sign: -1 where less is better.
    """

    name: str
    source: str | None
    arm: str
    sparsity: float
    gaps: Mapping[int, BySeed]
    sign: int

    @property
    def spearman(self) -> Summary | None:
        """Return Spearman's correlation of examples and gap: below 0 where the gain grows as data become scarce."""
        seeds = shared_seeds(list(self.gaps.values()))
        gains = [{seed: self.sign * gap[seed] for seed in seeds} for gap in self.gaps.values()]
        return spearman_by_seed(list(self.gaps), gains)


def series_of(rows: Iterable[Row], about: About, arms: Sequence[str] = (TICKET, "random_mask")) -> list[Series]:
    """Return every ticket, and the own tickets, on each series of three targets or more. Raises as `matrices` does."""
    groups, own = group_rows(rows), own_tickets(about)
    sizes: dict[str, dict[str, int]] = {}
    for target, data in about["targets"].items():
        if data["series"] and data["examples"]:
            sizes.setdefault(data["series"], {})[target] = data["examples"]
    found = []
    for name, of_target in sizes.items():
        if len(set(of_target.values())) < 3 or len(set(of_target.values())) < len(of_target):
            continue
        for arm in arms:
            there = [one for one in groups if one.key.arm == arm and one.key.level and one.key.target in of_target]
            for level in levels_of(there):
                found += _series_at(name, of_target, arm, level, groups, own, about)
    return found


def _series_at(
    name: str,
    sizes: Mapping[str, int],
    arm: str,
    level: Sequence[Group],
    groups: Sequence[Group],
    own: Mapping[str, str],
    about: About,
) -> list[Series]:
    found = []
    for source in [*(about["sources"]), *([None] if arm == TICKET else [])]:
        gaps = {}
        for group in level:
            wanted = own.get(group.key.target) if source is None else source
            dense = dense_of(group, groups)
            if group.key.ticket == wanted and dense and (by_seed := minus(group, dense)):
                gaps[sizes[group.key.target]] = by_seed
        if len(gaps) == len(sizes):
            sparsity = statistics.fmean(group.sparsity for group in level)
            sign = 1 if level[0].higher_is_better else -1
            found.append(Series(name, source, arm, sparsity, dict(sorted(gaps.items())), sign))
    return found
