"""The report on a run as it is now: state, what is left, tables, verdicts, plots."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ticketzoo.errors import RunError, TicketzooError
from ticketzoo.evaluation.plots import plot_early_stopping, plot_metric, plot_transfer
from ticketzoo.evaluation.rows import check_rows
from ticketzoo.evaluation.statistics import deciding_metrics
from ticketzoo.evaluation.tables import Table, arms_table, transfer_table
from ticketzoo.evaluation.verdict import Verdict, judge_all, sentence
from ticketzoo.ticket import Ticket
from ticketzoo.ticket.rows import Row
from ticketzoo.util.files import write_atomically
from ticketzoo.util.os_errors import why
from ticketzoo.util.text import for_markdown, one_line, show_duration
from ticketzoo.watching.folder import RunFolder, read_run, tickets_in
from ticketzoo.watching.journal import FOLDER
from ticketzoo.watching.left import Left, left_table, seconds_left, whats_left


@dataclass(frozen=True)
class RunReport:
    """A run as it is now.

    Attributes:
        run: its folder.
        left: done and due by arm and level; empty where that is not known.
        tables: of what is measured.
        sentences: verdicts and remarks, a line each.
        verdicts: by ticket.
        plots: files that show it.
        rows: measured, of arms.
        text: the Markdown of a finished run of another kind.
    """

    run: RunFolder
    left: list[Left] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    sentences: list[str] = field(default_factory=list)
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    plots: list[Path] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    text: str = ""

    @property
    def title(self) -> str:
        """The run in a line."""
        run, planned = self.run, self.run.planned
        line = f"{run.command or 'run'} {run.name}: {run.words}"
        seconds = seconds_left(run.done, planned, run.seconds) if run.state in ("running", "stopped") else None
        return line if seconds is None else f"{line}, about {show_duration(seconds)} left, one after the other"

    def as_json(self) -> dict[str, Any]:
        """Return it as a JSON document."""
        run = self.run
        return {
            "folder": str(run.folder),
            "command": run.command,
            "name": run.name,
            "state": run.state,
            "why": run.why,
            "done": run.done,
            "planned": run.planned,
            "left": [{**one.place._asdict(), "done": one.done, "due": one.due} for one in self.left],
            "verdicts": {name: verdict.model_dump(mode="json") for name, verdict in self.verdicts.items()},
            "tables": [asdict(table) for table in self.tables],
            "plots": [str(path) for path in self.plots],
        }

    def markdown(self) -> str:
        """Return it as Markdown, plots by the names of their files."""
        sections = [f"# {for_markdown(self.title)}"]
        sections += [left_table(self.left).markdown()] if self.left else []
        sections += [table.markdown() for table in self.tables]
        sections += ["\n".join(f"- {for_markdown(line)}" for line in self.sentences)] if self.sentences else []
        sections += [f"![{path.stem}]({path.name})" for path in self.plots]
        return "\n\n".join(sections) + "\n"


def report_on(folder: Path, *, plots: Path | None = None) -> RunReport:
    """Return the report on the run in `folder`, of which other processes may write at the same time.

    Args:
        folder: working folder of any command that runs.
        plots: folder for the plots of a run that is not finished; by default none are drawn.

    Raises:
        RunError: it is no working folder.
    """
    run = read_run(folder)
    if run.state == "broken":
        return RunReport(run)
    if run.state == "finished":
        return _finished(run)
    report = replace(_of_rows(run, run.rows), left=_left(run))
    if report.tables and plots is not None:
        try:
            plots.mkdir(parents=True, exist_ok=True)
            report.plots.extend(_drawn(run, plots))
        except OSError as error:  # such as a folder of somebody else's
            report.sentences.append(f"no plots: {plots}: {why(error)}; --plots DIR draws them elsewhere")
    return report


def write_so_far(folder: Path) -> None:
    """Write table and plots of what is measured so far into the journal of the run in `folder`: `watch/report.md`."""
    report = report_on(folder, plots=folder / FOLDER)
    write_atomically(folder / FOLDER / "report.md", report.markdown().encode())


def _left(run: RunFolder) -> list[Left]:
    try:
        return whats_left(run.asked, run.rows) if run.asked else []
    except TicketzooError:
        return []


def _finished(run: RunFolder) -> RunReport:
    """Return the report of what a finished run wrote."""
    if run.command in ("find", "judge") and (found := tickets_in(run.folder)):
        own = [path for path in found if run.asked and path.name == run.name] or found
        ticket = Ticket.from_pretrained(own[0], masks_only=True)
        given = {} if ticket.config.verdict is None else {ticket.name: ticket.config.verdict}
        report = _of_rows(run, ticket.results, given)
        return replace(report, plots=sorted(own[0].glob("*.png")), sentences=[*report.sentences, f"ticket: {own[0]}"])
    if run.command == "transfer":
        rows = _lines(run.folder / "results.jsonl")
        return replace(
            _of_rows(run, rows, _verdicts(run.folder / "verdicts.json")), plots=sorted(run.folder.glob("*.png"))
        )
    path = run.folder / "report.md"
    if not path.is_file():
        return RunReport(run, sentences=[f"ticketzoo {run.command} shows it: give its command again"])
    text = path.read_text(encoding="utf-8", errors="replace")
    return RunReport(run, text=text, plots=sorted(run.folder.glob("*.png")))


def _of_rows(run: RunFolder, rows: Sequence[Row], verdicts: dict[str, Verdict] | None = None) -> RunReport:
    """Return tables and verdicts of rows of arms; of a run that is not finished these are of what there is so far."""
    if not rows or run.command not in ("find", "judge", "transfer"):
        return RunReport(run)
    rows = [dict(row) for row in check_rows(rows)]
    so_far = verdicts is None
    if verdicts is None:
        stated = (run.asked.recipe.get("verdict") or {}) if run.asked else {}
        own: dict[str, list[str]] | None = None if run.command == "transfer" else {run.name: []}
        verdicts = judge_all(rows, margin=stated.get("margin"), transfer=own)
    targets = list(dict.fromkeys(row["target"] for row in rows))
    tables = [transfer_table(rows)] if run.command == "transfer" else []
    names = list(dict.fromkeys(row["ticket"] for row in rows))
    for name in names:
        for target in targets:
            of_both = [row for row in rows if row["ticket"] == name and row["target"] == target]
            if of_both and any(row["level"] for row in of_both):
                table = arms_table(of_both, target=target, verdict=verdicts.get(name))
                tables.append(replace(table, caption=f"{name}: {table.caption}") if len(names) > 1 else table)
    when = " so far" * so_far
    lines = [f"verdict on {name}{when}: {sentence(verdict)}" for name, verdict in verdicts.items()]
    return RunReport(run, tables=tables, sentences=lines, verdicts=verdicts, rows=rows)


def _drawn(run: RunFolder, out: Path) -> list[Path]:
    """Draw what is measured so far into `out`, and return the files."""
    drawn = []
    for name in dict.fromkeys(row["ticket"] for row in run.rows):
        of_ticket = [row for row in run.rows if row["ticket"] == name]
        for target in dict.fromkeys(row["target"] for row in of_ticket):
            rows = [row for row in of_ticket if row["target"] == target]
            if not any(row["level"] for row in rows):
                continue
            metric = deciding_metrics(rows)[target].removeprefix("test_")
            stem = f"{name}.on-{target}." if run.command == "transfer" else ""
            plot_metric(rows, out / f"{stem}{metric}.png", target=target)
            drawn.append(out / f"{stem}{metric}.png")
            if any(row["at"] == "best" for row in rows):
                plot_early_stopping(rows, out / f"{stem}early-stopping.png", target=target)
                drawn.append(out / f"{stem}early-stopping.png")
    if run.command == "transfer":
        try:
            plot_transfer(run.rows, out / "ticket-minus-dense.png")
        except ValueError:  # no ticket shares a seed with dense yet
            return drawn
        drawn.insert(0, out / "ticket-minus-dense.png")
    return drawn


def _lines(path: Path) -> list[Row]:
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None


def _verdicts(path: Path) -> dict[str, Verdict]:
    try:
        return {name: Verdict.model_validate(one) for name, one in json.loads(path.read_bytes()).items()}
    except (OSError, ValueError, AttributeError) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> RunError:
    return RunError(f"{path}: cannot be read ({one_line(error)}); give the run's command again")
