"""The verdict on a ticket: matching, winning or neither, by one stated rule.

"Matching" follows Chen et al. 2020 (The Lottery Ticket Hypothesis for Pre-trained BERT Networks, section 3):
within one standard deviation of the dense network.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Literal, TypedDict

from ticketzoo.evaluation.arms import DENSE, TICKET, verdict_controls
from ticketzoo.evaluation.metrics import DEFAULT, more_is_better
from ticketzoo.evaluation.statistics import Group, Row, Summary, group_rows
from ticketzoo.util.text import show_numbers, show_sparsity

Label = Literal["winning", "matching", "not matching", "not measured"]

LABELS: tuple[Label, ...] = ("winning", "matching", "not matching", "not measured")
"""Every label, best first."""


def rule() -> str:
    """Return the rule in words, as cards print it."""
    controls = " and of ".join(verdict_controls())
    return (
        "matching: on at least 2 seeds, the ticket's mean is not below dense's mean by more than one standard "
        "deviation of dense over the seeds (Chen et al. 2020); winning: matching, and the 95% interval of the ticket's "
        f"mean lies wholly above those of {controls}, on at least 3 seeds of each arm"
    )


ROUNDING = 1e-12
"""Differences up to this are rounding: a mean this close to the line is on it, and intervals this close touch."""


class LevelVerdict(TypedDict):
    """The label of one level on one target, the seeds it rests on, and why."""

    level: int
    sparsity: float
    target: str
    label: Label
    seeds: int
    reason: str


class Verdict(TypedDict):
    """The verdict on a ticket: the best label a level earns on every target, and the sparsest such level's sparsity.

    `metric` is that by which arms were compared, or those of the targets, with commas between them.
    """

    rule: str
    metric: str
    at: str
    label: Label
    sparsity: float | None
    levels: list[LevelVerdict]


def judge(rows: Iterable[Row], *, metric: str | None = None, at: str = "final") -> Verdict:
    """The verdict on the one ticket that `rows` are about, on every level above 0 and every target they measure.

    `metric` is one where more is better; default each target's own. Raises ValueError for one where less is, or for
    rows of several tickets, and TicketError as `group_rows` does.
    """
    groups = group_rows(rows, metric=metric, at=at)
    metrics = sorted({group.metric for group in groups}) or [metric or DEFAULT]
    if falling := [name for name in metrics if not more_is_better(name)]:
        raise ValueError(f"the rule reads more as better, so {falling[0]} cannot decide it")
    if len({group.key.ticket for group in groups}) > 1:
        raise ValueError("these rows are about several tickets; judge each alone (judge_all)")
    levels = _judge_levels(groups)
    label, sparsity = _overall(levels)
    return {
        "rule": rule(),
        "metric": ", ".join(metrics),
        "at": at,
        "label": label,
        "sparsity": sparsity,
        "levels": levels,
    }


def judge_all(rows: Sequence[Row], *, metric: str | None = None, at: str = "final") -> dict[str, Verdict]:
    """The verdict on each ticket in `rows`, by name."""
    by_ticket: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_ticket[row["ticket"]].append(row)
    return {name: judge(by_ticket[name], metric=metric, at=at) for name in sorted(by_ticket)}


def sentence(verdict: Verdict) -> str:
    """The verdict in words, as "winning at sparsity 0.488 to 0.866 (levels 3, 6, 9); 3 seeds"."""
    by_target: dict[str, list[LevelVerdict]] = defaultdict(list)
    for level in verdict["levels"]:
        by_target[level["target"]].append(level)
    if not by_target:
        return "not measured"
    if len(by_target) == 1:
        return _sentence(verdict["levels"])
    return ". ".join(f"On {target}: {_sentence(levels)}" for target, levels in by_target.items())


def _judge_levels(groups: list[Group]) -> list[LevelVerdict]:
    dense = {group.key.target: group for group in groups if group.key.arm == DENSE}
    arms: dict[tuple[str, int], dict[str, Group]] = defaultdict(dict)
    for group in groups:
        if group.key.level > 0:
            arms[group.key.target, group.key.level][group.key.arm] = group
    levels = []
    for (target, level), of_level in sorted(arms.items()):
        with_dense = {**of_level, DENSE: dense[target]} if target in dense else of_level
        label, seeds, reason = _judge_level({arm: group.summary for arm, group in with_dense.items()})
        sparsity = next(iter(of_level.values())).sparsity
        levels.append(
            LevelVerdict(level=level, sparsity=sparsity, target=target, label=label, seeds=seeds, reason=reason)
        )
    return levels


def _judge_level(arms: dict[str, Summary]) -> tuple[Label, int, str]:
    """Label, seeds it rests on, and reason, from the summaries of the arms at one level on one target."""
    few = _short_of(arms, (TICKET, DENSE), 2)
    if few:
        return "not measured", _fewest(arms, (TICKET, DENSE)), f"needs at least 2 seeds, has {few}"
    ticket, dense = arms[TICKET], arms[DENSE]
    assert dense.std is not None
    seeds = _fewest(arms, (TICKET, DENSE))
    margin = f"mean {ticket.mean:.4f}, dense {dense.mean:.4f} with standard deviation {dense.std:.4f}"
    if ticket.mean < dense.mean - dense.std - ROUNDING:
        return "not matching", seeds, margin
    controls = verdict_controls()
    few = _short_of(arms, (TICKET, DENSE, *controls), 3)
    if few:
        return "matching", seeds, f"{margin}; comparing with the controls needs at least 3 seeds, has {few}"
    below = [control for control in controls if not _above(ticket, arms[control])]
    compared = ", ".join(f"{arm} {_interval(arms[arm])}" for arm in (TICKET, *controls))
    if below:
        return "matching", seeds, f"{margin}; not clearly above {' and '.join(below)}: {compared}"
    return "winning", _fewest(arms, (TICKET, DENSE, *controls)), f"{margin}; above the controls: {compared}"


def _above(upper: Summary, lower: Summary) -> bool:
    """Whether the whole interval of `upper` lies above that of `lower`. Intervals that touch overlap."""
    return upper.low is not None and lower.high is not None and upper.low > lower.high + ROUNDING


def _seeds(arms: dict[str, Summary], arm: str) -> int:
    return arms[arm].n if arm in arms else 0


def _fewest(arms: dict[str, Summary], names: Sequence[str]) -> int:
    return min(_seeds(arms, arm) for arm in names)


def _short_of(arms: dict[str, Summary], names: Sequence[str], needed: int) -> str:
    """The arms with fewer than `needed` seeds, as "dense 1, random_mask 0"; empty when none is short."""
    return ", ".join(f"{arm} {_seeds(arms, arm)}" for arm in names if _seeds(arms, arm) < needed)


def _interval(summary: Summary) -> str:
    return f"[{summary.low:.4f}, {summary.high:.4f}]"


def _overall(levels: list[LevelVerdict]) -> tuple[Label, float | None]:
    """The best label that holds at one level on every target, and the sparsity of the sparsest level where it does."""
    targets = {level["target"] for level in levels}
    labels: dict[int, list[Label]] = defaultdict(list)
    for level in levels:
        labels[level["level"]].append(level["label"])
    worst: dict[int, Label] = {}
    for number, of_level in labels.items():
        worst[number] = max(of_level, key=LABELS.index) if len(of_level) == len(targets) else "not measured"
    best: Label = min(worst.values(), key=LABELS.index, default="not measured")
    if best == "not measured":
        return best, None
    return best, max(level["sparsity"] for level in levels if worst[level["level"]] == best)


def _sentence(levels: list[LevelVerdict]) -> str:
    parts = [_claim(label, [level for level in levels if level["label"] == label]) for label in LABELS]
    seeds = [level["seeds"] for level in levels if level["label"] != "not measured"]
    if seeds:
        few, many = min(seeds), max(seeds)
        parts.append(f"{few} seeds" if few == many else f"{few} to {many} seeds")
    return "; ".join(part for part in parts if part)


def _claim(label: Label, levels: list[LevelVerdict]) -> str:
    if not levels:
        return ""
    low, high = min(level["sparsity"] for level in levels), max(level["sparsity"] for level in levels)
    span = show_sparsity(low) if len(levels) == 1 else f"{show_sparsity(low)} to {show_sparsity(high)}"
    numbers = show_numbers(level["level"] for level in levels)
    reasons = {level["reason"] for level in levels}
    why = f": {reasons.pop()}" if label == "not measured" and len(reasons) == 1 else ""
    return f"{label} at sparsity {span} (level{'s' if len(levels) > 1 else ''} {numbers}){why}"
