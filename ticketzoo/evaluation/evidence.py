"""From measured rows to what a model card prints."""

from collections.abc import Sequence
from typing import Any

from ticketzoo.evaluation.arms import ARMS, DENSE, TICKET, arm_label, in_order
from ticketzoo.evaluation.rows import check_rows
from ticketzoo.evaluation.statistics import Row, group_rows, is_finite
from ticketzoo.evaluation.tables import arms_table, transfer_table
from ticketzoo.evaluation.verdict import Verdict, judge, sentence
from ticketzoo.ticket.card import Evidence, ExpectedArm, render_card
from ticketzoo.ticket.card_metadata import Measurement
from ticketzoo.ticket.config import TicketConfig


def ticket_card(config: TicketConfig, rows: Sequence[Row], *, source: str | None = None, **extras: Any) -> str:
    """The model card of the ticket with this ticket.json and these rows.

    `source` is the target, among the rows', that the ticket was found on: by default the one its verdict is about, or
    the only one. `extras` are those of `render_card`. Raises as `evidence` does.
    """
    rows, verdict = check_rows(rows), config.verdict
    targets = {level.target for level in verdict.levels} if verdict else set()
    targets = targets or {row["target"] for row in rows}
    if source is None and len(targets) == 1:
        (source,) = targets
    return render_card(config, evidence(rows, source=source, verdict=verdict), **extras)


def evidence(rows: Sequence[Row], *, source: str | None, verdict: Verdict | None = None) -> Evidence:
    """What `rows` say about one ticket: the table of arms on each target, the verdict in words, every mean.

    Without `verdict` it is what `judge` says of the rows on `source`. Raises what `judge` raises.
    """
    targets = sorted({row["target"] for row in rows}, key=lambda target: (target != source, target))
    tables = [arms_table(rows, target=target) for target in targets]
    if len(targets) > 1:
        tables.append(transfer_table(rows))
    verdict = verdict or judge([row for row in rows if row["target"] == source])
    return Evidence(
        source, sentence(verdict), tuple(table.markdown() for table in tables), _measured(rows), _expected(rows)
    )


def _expected(rows: Sequence[Row]) -> tuple[ExpectedArm, ...]:
    """Return the arms that a reader may ask about: the expected ones of the table, and those measured."""
    names = [entry.name for entry in ARMS.values() if entry.expected]
    return tuple(
        ExpectedArm(name, "the ticket itself" if name == TICKET else arm_label(name), every_level=name != DENSE)
        for name in in_order([*names, *(row["arm"] for row in rows)])
    )


def _measured(rows: Sequence[Row]) -> tuple[Measurement, ...]:
    """The means of every test metric after the last step; none of a metric that diverged to inf or NaN in any row."""
    metrics = {row["metric"] for row in rows if row["metric"].startswith("test_")}
    diverged = {row["metric"] for row in rows if not is_finite(row["value"])}
    measured = []
    for metric in sorted(metrics - diverged):
        for group in group_rows(rows, metric=metric):
            key, summary = group.key, group.summary
            labels = (key.arm, key.target, key.level, group.sparsity, metric, "final")
            numbers = (summary.n, summary.mean, summary.low, summary.high)
            measured.append(Measurement(*labels, *numbers, group.higher_is_better))
    return tuple(measured)
