"""Means of a ticket's rows, each with the lines of results.jsonl that it is the mean of."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from ticketzoo.evaluation.arms import CHANCE, DENSE, TICKET, arm_entry, arm_label, one_of
from ticketzoo.evaluation.metrics import show
from ticketzoo.evaluation.statistics import Group, Row, Summary, deciding_metrics, group_rows, paired_difference

MINUS = "\N{MINUS SIGN}"


def mean_text(metric: str, summary: Summary, *, sign: str = "") -> str:
    """Return a mean with its 95% interval: "97.77 ± 0.03", of a single seed "97.77"."""
    text = _shown(metric, summary.mean, sign=sign)
    if summary.half_width:
        text += f" ± {_shown(metric, summary.half_width)}"
    elif summary.ranged and summary.low is not None and summary.high is not None:
        text += f" ({_shown(metric, summary.low)} to {_shown(metric, summary.high)})"
    return text.replace("-", MINUS)


def interval_text(metric: str, summary: Summary) -> str:
    """Return a difference with its 95% interval: "+0.43 [+0.31, +0.56]"."""
    text = _shown(metric, summary.mean, sign="+")
    if summary.std is not None:
        low, high = summary.t_interval
        text += f" [{_shown(metric, low, sign='+')}, {_shown(metric, high, sign='+')}]"
    return text.replace("-", MINUS)


def _shown(metric: str, value: float, *, sign: str = "") -> str:
    """Return a value as tables show it, a zero without a sign."""
    text = show(metric, value, sign=sign)
    return text.lstrip("+-") if not text.strip("+-0.") else text


@dataclass(frozen=True)
class Measured:
    """One arm at one level on one target, by the metric that decides there.

    Attributes:
        number: its place among the ticket's, from 0.
        group: its values by seed.
        lines: numbers of its lines in results.jsonl, from 1, each with the row.
        dense: its target's dense arm, if that was measured and this is another one.
    """

    number: int
    group: Group
    lines: Sequence[tuple[int, Row]]
    dense: Group | None = None

    @property
    def anchor(self) -> str:
        """Its place on the page of rows."""
        return f"g{self.number}"

    @property
    def target(self) -> str:
        """The data that it was measured on."""
        return self.group.key.target

    @property
    def level(self) -> int:
        """Its level; 0 of an arm that has none."""
        return self.group.key.level

    @property
    def arm(self) -> str:
        """The arm's name in rows."""
        return self.group.key.arm

    @property
    def label(self) -> str:
        """The arm in words."""
        return "best guess" if self.arm == CHANCE else arm_label(self.arm)

    @property
    def is_control(self) -> bool:
        """True where a winning ticket must lie clear of it."""
        return arm_entry(self.arm).verdict_control

    @cached_property
    def summary(self) -> Summary:
        """Mean and interval over seeds."""
        return self.group.summary

    @property
    def text(self) -> str:
        """Its mean and interval."""
        return mean_text(self.group.metric, self.summary)

    @cached_property
    def difference(self) -> Summary | None:
        """Itself minus dense, paired by seed; None where that was not measured."""
        return paired_difference(self.group, self.dense) if self.dense else None

    @property
    def difference_text(self) -> str:
        """The difference to dense with its interval, or nothing."""
        return interval_text(self.group.metric, self.difference) if self.difference else ""


def measure(rows: Sequence[Row], at: str) -> list[Measured]:
    """Return what was measured, in the order of targets, levels and arms.

    Args:
        rows: of results.jsonl, every one of its lines.
        at: "final" or "best".

    Raises:
        TicketError: as `group_rows` raises it.
    """
    groups = group_rows(rows, at=at)
    dense = {group.key.target: group for group in groups if group.key.arm == DENSE}
    deciding = deciding_metrics(rows)
    lines: dict[tuple[str, int, str], list[tuple[int, Row]]] = {}
    for number, row in enumerate(rows, 1):
        if row["metric"] == deciding[row["target"]] and row["at"] == at:
            arm = one_of(row["arm"])
            level = 0 if arm in (DENSE, CHANCE) or arm_entry(arm).once else row["level"]
            lines.setdefault((row["target"], level, arm), []).append((number, row))
    return [
        Measured(
            number,
            group,
            lines[group.key.target, group.key.level, group.key.arm],
            dense.get(group.key.target) if group.key.arm not in (DENSE, CHANCE) else None,
        )
        for number, group in enumerate(groups)
    ]


def best_control(found: Sequence[Measured]) -> Measured | None:
    """Return the control with the best mean among arms of one level and target; None where there is none."""
    controls = [one for one in found if one.is_control and one.arm != TICKET]
    return max(
        controls,
        key=lambda one: one.summary.mean if one.group.higher_is_better else -one.summary.mean,
        default=None,
    )
