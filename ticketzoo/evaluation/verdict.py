"""The verdict on measured rows of a ticket, by one stated rule: see `rule`, `decide` and docs/verdicts.md."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from pydantic import ValidationError

from ticketzoo.errors import TicketError
from ticketzoo.evaluation.decide import ALPHA
from ticketzoo.evaluation.level_labels import judge_target
from ticketzoo.evaluation.metrics import DEFAULT
from ticketzoo.evaluation.rows import check_rows
from ticketzoo.evaluation.statistics import Group, Row, falling_metrics, group_rows
from ticketzoo.evaluation.target import Margin, Target, Use
from ticketzoo.ticket.verdict import LABELS, Label, LevelVerdict
from ticketzoo.ticket.verdict import Verdict as Verdict
from ticketzoo.ticket.verdict import sentence as sentence

CLAIMS: dict[Use, str] = {
    "train": (
        "winning: matching, with at least 3 seeds of each arm, and above every control that was measured, random_mask "
        "and random_reinit (of a pretrained model one-shot magnitude) at least, on a target other than the source "
        "permuted_values, large_init and rescaled_reinit too; Welch's test of each, from the sparsest matching level "
        "on to the first that fails"
    ),
    "as-is": (
        "works untrained: above random_reinit (fresh weights) and random_mask (random positions), each trained as "
        "little, Welch's test of each, from the sparsest level on to the first that fails; matches untrained: matching "
        "the trained dense network"
    ),
}
"""The claims beside matching, in words."""


def rule(less_is_better: Sequence[str] = (), use: Use = "train") -> str:
    """Return the rule in words, as cards print it, for metrics among which some are better when they are lower."""
    falling = f"; less is better of {' and '.join(less_is_better)}: read above as below, below as above"
    return (
        "matching: ticket minus dense is above minus the margin, at this level and every denser one; below: it is "
        "below minus the margin, at this level and every sparser one; undecided: neither; "
        f"{CLAIMS[use]}. Each test is one-sided at 5%, shared by Holm's method where there are several targets; "
        "intervals are those of the tests. The spread over seeds is pooled over dense and the ticket's levels, and "
        "over the controls, where Levene's test allows it, else Welch's test is made; not measured: fewer than 2 "
        f"seeds, or dense did not learn{falling * bool(less_is_better)}"
    )


def judge(
    rows: Iterable[Row],
    *,
    metric: str | None = None,
    at: str = "final",
    margin: Margin = None,
    transfer: Collection[str] = (),
    use: Use = "train",
) -> Verdict:
    """Return the verdict on the one ticket that `rows` are about, on every level above 0 and every target they measure.

    Args:
        rows: of `results.jsonl`.
        metric: the one to judge by; default each target's own.
        at: "final", or "best" for the step of minimum validation loss.
        margin: stated by the recipe, in the metric's unit, of every target or by target; default the metric's.
        transfer: targets other than the ticket's source, on which winning needs the controls of its scale, too.
        use: "as-is" for a ticket whose rows were measured without training.

    Raises:
        ValueError: the rows are about several tickets.
        TicketError: as `group_rows` raises it.
    """
    groups = group_rows(rows, metric=metric, at=at)
    if len({group.key.ticket for group in groups}) > 1:
        raise ValueError("these rows are about several tickets; judge each alone (judge_all)")
    metrics = sorted({group.metric for group in groups}) or [metric or DEFAULT]
    by_target: dict[str, list[Group]] = defaultdict(list)
    for group in groups:
        by_target[group.key.target].append(group)
    targets = [Target(name, of, margin, name in transfer, use) for name, of in sorted(by_target.items())]
    try:
        judged = [(target, *judge_target(target, alpha)) for target, alpha in _shared_alpha(targets)]
        levels = [level for _, _, of_target in judged for level in of_target]
        label, sparsity = _overall(levels)
        return Verdict(
            rule=rule(sorted(falling_metrics(groups)), use),
            metric=", ".join(metrics),
            at=at,
            label=label,
            sparsity=sparsity,
            levels=levels,
            targets=[about for target, about, _ in judged if target.levels],
            stated_margin=dict(margin) if isinstance(margin, Mapping) else margin,
            transfer=sorted({*transfer} & by_target.keys()),
        )
    except ValidationError as error:
        raise TicketError(f"results: no verdict can be given of them: {error.errors()[0]['msg']}") from None


def judge_all(
    rows: Sequence[Row],
    *,
    metric: str | None = None,
    at: str = "final",
    margin: Margin = None,
    transfer: Mapping[str, Collection[str]] | None = None,
) -> dict[str, Verdict]:
    """Return the verdict on each ticket in `rows`, by name.

    Takes and raises what `judge` does; `transfer` are targets by ticket, by default none: rows do not say the source.
    """
    by_ticket: dict[str, list[Row]] = defaultdict(list)
    for row in check_rows(rows):
        by_ticket[row["ticket"]].append(row)
    carried = transfer or {}
    return {
        name: judge(by_ticket[name], metric=metric, at=at, margin=margin, transfer=carried.get(name, ()))
        for name in sorted(by_ticket)
    }


def _shared_alpha(targets: Sequence[Target]) -> list[tuple[Target, float]]:
    """Return the level of the tests on each target, by Holm's method.

    Each has an equal share; a target on which every level matches passes its share on to the others.
    """
    judged = [target for target in targets if target.measured_levels and not target.unlearned]
    shares: dict[str, float] = {}
    while open_ones := [target for target in judged if target.name not in shares]:
        alpha = ALPHA / len(open_ones)
        complete = [target for target in open_ones if target.matches_everywhere(alpha)]
        shares |= {target.name: alpha for target in complete or open_ones}
    return [(target, shares.get(target.name, ALPHA)) for target in targets]


def _overall(levels: list[LevelVerdict]) -> tuple[Label, float | None]:
    """Return the best label that one level has on every target, and the sparsity of the sparsest such level.

    A level that matches on one target and wins on another is matching.
    """
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
