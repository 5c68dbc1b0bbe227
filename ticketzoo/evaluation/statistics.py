"""Summaries of measured rows. The unit of replication is the seed: draws of one seed are averaged first."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from ticketzoo.errors import TicketError
from ticketzoo.evaluation.arms import ARMS, CHANCE, DENSE, TICKET, arm_entry, one_of
from ticketzoo.evaluation.metrics import DEFAULT, beside_of, metric_of
from ticketzoo.evaluation.rows import check_rows
from ticketzoo.tasks.metrics import METRICS
from ticketzoo.ticket.rows import deciding_metrics as deciding_metrics
from ticketzoo.ticket.rows import is_finite as is_finite

Row = Mapping[str, Any]
"""One line of `results.jsonl`: see `ticketzoo.ticket.rows.MeasuredRow`."""


@dataclass(frozen=True)
class Summary:
    """`n` seeds: their mean, standard deviation (n - 1 in the denominator) and the 95% Student-t interval of the mean.

    `std`, `low` and `high` are None for a single seed, which has no spread. Where the interval would pass a bound of
    the metric, `low` and `high` are the smallest and the largest value instead, and `ranged` is True.
    """

    n: int
    mean: float
    std: float | None
    low: float | None
    high: float | None
    ranged: bool = False

    @property
    def half_width(self) -> float | None:
        """Return half the width of the 95% interval; None where there is none."""
        return None if self.std is None or self.ranged else t_quantile(self.n - 1) * self.std / math.sqrt(self.n)

    @property
    def t_interval(self) -> tuple[float, float]:
        """Return the 95% interval of the mean, whatever the bounds; the mean twice for a single seed."""
        width = 0.0 if self.std is None else t_quantile(self.n - 1) * self.std / math.sqrt(self.n)
        return self.mean - width, self.mean + width


class Key(NamedTuple):
    """The columns that the rows of one group share, beside metric and evaluation point."""

    ticket: str
    target: str
    level: int
    arm: str


@dataclass(frozen=True)
class Group:
    """The measurements of one arm at one level of a ticket on one target: a value for each seed.

    Attributes:
        draws: the most trainings of one seed that a value is the mean of.
        examples: test examples of the target, the fewest that its rows state; None where none does.
    """

    key: Key
    sparsity: float
    by_seed: Mapping[int, float]
    metric: str = DEFAULT
    higher_is_better: bool = True
    bounds: tuple[float, float] = (-math.inf, math.inf)
    draws: int = 1
    examples: int | None = None

    @property
    def summary(self) -> Summary:
        """Return the mean and interval over its seeds."""
        return summarise(list(self.by_seed.values()), self.bounds)


@cache
def t_quantile(degrees_of_freedom: int) -> float:
    """Return the 97.5% quantile of Student's t: 4.3027 for 2 degrees of freedom."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees_of_freedom, 0.975))


def summarise(values: Sequence[float], bounds: tuple[float, float] = (-math.inf, math.inf)) -> Summary:
    """Return the summary of `values`, one a seed, none beyond `bounds`. Raises ValueError where there are none."""
    if not values:
        raise ValueError("no values to summarise")
    mean = statistics.fmean(values)
    if len(values) == 1:
        return Summary(1, mean, None, None, None)
    std = statistics.stdev(values)
    low, high = Summary(len(values), mean, std, None, None).t_interval
    if low < bounds[0] or high > bounds[1]:
        return Summary(len(values), mean, std, min(values), max(values), ranged=std > 0)
    return Summary(len(values), mean, std, low, high)


def less_is_better(rows: Iterable[Row]) -> set[str]:
    """Return the names of the metrics of which less is better: registered ones, and those of which `rows` say so.

    Raises TicketError where rows contradict each other or the table of metrics.
    """
    stated = {metric.name: metric.higher_is_better for metric in METRICS.values()}
    for row in rows:
        if "higher_is_better" in row:
            name, higher = metric_of(row["metric"]).name, row["higher_is_better"]
            if stated.setdefault(name, higher) != higher:
                raise TicketError(f"results: rows disagree on whether less of {name!r} is better; correct them")
    return {name for name, higher in stated.items() if not higher}


def falling_metrics(groups: Iterable[Group]) -> set[str]:
    """Return the metrics of `groups`, as rows name them, of which less is better."""
    return {group.metric for group in groups if not group.higher_is_better}


def group_rows(
    rows: Iterable[Row], *, metric: str | None = None, at: str = "final", value: str = "value"
) -> list[Group]:
    """Return the groups among `rows`, ordered by ticket, target, level and arm (as `in_order` orders arms).

    Rows of `shuffled_mask` count as further draws of `random_mask`, whose distribution they are drawn from. Arms that
    have no levels, as dense, are of level 0, whatever their rows say. A group's sparsity is the mean over its rows:
    pruning by count gives every seed the same, learned masks may not.

    Args:
        rows: of results.jsonl; they may come from a stranger.
        metric: the metric to read, such as `test_accuracy`; default the one by which arms are compared on each target.
        at: "final" for the end of training, "best" for the step of minimum validation loss.
        value: the number to read from each row: "value", or "step" for the iteration it was measured at.

    Raises:
        TicketError: a number is not finite, a seed and draw was measured twice, rows disagree about the direction of a
            metric, or a row is none.
    """
    draws: dict[Key, dict[int, dict[tuple[str, int], float]]] = {}
    sparsities: dict[Key, list[float]] = {}
    rows = check_rows(rows)
    wanted, falling, examples = deciding_metrics(rows), less_is_better(rows), _examples(rows)
    for row in rows:
        if row["metric"] != (metric or wanted[row["target"]]) or row["at"] != at:
            continue
        arm = one_of(row["arm"])
        once = arm in (DENSE, CHANCE) or arm_entry(arm).once
        key = Key(row["ticket"], row["target"], 0 if once else row["level"], arm)
        sparsities.setdefault(key, []).append(0.0 if once else row["sparsity"])
        of_seed = draws.setdefault(key, {}).setdefault(row["seed"], {})
        draw = row["arm"], row["draw"]
        if draw in of_seed:
            raise TicketError(f"results: {_name(row)} is there twice; remove the repeated row")
        of_seed[draw] = _finite(row, value)
    groups = []
    order = {arm: rank for rank, arm in enumerate(ARMS)}
    for key in sorted(draws, key=lambda key: (key[:3], order.get(key.arm, len(order)), key.arm)):
        by_seed = {seed: statistics.fmean(draws[key][seed].values()) for seed in sorted(draws[key])}
        name = metric or wanted[key.target]
        higher = metric_of(name).name not in falling
        bounds = metric_of(name).bounds if value == "value" else (-math.inf, math.inf)
        most = max(map(len, draws[key].values()))
        sparsity = statistics.mean(sparsities[key])
        groups.append(Group(key, sparsity, by_seed, name, higher, bounds, most, examples.get(key.target)))
    return groups


def groups_beside(rows: Sequence[Row], groups: Iterable[Group], *, at: str = "final") -> list[Group]:
    """Return the groups of the metrics by which tickets have to match, too, beside those of `groups`."""
    found = []
    for target, metric in sorted({(group.key.target, group.metric) for group in groups}):
        if beside := beside_of(metric):
            found += group_rows([row for row in rows if row["target"] == target], metric=beside, at=at)
    return found


def paired_difference(group: Group, baseline: Group) -> Summary | None:
    """Return the summary of `group` minus `baseline` over the seeds that they share; None where they share none."""
    shared = sorted(group.by_seed.keys() & baseline.by_seed.keys())
    return summarise([group.by_seed[seed] - baseline.by_seed[seed] for seed in shared]) if shared else None


def dense_of(group: Group, groups: Iterable[Group]) -> Group | None:
    """Return the dense arm on the same ticket and target as `group`; None where it was not measured."""
    ticket, target = group.key.ticket, group.key.target
    return next((g for g in groups if (g.key.ticket, g.key.target, g.key.arm) == (ticket, target, DENSE)), None)


def ticket_minus_dense(groups: Sequence[Group]) -> dict[Key, Summary]:
    """Return the paired difference to dense of every ticket above level 0 that shares a seed with its dense arm."""
    differences = {}
    for group in groups:
        dense = dense_of(group, groups)
        if group.key.arm == TICKET and group.key.level > 0 and dense is not None:
            difference = paired_difference(group, dense)
            if difference is not None:
                differences[group.key] = difference
    return differences


def _examples(rows: Iterable[Row]) -> dict[str, int]:
    """Return by target the fewest test examples that a row states."""
    fewest: dict[str, int] = {}
    for row in rows:
        if (stated := row.get("examples")) is not None:
            fewest[row["target"]] = min(stated, fewest.get(row["target"], stated))
    return fewest


def _finite(row: Row, value: str) -> float:
    number = row[value]
    if not is_finite(number):
        raise TicketError(f"results: {_name(row)} has {value} {number!r}, which is no finite number; measure it again")
    return float(number)


def _name(row: Row) -> str:
    return (
        f"{row['metric']} ({row['at']}) of {row['ticket']!r} level {row['level']}, arm {row['arm']}, "
        f"target {row['target']!r}, seed {row['seed']}, draw {row['draw']}"
    )
