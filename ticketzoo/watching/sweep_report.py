"""A sweep as it is now: one table and one plot of all its points."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ticketzoo.errors import RunError
from ticketzoo.evaluation.arms import DENSE, TICKET
from ticketzoo.evaluation.drawing import figure_of, short_label, write_png
from ticketzoo.evaluation.metrics import describe, scale, show
from ticketzoo.evaluation.statistics import Group, falling_metrics, group_rows, ticket_minus_dense
from ticketzoo.evaluation.tables import Table
from ticketzoo.util.files import write_atomically, writing_into
from ticketzoo.util.text import for_markdown, shortened, show_sparsity
from ticketzoo.watching.journal import FOLDER
from ticketzoo.watching.report import RunReport, report_on
from ticketzoo.watching.sweep import Point, read_sweep

PLOT = "sweep.png"
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#444444", "#999933")
_MOST_TICKS = 8
_LINES = ("-", "--", ":", "-.")


@dataclass(frozen=True)
class SweepReport:
    """A sweep as it is now.

    Attributes:
        folder: that holds a folder for each point.
        command: that each point is a run of.
        name: of the recipe.
        points: with the report on each; None of one that has not begun.
        table: of all.
    """

    folder: Path
    command: str
    name: str
    points: list[tuple[Point, RunReport | None]]
    table: Table

    @property
    def title(self) -> str:
        """The sweep in a line."""
        done = sum(report is not None and report.run.state == "finished" for _, report in self.points)
        return f"sweep of {self.command} {self.name}: {done} of {len(self.points)} points finished"

    def as_json(self) -> dict[str, Any]:
        """Return it as a JSON document."""
        return {
            "folder": str(self.folder),
            "command": self.command,
            "name": self.name,
            "points": [
                {"name": point.name, "values": dict(point.values), "run": report and report.as_json()}
                for point, report in self.points
            ],
            "plot": str(self.folder / PLOT) if (self.folder / PLOT).is_file() else None,
        }


def report_on_sweep(folder: Path) -> SweepReport:
    """Return the report on the sweep in `folder`. Raises RunError where its points cannot be read."""
    command, name, points = read_sweep(folder)
    found: list[tuple[Point, RunReport | None]] = []
    for point in points:
        there = folder / point.name
        found.append((point, report_on(there) if (there / FOLDER / "run.json").is_file() else None))
    return SweepReport(folder, command, name, found, _table(found))


def write_sweep_report(folder: Path) -> SweepReport:
    """Write table and plot of the sweep in `folder` into it, as far as its points are, and return them.

    Raises:
        RunError: it cannot be read or written.
    """
    report = report_on_sweep(folder)
    with writing_into(folder):
        plot = _draw(report, folder / PLOT)
        sections = [f"# {for_markdown(report.title)}", report.table.markdown(), *[f"![sweep]({PLOT})"] * plot]
        write_atomically(folder / "report.md", ("\n\n".join(sections) + "\n").encode())
    return report


def _groups(report: RunReport | None) -> list[Group]:
    """Return what is measured of a run, by arm and level."""
    return group_rows(report.rows) if report is not None and report.rows else []


def _table(points: Sequence[tuple[Point, RunReport | None]]) -> Table:
    """Return a line for each point, and of each its tickets and targets, at the sparsest level that is measured."""
    keys = list(points[0][0].values)
    lines: list[tuple[str, ...]] = []
    whats = []
    for point, report in points:
        values = tuple(str(value) for value in point.values.values())
        groups = _groups(report)
        tickets = sorted({(one.key.ticket, one.key.target) for one in groups if one.key.arm == TICKET})
        for ticket, target in tickets:
            of_both = [one for one in groups if (one.key.ticket, one.key.target) == (ticket, target)]
            sparsest = max((one for one in of_both if one.key.arm == TICKET), key=lambda one: one.sparsity)
            dense = next((one for one in of_both if one.key.arm == DENSE), None)
            verdict = report.verdicts.get(ticket) if report else None
            labels = verdict.levels if verdict else []
            matching = [one.sparsity for one in labels if one.target == target and one.label in ("matching", "winning")]
            numbers = (
                "" if dense is None else show(dense.metric, dense.summary.mean),
                show_sparsity(sparsest.sparsity),
                show(sparsest.metric, sparsest.summary.mean),
                show_sparsity(max(matching)) if matching else "",
            )
            whats.append(sparsest.metric)
            about = (ticket, target) if report and report.run.command == "transfer" else ()
            lines.append((*values, *about, *numbers, shortened(report.run.words) if report else ""))
        if not tickets:
            lines.append((*values, "", "", "", "", shortened(report.run.words) if report else "not begun"))
    width = max(map(len, lines))
    about = ("ticket", "target") if width > len(keys) + 5 else ()
    whole = [
        line if len(line) == width else (*line[: len(keys)], *("",) * len(about), *line[len(keys) :]) for line in lines
    ]
    what = describe(whats or ["test_accuracy"])
    caption = f"{what}: means over seeds of dense, and of the ticket at the sparsest level that is measured."
    columns = (*keys, *about, "dense mean", "sparsest", "ticket mean", "matching up to", "run")
    table = Table(caption, columns, "l" * (len(keys) + len(about)) + "rrrr" + "l", tuple(whole))
    return table if any(line[-2] for line in whole) else _without_matching(table)


def _without_matching(table: Table) -> Table:
    """Return the table without the empty column on levels that match, and say so."""
    columns, align = (*table.columns[:-2], table.columns[-1]), table.align[:-2] + table.align[-1]
    rows = tuple((*row[:-2], row[-1]) for row in table.rows)
    return Table(f"{table.caption} No level is known to match dense.", columns, align, rows)


def _draw(report: SweepReport, path: Path) -> bool:
    """Draw the tickets of all points by sparsity; on several targets their difference to dense. Tells if it did."""
    curves = [(point.name, _groups(one)) for point, one in report.points]
    targets = sorted({group.key.target for _, groups in curves for group in groups if group.key.level})
    if not targets:
        return False
    everything = [group for _, groups in curves for group in groups]
    metrics = {group.key.target: group.metric for group in everything}
    apart = len(targets) > 1
    with figure_of(7.2 if not apart else 4.2 * len(targets), 4.4, columns=len(targets)) as (figure, axes):
        for target, one in zip(targets, axes if apart else [axes], strict=True):
            for number, (name, groups) in enumerate(curves):
                style = {"color": _COLOURS[number % len(_COLOURS)], "ls": _LINES[number // len(_COLOURS) % len(_LINES)]}
                _curve(one, name, [group for group in groups if group.key.target == target], style, apart)
            one.set_xscale("log")
            one.invert_xaxis()
            one.set_xlabel("fraction of weights kept")
            one.grid(axis="y", color="#dddddd", linewidth=0.8)
            one.set_title(short_label(target), loc="left", fontsize=11)
            kept = sorted({1 - g.sparsity for g in everything if g.key.target == target and g.key.level})
            shown = kept[:: -(-len(kept) // _MOST_TICKS)]
            one.set_xticks(shown, [f"{x:.3g}" for x in shown])
            one.set_xticks([], minor=True)
        first = axes[0] if apart else axes
        what = describe(metrics.values(), points=apart, falling=falling_metrics(everything))
        first.set_ylabel(f"{what}, ticket minus dense" if apart else f"{what} of the ticket")
        first.legend(frameon=False, fontsize=8)
        figure.suptitle(short_label(report.name), x=0.01, ha="left", fontsize=11)
        write_png(figure, path)
    return True


def _curve(axes: Any, name: str, groups: Sequence[Group], style: dict[str, Any], apart: bool) -> None:
    """Draw the tickets of a point on a target, one curve each."""
    differences = ticket_minus_dense(groups) if apart else {}
    tickets = [group for group in groups if group.key.arm == TICKET and group.key.level]
    for ticket in sorted({group.key.ticket for group in tickets}):
        of_it = sorted((g for g in tickets if g.key.ticket == ticket), key=lambda group: group.key.level)
        drawn = [
            (1 - g.sparsity, (differences[g.key].mean if apart else g.summary.mean) * scale(g.metric))
            for g in of_it
            if not apart or g.key in differences
        ]
        if drawn:
            axes.plot(*zip(*drawn, strict=True), marker="o", ms=4, label=short_label(name), **style)


def check_points(folder: Path) -> None:
    """Raise RunError where `folder` holds a run, and so cannot hold a sweep."""
    if (folder / FOLDER / "run.json").is_file():
        raise RunError(f"{folder}: holds a run; give the sweep another folder (--out)")
