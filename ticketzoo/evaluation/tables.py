"""Tables of measured rows for people, in a terminal, Markdown or HTML. Fractions are shown in percent, here only."""

import html
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ticketzoo.evaluation.arms import CHANCE, TICKET, arm_label, in_order, one_of
from ticketzoo.evaluation.metrics import DEFAULT, beside_of, describe, metric_of, show, titles
from ticketzoo.evaluation.rows import check_rows
from ticketzoo.evaluation.statistics import (
    Key,
    Row,
    Summary,
    deciding_metrics,
    falling_metrics,
    group_rows,
    ticket_minus_dense,
)
from ticketzoo.evaluation.verdict import Verdict, judge
from ticketzoo.util.text import for_markdown, for_terminal, show_sparsity

if TYPE_CHECKING:
    from rich.table import Table as RichTable

MOMENTS = {"final": "at the end of training", "best": "at the step of minimum validation loss"}
"""What a row's `at` means, in words."""


def moment(rows: Iterable[Row], at: str) -> str:
    """Return when the networks of `rows` were measured, in words; of those that were never trained that they were not.

    Args:
        rows: of results.jsonl.
        at: "final" or "best".
    """
    arms: dict[bool, set[str]] = {True: set(), False: set()}
    for row in rows:
        if row["at"] == at and row["arm"] != CHANCE:
            arms[row.get("trained", True)].add(one_of(row["arm"]))
    if not arms[False]:
        return MOMENTS[at]
    trained = ", ".join(map(arm_label, in_order(arms[True] - arms[False])))
    return "of networks as they are, untrained" + (f" ({trained} {MOMENTS[at]})" if trained else "")


POOLED = " Each interval is of these differences alone; a verdict's pools the spread over levels, so it is another one."
"""The reason why a table of paired differences and a verdict on the same rows print different intervals."""


@dataclass(frozen=True)
class Table:
    """Cells of plain text under columns, each aligned "l" or "r", and a caption that says what the numbers are."""

    caption: str
    columns: tuple[str, ...]
    align: str
    rows: tuple[tuple[str, ...], ...]

    def rich(self) -> "RichTable":
        """Return the table for a terminal, its caption below it."""
        from rich.table import Table as RichTable
        from rich.text import Text

        table = RichTable(caption=Text(for_terminal(self.caption)) if self.caption else None, caption_justify="left")
        for column, side in zip(self.columns, self.align, strict=True):
            table.add_column(Text(for_terminal(column)), justify="left" if side == "l" else "right", overflow="fold")
        for row in self.rows:
            table.add_row(*(Text(for_terminal(cell)) for cell in row))
        return table

    def folded(self, column: str, most: int) -> tuple["Table", int]:
        """Return the lines of the first `most` values in a column, and how many values are left out."""
        if column not in self.columns:
            return self, 0
        place = self.columns.index(column)
        values = list(dict.fromkeys(row[place] for row in self.rows))
        rows = tuple(row for row in self.rows if row[place] in values[:most])
        return replace(self, rows=rows), max(0, len(values) - most)

    def markdown(self) -> str:
        """Return the table in GitHub's Markdown, its caption above it."""
        rule = [":--" if side == "l" else "--:" for side in self.align]
        lines = [[for_markdown(cell) for cell in row] for row in (self.columns, *self.rows)]
        table = "\n".join(f"| {' | '.join(line)} |" for line in (lines[0], rule, *lines[1:]))
        return f"{for_markdown(self.caption)}\n\n{table}"

    def html(self) -> str:
        """Return the table in HTML, its caption above it."""
        sides = ["left" if side == "l" else "right" for side in self.align]

        def line(cells: tuple[str, ...], tag: str) -> str:
            styled = zip(cells, sides, strict=True)
            return "".join(
                f'<{tag} style="text-align: {side}">{html.escape(for_terminal(cell))}</{tag}>' for cell, side in styled
            )

        body = "".join(f"<tr>{line(row, 'td')}</tr>" for row in self.rows)
        caption = html.escape(for_terminal(self.caption))
        return f"<p>{caption}</p><table><thead><tr>{line(self.columns, 'th')}</tr></thead><tbody>{body}</tbody></table>"

    def _repr_html_(self) -> str:
        return self.html()

    def _repr_markdown_(self) -> str:
        return self.markdown()


def arms_table(
    rows: Iterable[Row],
    *,
    target: str,
    metric: str | None = None,
    at: str = "final",
    verdict: Verdict | None = None,
) -> Table:
    """Return the table of every arm at every measured level of one ticket on `target`, with the verdict.

    A cell is the mean and the half-width of its 95% interval, or where that would pass a bound of the metric the
    smallest and the largest value. Level 0 is the dense network. The best guess without a look at the input, which is
    no arm, stands in the caption.

    Args:
        rows: of results.jsonl.
        target: name of the target.
        metric: such as `test_accuracy`; default the target's own.
        at: "final", or "best" for the step of minimum validation loss.
        verdict: of which the labels are shown; default what `judge` says of these rows.

    Raises:
        TicketError, ValueError: as `judge` raises them.
    """
    wanted = [row for row in check_rows(rows) if row["target"] == target]
    measured = group_rows(wanted, metric=metric, at=at)
    groups = [group for group in measured if group.key.arm != CHANCE]
    metric = metric or deciding_metrics(wanted).get(target, DEFAULT)
    labels = (verdict or judge(wanted, metric=metric, at=at)).labels(target)
    arms = in_order(group.key.arm for group in groups)
    most = max((len(group.by_seed) for group in groups), default=0)
    cells = {(group.key.level, group.key.arm): _cell(group.summary, metric, most) for group in groups}
    if any(row["arm"] == TICKET and not row.get("trained", True) for row in wanted):
        cells.pop((0, TICKET), None)  # dense, trained: no ticket that is used as it is
    sparsities = {group.key.level: group.sparsity for group in groups}
    lines = [
        (str(level), show_sparsity(sparsity), *(cells.get((level, arm), "") for arm in arms), labels.get(level, ""))
        for level, sparsity in sorted(sparsities.items())
    ]
    caption = _caption(
        f"{describe([metric], falling=falling_metrics(groups))} {moment(wanted, at)} on {target}", most, lines
    )
    for guess in (group for group in measured if group.key.arm == CHANCE):
        what = "A guess without a look at the input" + ", or an untrained network" * bool(metric_of(metric).floor)
        caption += f" {what}: {show(metric, guess.summary.mean)} at best."
    columns = ("level", "sparsity", *map(arm_label, arms), "verdict")
    align = "r" * (2 + len(arms)) + "l"
    if not labels:
        columns, align, lines = columns[:-1], align[:-1], [line[:-1] for line in lines]
    return Table(caption, columns, align, tuple(lines))


def arms_tables(rows: Iterable[Row], *, target: str, verdict: Verdict | None = None) -> list[Table]:
    """Return the same as `arms_table`, and of a metric beside which another has to match that one's table, too."""
    wanted = [row for row in check_rows(rows) if row["target"] == target]
    verdict = verdict or judge(wanted)
    first = deciding_metrics(wanted).get(target, DEFAULT)
    metrics = [None, *([beside] if (beside := beside_of(first)) else [])]
    return [arms_table(wanted, target=target, metric=metric, verdict=verdict) for metric in metrics]


def transfer_table(rows: Iterable[Row], *, metric: str | None = None, at: str = "final") -> Table:
    """Return the table of ticket minus dense, paired by seed: a line for each ticket and level, a column a target.

    The cell of a ticket without dense on that target, or without a seed in common, is empty.

    Args:
        rows: of results.jsonl.
        metric: such as `test_accuracy`; default each target's own.
        at: "final", or "best" for the step of minimum validation loss.

    Raises:
        TicketError: as `group_rows` raises it.
    """
    rows = list(rows)
    groups = group_rows(rows, metric=metric, at=at)
    differences = ticket_minus_dense(groups)
    most = max((difference.n for difference in differences.values()), default=0)
    metrics = {group.key.target: group.metric for group in groups}
    cells = {key: _cell(difference, metrics[key.target], most, sign="+") for key, difference in differences.items()}
    targets, falling = sorted(metrics), falling_metrics(groups)
    headings = titles(metrics, falling=falling)
    sparsities = {(g.key.ticket, g.key.level): g.sparsity for g in groups if g.key.arm == TICKET and g.key.level > 0}
    lines = [
        (
            ticket,
            str(level),
            show_sparsity(sparsity),
            *(cells.get(Key(ticket, to, level, TICKET), "") for to in targets),
        )
        for (ticket, level), sparsity in sorted(sparsities.items())
    ]
    what = f"{describe(metrics.values(), points=True, falling=falling)} {moment(rows, at)}, ticket minus dense by seed"
    columns = ("ticket", "level", "sparsity", *(headings[target] for target in targets))
    caption = _caption(what, most, lines) + (POOLED if most > 1 else "")
    return Table(caption, columns, "lrr" + "r" * len(targets), tuple(lines))


def _cell(summary: Summary, metric: str, most: int, sign: str = "") -> str:
    """Return a mean with its half-width, and its number of seeds where that is not `most`."""
    text = show(metric, summary.mean, sign=sign)
    if summary.half_width is not None:
        text += f" ± {show(metric, summary.half_width)}"
    if summary.ranged and summary.low is not None and summary.high is not None:
        text += f" ({show(metric, summary.low)} to {show(metric, summary.high)})"
    return text if summary.n == most else f"{text} (n={summary.n})"


def _caption(what: str, most: int, lines: list[tuple[str, ...]]) -> str:
    if most < 2:
        return f"{what}: one seed, so no interval." if most else f"{what}: nothing measured."
    cells = [cell for line in lines for cell in line]
    fewer = " n: seeds, where fewer." if any("(n=" in cell for cell in cells) else ""
    bound = " In brackets: smallest and largest, where the interval would pass a bound."
    ranged = bound if any(" to " in cell for cell in cells) else ""
    return f"{what}: mean over {most} seeds ± half-width of its 95% interval.{ranged}{fewer}"
