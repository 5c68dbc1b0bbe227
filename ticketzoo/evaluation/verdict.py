"""The verdict on measured rows of a ticket, by one stated rule: see `rule`, `decide` and docs/verdicts.md."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial

from pydantic import ValidationError

from ticketzoo.errors import TicketError
from ticketzoo.evaluation.arms import TICKET
from ticketzoo.evaluation.families import judge_families, overall
from ticketzoo.evaluation.looks import looks_words
from ticketzoo.evaluation.metrics import DEFAULT, beside_of, words
from ticketzoo.evaluation.rows import check_rows
from ticketzoo.evaluation.statistics import Group, Row, falling_metrics, group_rows, groups_beside
from ticketzoo.evaluation.target import Margin, Target, Use
from ticketzoo.ticket.verdict import Until
from ticketzoo.ticket.verdict import Verdict as Verdict
from ticketzoo.ticket.verdict import sentence as sentence

OVER_CONTROLS: dict[Use, str] = {
    "train": (
        "winning: matching, with at least 3 seeds of each arm, and above every control that was measured, random_mask "
        "and random_reinit (of a ticket that names its pretrained model one-shot magnitude) at least, on a target that "
        "is not known to be the source permuted_values, large_init and rescaled_reinit too; Welch's test of each, from "
        "the sparsest matching level on to the first that fails"
    ),
    "filters": (
        "filters matter: matching, with at least 3 seeds of each arm, and above both controls, random_filters (other "
        "filters, as many of each layer) and small_dense (the smaller network from scratch); Welch's test of each, "
        "from the sparsest matching level on to the first that fails"
    ),
    "as-is": (
        "works untrained: above random_reinit (fresh weights) and random_mask (random positions), each trained as "
        "little, Welch's test of each, from the sparsest level on to the first that fails, and above the best guess "
        "without a look at the input; matches untrained: matching the trained dense network"
    ),
}
"""The claims beside matching, which rest on controls, in words."""


def rule(
    less_is_better: Sequence[str] = (),
    use: Use = "train",
    until: Until | None = None,
    beside: Sequence[str] = (),
) -> str:
    """Return the rule in words, as cards print it.

    Args:
        less_is_better: metrics, as rows name them, that are better when they are lower.
        use: of the ticket.
        until: how seeds were added.
        beside: metrics by which a ticket has to match, too.
    """
    too = f", and so it is by {' and '.join(map(words, beside))}, tested alike" if beside else ""
    either = ", or so by the other metric, each at half of 5%" if beside else ""
    added = f"; {looks_words(until)}" if until else ""
    falling = f"; less is better of {' and '.join(less_is_better)}: read above as below, below as above"
    return (
        f"matching: ticket minus dense is above minus the margin{too}, at this level and every denser one; below: it "
        f"is below minus the margin{either}, at this level and every sparser one; undecided: neither; "
        f"{OVER_CONTROLS[use]}. Each test is one-sided at 5%: on the source, whose claims were stated first, and at "
        "another 5% on all targets that are other data together, which share it by Holm's method against dense's "
        "margin, equally for other claims; intervals are those of the tests. The spread over seeds is "
        "pooled over dense and the ticket's levels, of which none counts as quieter than it was measured, and over "
        "controls of as many draws, where Levene's test allows it, else Welch's test is made; not measured: fewer than "
        "2 seeds, dense did not learn, or one test example is worth more than the margin, where the rows say how many "
        f"there are{added}{falling * bool(less_is_better)}"
    )


def _claims(targets: Sequence[Target], use: Use) -> Use:
    return "filters" if use == "train" and any(target.structured for target in targets) else use


def _use_of(rows: Sequence[Row], use: Use) -> Use:
    return "as-is" if any(row["arm"] == TICKET and not row.get("trained", True) for row in rows) else use


def judge(
    rows: Iterable[Row],
    *,
    metric: str | None = None,
    at: str = "final",
    margin: Margin = None,
    transfer: Collection[str] | None = None,
    pretrained: bool = False,
    use: Use = "train",
    until: Until | None = None,
) -> Verdict:
    """Return the verdict on the one ticket that `rows` are about, on every level above 0 and every target they measure.

    Args:
        rows: of `results.jsonl`.
        metric: the one to judge by; default each target's own.
        at: "final", or "best" for the step of minimum validation loss.
        margin: stated by the recipe, in the metric's unit, of every target or by target; default the metric's.
        transfer: targets other than the ticket's source, on which winning needs the controls of its scale, too. By
            default all are: rows alone do not say the source. `terms_of` tells them of a ticket.
        pretrained: True for a ticket that rewinds to a pretrained model, which it names: one-shot magnitude takes the
            place of fresh weights.
        use: "as-is" for rows measured without training, "filters" of whole filters, as rows of either say themselves.
        until: how seeds were added until the levels were decided; every look of which the seeds are among the rows is
            made, and the verdict is that of the last.

    Raises:
        ValueError: the rows are about several tickets.
        TicketError: as `group_rows` raises it.
    """
    use = _use_of(rows := check_rows(rows), use)
    groups = group_rows(rows, metric=metric, at=at)
    if len({group.key.ticket for group in groups}) > 1:
        raise ValueError("these rows are about several tickets; judge each alone (judge_all)")
    beside = groups_beside(rows, groups, at=at)
    also = sorted({metric for group in groups if (metric := beside_of(group.metric))})
    known = {group.key.target for group in groups}
    carried = known if transfer is None else known & set(transfer)

    decides = {group.key.target: group.metric for group in groups}
    targets_of = partial(_targets, decides=decides, carried=carried, use=use, pretrained=pretrained)
    try:
        judged, looks = judge_families([*groups, *beside], targets_of, margin, until, carried)
        levels = [level for _, of_target in judged for level in of_target]
        label, sparsity = overall(levels, carried)
        return Verdict(
            rule=rule(sorted(falling_metrics(groups)), _claims(targets_of(groups, margin), use), until, also),
            metric=", ".join(sorted({group.metric for group in groups}) or [metric or DEFAULT]),
            at=at,
            label=label,
            sparsity=sparsity,
            levels=levels,
            targets=[about for about, of_target in judged if of_target],
            stated_margin=dict(margin) if isinstance(margin, Mapping) else margin,
            transfer=sorted(carried),
            until=until,
            looks=looks,
        )
    except ValidationError as error:
        raise TicketError(f"results: no verdict can be given of them: {error.errors()[0]['msg']}") from None


def _targets(
    seen: Sequence[Group],
    margin: Margin,
    *,
    decides: Mapping[str, str],
    carried: Collection[str],
    use: Use,
    pretrained: bool,
) -> list[Target]:
    """Return each target among the groups `seen`, with those of the metric that `decides` on it and the others."""
    found = []
    for name, metric in sorted(decides.items()):
        of = [group for group in seen if group.key.target == name]
        first, too = ([one for one in of if (one.metric == metric) is it] for it in (True, False))
        if first:
            found.append(Target(name, first, margin, name in carried, use, pretrained, too))
    return found


def judge_all(
    rows: Sequence[Row],
    *,
    metric: str | None = None,
    at: str = "final",
    margin: Margin = None,
    transfer: Mapping[str, Collection[str]] | None = None,
    pretrained: Collection[str] = (),
    filters: Collection[str] = (),
    until: Until | None = None,
) -> dict[str, Verdict]:
    """Return the verdict on each ticket in `rows`, by name.

    Takes and raises what `judge` does; `transfer` are targets by ticket, by default all; `pretrained` and `filters`
    are tickets.
    """
    by_ticket: dict[str, list[Row]] = defaultdict(list)
    for row in check_rows(rows):
        by_ticket[row["ticket"]].append(row)
    carried = transfer or {}
    return {
        name: judge(
            by_ticket[name],
            metric=metric,
            at=at,
            margin=margin,
            transfer=carried.get(name),
            pretrained=name in pretrained,
            use="filters" if name in filters else "train",
            until=until,
        )
        for name in sorted(by_ticket)
    }
