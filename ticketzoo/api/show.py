"""A table and a figure of what was measured, for a notebook or a paper."""

from collections.abc import Iterable, Mapping
from typing import Any

from ticketzoo.errors import TicketError
from ticketzoo.evaluation.figure import Plot
from ticketzoo.evaluation.plots import plot_metric, plot_transfer
from ticketzoo.evaluation.rows import Row, check_rows
from ticketzoo.evaluation.tables import Table, arms_table, transfer_table
from ticketzoo.ticket import Ticket
from ticketzoo.util.arguments import checked
from ticketzoo.util.text import for_terminal


@checked
def table(
    measured: Ticket | Iterable[Mapping[str, Any]],
    *,
    target: str | None = None,
    metric: str | None = None,
    at: str = "final",
) -> Table:
    """Return the table of what was measured; a notebook shows it, `.markdown()` and `.html()` are texts.

    Of one ticket it has every arm at every level, and the verdict; of several, ticket minus dense.

    Args:
        measured: a ticket, or rows of results.jsonl.
        target: the data that it is about, such as `mnist`; by default that on which the ticket was found. Of several
            tickets all targets have a column.
        metric: such as `test_accuracy`; by default the target's own.
        at: `final`, after the last step, or `best`, at the step of minimum validation loss.

    Raises:
        TicketError: nothing was measured, not on that target, or the rows are damaged.
    """
    rows = _rows(measured)
    if target is None and len({row["ticket"] for row in rows}) > 1:
        return transfer_table(rows, metric=metric, at=at)
    verdict = measured.config.verdict if isinstance(measured, Ticket) and metric is None and at == "final" else None
    return arms_table(rows, target=_target(rows, target), metric=metric, at=at, verdict=verdict)


@checked
def plot(
    measured: Ticket | Iterable[Mapping[str, Any]],
    *,
    target: str | None = None,
    metric: str | None = None,
    at: str = "final",
) -> Plot:
    """Return the figure of what was measured: of one ticket every arm against sparsity, of several a heat map.

    It is a `matplotlib.figure.Figure`, which a notebook shows; `.savefig(file)` writes it, in any format.

    Args:
        measured: as for `table`.
        target: as for `table`.
        metric: as for `table`.
        at: as for `table`.

    Raises:
        TicketError: as `table` raises it.
    """
    rows = _rows(measured)
    if target is None and len({row["ticket"] for row in rows}) > 1:
        return plot_transfer(rows, metric=metric, at=at)
    return plot_metric(rows, target=_target(rows, target), metric=metric, at=at)


def _rows(measured: Ticket | Iterable[Mapping[str, Any]]) -> list[Row]:
    given = measured.results if isinstance(measured, Ticket) else measured
    rows = [dict(row) for row in check_rows([dict(row) for row in given])]
    if not rows:
        raise TicketError("nothing was measured: there are no rows of results.jsonl")
    return rows


def _target(rows: list[Row], target: str | None) -> str:
    targets = list(dict.fromkeys(row["target"] for row in rows))
    if target is not None and target not in targets:
        listed = ", ".join(map(for_terminal, targets))
        raise TicketError(f"target: nothing was measured on {for_terminal(target)!r}; there is {listed}")
    return targets[0] if target is None else target
