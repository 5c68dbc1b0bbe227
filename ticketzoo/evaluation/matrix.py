"""Tickets by targets: what each source's ticket is worth on each target (Morcos et al. 2019; Chen et al. 2020).

Differences are paired by seed, in the metric's unit. What is known of sources and targets beside the rows is JSON: see
`About`.
"""

import math
import statistics
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypedDict

from ticketzoo.evaluation.arms import TICKET
from ticketzoo.evaluation.statistics import Group, Row, Summary, dense_of, group_rows, summarise

ONE_LEVEL = 0.95
"""Densities are of one level of the matrix where the smaller is at least this share of the larger."""

BySeed = Mapping[int, float]


class Data(TypedDict):
    """The data of a source or of a target, as far as they are known.

    Keys: `data`, their fingerprint; `examples` to train on; `classes`; `series`, the name that targets share which
    differ in their number of examples alone.
    """

    data: str | None
    examples: int | None
    classes: int | None
    series: str | None


class About(TypedDict):
    """The data of `sources`, by ticket, and of `targets`, by name."""

    sources: dict[str, Data]
    targets: dict[str, Data]


def own_tickets(about: About) -> dict[str, str]:
    """Return by target the ticket that was found on its very data: the first, where there are several."""
    own: dict[str, str] = {}
    for target, data in about["targets"].items():
        for ticket, source in about["sources"].items():
            if data["data"] is not None and source["data"] == data["data"]:
                own.setdefault(target, ticket)
    return own


@dataclass(frozen=True)
class Matrix:
    """One level of all tickets on all targets.

    Attributes:
        sparsity: the mean over the tickets.
        over_dense: by source and target, the ticket minus dense.
        over_own: the ticket minus the ticket found on the target's own data, which is 0 minus itself.
        own: by target the ticket found on its data.
        sign: -1 where less is better; None where targets have different metrics, which no mean can be taken of.
    """

    sparsity: float
    over_dense: Mapping[tuple[str, str], BySeed]
    over_own: Mapping[tuple[str, str], BySeed]
    own: Mapping[str, str]
    sign: int | None

    @cached_property
    def sources(self) -> list[str]:
        """Return the tickets in the order of the rows."""
        return list(dict.fromkeys(source for source, _ in self.over_dense))

    @cached_property
    def targets(self) -> list[str]:
        """Return the targets in the order of the rows."""
        return list(dict.fromkeys(target for _, target in self.over_dense))

    @cached_property
    def common(self) -> list[str]:
        """Return the targets that every source was measured on: means are over these."""
        return [to for to in self.targets if all((source, to) in self.over_dense for source in self.sources)]

    @cached_property
    def rows(self) -> dict[str, BySeed]:
        """Return the mean over the common targets of ticket minus dense, by source."""
        if self.sign is None or not self.common:
            return {}
        means = {one: mean_by_seed([self.over_dense[one, to] for to in self.common]) for one in self.sources}
        return {source: by_seed for source, by_seed in means.items() if by_seed}

    @cached_property
    def rows_over_own(self) -> dict[str, BySeed]:
        """Return the mean of ticket minus own ticket, by source, over the targets that have another source's."""
        found = {}
        for source in self.sources if self.sign is not None else ():
            there = [by_seed for (one, to), by_seed in self.over_own.items() if one == source != self.own[to]]
            if there and (by_seed := mean_by_seed(there)):
                found[source] = by_seed
        return found

    @cached_property
    def columns(self) -> dict[str, BySeed]:
        """Return the mean over the sources of ticket minus dense, by target."""
        means = {
            to: mean_by_seed([by_seed for (_, there), by_seed in self.over_dense.items() if there == to])
            for to in self.targets
        }
        return {target: by_seed for target, by_seed in means.items() if by_seed}

    @cached_property
    def ranks(self) -> dict[str, Summary]:
        """Return the rank of each source's row mean among all, 1 for the best: mean and interval over the seeds.

        Where an interval would pass the first or the last rank, it is the smallest and the largest.
        """
        from scipy.stats import rankdata

        seeds = shared_seeds(self.rows.values())
        by_seed = {seed: rankdata([-(self.sign or 1) * row[seed] for row in self.rows.values()]) for seed in seeds}
        return {
            source: summarise([float(by_seed[seed][place]) for seed in seeds], (1.0, float(len(self.rows))))
            for place, source in enumerate(self.rows)
            if seeds
        }

    def spearman(self, known: Mapping[str, float]) -> Summary | None:
        """Return Spearman's correlation of what is `known` of the sources with their mean gain, over the seeds.

        None as `spearman_by_seed` gives it.
        """
        sources = [source for source in self.rows if source in known]
        gains = [{seed: (self.sign or 1) * gap for seed, gap in self.rows[one].items()} for one in sources]
        return spearman_by_seed([known[source] for source in sources], gains)

    def slopes(self, about: Mapping[str, Data]) -> tuple[Summary, Summary] | None:
        """Return the slopes of the row mean on log2(examples) and on classes, fitted together by seed.

        None for fewer than four sources of which both are known, or where they cannot be told apart.
        """
        import numpy as np

        known = [one for one in self.rows if about[one]["examples"] and about[one]["classes"]]
        seeds = shared_seeds([self.rows[source] for source in known])
        design = np.array(
            [[1.0, math.log2(about[one]["examples"] or 1), float(about[one]["classes"] or 0)] for one in known]
        )
        if len(known) < 4 or np.linalg.matrix_rank(design) < 3 or not seeds:
            return None
        fitted = [np.linalg.lstsq(design, [self.rows[one][seed] for one in known], rcond=None)[0] for seed in seeds]
        return summarise([float(fit[1]) for fit in fitted]), summarise([float(fit[2]) for fit in fitted])


def matrices(rows: Iterable[Row], about: About) -> list[Matrix]:
    """Return the matrix of each level, the densest first.

    Tickets whose levels have other numbers are compared at one sparsity. Raises TicketError as `group_rows` does.
    """
    groups = group_rows(rows)
    tickets = [group for group in groups if group.key.arm == TICKET and group.key.level > 0]
    order = [*about["sources"]], [*about["targets"]]
    tickets.sort(key=lambda one: (_place(order[0], one.key.ticket), _place(order[1], one.key.target)))
    metrics = {group.metric: 1 if group.higher_is_better else -1 for group in tickets}
    sign = next(iter(metrics.values())) if len(metrics) == 1 else None
    own = own_tickets(about)
    return [_matrix(level, groups, own, sign) for level in levels_of(tickets)]


def levels_of(tickets: Sequence[Group]) -> list[list[Group]]:
    """Return the groups of each level, the densest first: of equal sparsity, but for the rounding of counts."""
    levels: list[list[Group]] = []
    for group in sorted(tickets, key=lambda one: one.sparsity):
        first = levels[-1][0] if levels else None
        there = {(one.key.ticket, one.key.target) for one in levels[-1]} if levels else set()
        near = first is not None and 1 - group.sparsity >= ONE_LEVEL * (1 - first.sparsity)
        if near and (group.key.ticket, group.key.target) not in there:
            levels[-1].append(group)
        else:
            levels.append([group])
    return [[group for group in tickets if group in level] for level in levels]


def _matrix(level: Sequence[Group], groups: Sequence[Group], own: Mapping[str, str], sign: int | None) -> Matrix:
    at = {(group.key.ticket, group.key.target): group for group in level}
    over_dense, over_own = {}, {}
    for (ticket, target), group in at.items():
        if (dense := dense_of(group, groups)) and (by_seed := minus(group, dense)):
            over_dense[ticket, target] = by_seed
        if (other := at.get((own.get(target, ""), target))) and (by_seed := minus(group, other)):
            over_own[ticket, target] = by_seed
    sparsity = statistics.fmean(group.sparsity for group in level)
    there = {target: ticket for target, ticket in own.items() if (ticket, target) in at}
    return Matrix(sparsity, over_dense, over_own, there, sign)


def minus(group: Group, other: Group) -> BySeed:
    """Return the differences by the seeds that both have."""
    shared = sorted(group.by_seed.keys() & other.by_seed.keys())
    return {seed: group.by_seed[seed] - other.by_seed[seed] for seed in shared}


def shared_seeds(rows: Collection[BySeed]) -> list[int]:
    """Return the seeds that all have."""
    return sorted(set.intersection(*(set(row) for row in rows))) if rows else []


def mean_by_seed(rows: Sequence[BySeed]) -> BySeed:
    """Return the mean of `rows`, for each seed that all of them have."""
    return {seed: statistics.fmean(row[seed] for row in rows) for seed in shared_seeds(rows)}


def spearman_by_seed(known: Sequence[float], rows: Sequence[BySeed]) -> Summary | None:
    """Return Spearman's correlation of what is `known` with the values of `rows`: over the seeds that all of them have.

    None for fewer than three, or where all are equal.
    """
    from scipy.stats import spearmanr

    seeds = shared_seeds(rows)
    of_seed = [[row[seed] for row in rows] for seed in seeds]
    if len(known) < 3 or len(set(known)) < 2 or not seeds or any(len(set(values)) < 2 for values in of_seed):
        return None
    return summarise([float(spearmanr(known, values).statistic) for values in of_seed], (-1.0, 1.0))


def _place(order: Sequence[str], name: str) -> int:
    return order.index(name) if name in order else len(order)
