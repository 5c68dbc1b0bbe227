"""The verdict on measured rows of a ticket: matching, winning or neither, by one stated rule.

"Matching" follows Chen et al. 2020 (The Lottery Ticket Hypothesis for Pre-trained BERT Networks, section 3):
within one standard deviation of the dense network.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from pydantic import ValidationError

from ticketzoo.errors import TicketError
from ticketzoo.evaluation.arms import DENSE, TICKET
from ticketzoo.evaluation.metrics import DEFAULT
from ticketzoo.evaluation.rows import check_rows
from ticketzoo.evaluation.statistics import Group, Row, Summary, falling_metrics, group_rows
from ticketzoo.ticket.verdict import LABELS, Label, LevelVerdict
from ticketzoo.ticket.verdict import Verdict as Verdict
from ticketzoo.ticket.verdict import sentence as sentence


def rule(less_is_better: Sequence[str] = ()) -> str:
    """Return the rule in words, as cards print it, for metrics among which some are better when they are lower."""
    controls, falls = " and of ".join(REQUIRED), bool(less_is_better)
    return (
        "matching: on at least 2 seeds, the ticket's mean is not below dense's mean by more than one standard "
        "deviation of dense over the seeds (Chen et al. 2020); winning: matching, and the 95% interval of the ticket's "
        f"mean lies wholly above those of {controls}, on at least 3 seeds of each arm"
        + (f"; less is better of {' and '.join(less_is_better)}: read above as below, below as above" * falls)
    )


REQUIRED = ("random_reinit", "random_mask")
"""Arms that a winning ticket must lie clear of."""


ROUNDING = 1e-12
"""Differences up to this are rounding: a mean this close to the line is on it, and intervals this close touch."""


def judge(rows: Iterable[Row], *, metric: str | None = None, at: str = "final") -> Verdict:
    """Return the verdict on the one ticket that `rows` are about, on every level above 0 and every target they measure.

    Args:
        rows: of `results.jsonl`.
        metric: the one to judge by; default each target's own.
        at: "final", or "best" for the step of minimum validation loss.

    Raises:
        ValueError: the rows are about several tickets.
        TicketError: as `group_rows` raises it.
    """
    groups = group_rows(rows, metric=metric, at=at)
    if len({group.key.ticket for group in groups}) > 1:
        raise ValueError("these rows are about several tickets; judge each alone (judge_all)")
    metrics = sorted({group.metric for group in groups}) or [metric or DEFAULT]
    falling = sorted(falling_metrics(groups))
    try:
        levels = _judge_levels(groups)
        label, sparsity = _overall(levels)
        return Verdict(
            rule=rule(falling), metric=", ".join(metrics), at=at, label=label, sparsity=sparsity, levels=levels
        )
    except ValidationError as error:
        raise TicketError(f"results: no verdict can be given of them: {error.errors()[0]['msg']}") from None


def judge_all(rows: Sequence[Row], *, metric: str | None = None, at: str = "final") -> dict[str, Verdict]:
    """Return the verdict on each ticket in `rows`, by name. Raises TicketError as `group_rows` does."""
    by_ticket: dict[str, list[Row]] = defaultdict(list)
    for row in check_rows(rows):
        by_ticket[row["ticket"]].append(row)
    return {name: judge(by_ticket[name], metric=metric, at=at) for name in sorted(by_ticket)}


def _judge_levels(groups: list[Group]) -> list[LevelVerdict]:
    dense = {group.key.target: group for group in groups if group.key.arm == DENSE}
    arms: dict[tuple[str, int], dict[str, Group]] = defaultdict(dict)
    for group in groups:
        if group.key.level > 0:
            arms[group.key.target, group.key.level][group.key.arm] = group
    levels = []
    for (target, level), of_level in sorted(arms.items()):
        with_dense = {**of_level, DENSE: dense[target]} if target in dense else of_level
        one = next(iter(of_level.values()))
        summaries = {arm: group.summary for arm, group in with_dense.items()}
        label, seeds, reason = _judge_level(summaries, higher_is_better=one.higher_is_better)
        levels.append(
            LevelVerdict(level=level, sparsity=one.sparsity, target=target, label=label, seeds=seeds, reason=reason)
        )
    return levels


def _judge_level(arms: dict[str, Summary], *, higher_is_better: bool) -> tuple[Label, int, str]:
    """Return label, seeds it rests on, and reason, from the summaries of the arms at one level on one target."""
    few = _short_of(arms, (TICKET, DENSE), 2)
    if few:
        return "not measured", _fewest(arms, (TICKET, DENSE)), f"needs at least 2 seeds, has {few}"
    ticket, dense = arms[TICKET], arms[DENSE]
    assert dense.std is not None
    seeds = _fewest(arms, (TICKET, DENSE))
    margin = f"mean {ticket.mean:.4f}, dense {dense.mean:.4f} with standard deviation {dense.std:.4f}"
    short = dense.mean - ticket.mean if higher_is_better else ticket.mean - dense.mean
    if short > dense.std + ROUNDING:
        return "not matching", seeds, margin
    controls = REQUIRED
    few = _short_of(arms, (TICKET, DENSE, *controls), 3)
    if few:
        return "matching", seeds, f"{margin}; comparing with the controls needs at least 3 seeds, has {few}"
    unclear = [arm for arm in controls if not _clear(ticket, arms[arm], higher_is_better=higher_is_better)]
    side = "above" if higher_is_better else "below"
    compared = ", ".join(f"{arm} {_interval(arms[arm])}" for arm in (TICKET, *controls))
    if unclear:
        return "matching", seeds, f"{margin}; not clearly {side} {' and '.join(unclear)}: {compared}"
    return "winning", _fewest(arms, (TICKET, DENSE, *controls)), f"{margin}; {side} the controls: {compared}"


def _clear(ticket: Summary, control: Summary, *, higher_is_better: bool) -> bool:
    """Return True where the whole interval of `ticket` is better than that of `control`; ones that touch overlap."""
    upper, lower = (ticket, control) if higher_is_better else (control, ticket)
    return upper.low is not None and lower.high is not None and upper.low > lower.high + ROUNDING


def _seeds(arms: dict[str, Summary], arm: str) -> int:
    return arms[arm].n if arm in arms else 0


def _fewest(arms: dict[str, Summary], names: Sequence[str]) -> int:
    return min(_seeds(arms, arm) for arm in names)


def _short_of(arms: dict[str, Summary], names: Sequence[str], needed: int) -> str:
    """Return the arms with fewer than `needed` seeds, as "dense 1, random_mask 0"; empty when none is short."""
    return ", ".join(f"{arm} {_seeds(arms, arm)}" for arm in names if _seeds(arms, arm) < needed)


def _interval(summary: Summary) -> str:
    return f"[{summary.low:.4f}, {summary.high:.4f}]"


def _overall(levels: list[LevelVerdict]) -> tuple[Label, float | None]:
    """Return the best label that one level has on every target, and the sparsity of the sparsest such level."""
    targets = {level.target for level in levels}
    labels: dict[int, list[Label]] = defaultdict(list)
    for level in levels:
        labels[level.level].append(level.label)
    worst: dict[int, Label] = {}
    for number, of_level in labels.items():
        worst[number] = max(of_level, key=LABELS.index) if len(of_level) == len(targets) else "not measured"
    best: Label = min(worst.values(), key=LABELS.index, default="not measured")
    if best == "not measured":
        return best, None
    return best, max(level.sparsity for level in levels if worst[level.level] == best)
