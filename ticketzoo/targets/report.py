"""A transfer evaluation from recipe to report: results.jsonl, table, verdicts, plots."""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ticketzoo.distributed import processes
from ticketzoo.evaluation.again import terms_of, with_all_seeds
from ticketzoo.evaluation.diagnosis import diagnose
from ticketzoo.evaluation.looks import look_by_look
from ticketzoo.evaluation.matrix import About
from ticketzoo.evaluation.plots import plot_early_stopping, plot_metric, plot_transfer
from ticketzoo.evaluation.rows import Row, write_results
from ticketzoo.evaluation.statistics import deciding_metrics
from ticketzoo.evaluation.tables import Table, arms_tables, transfer_table
from ticketzoo.evaluation.verdict import Verdict, judge_all
from ticketzoo.evaluation.verdict import sentence as words
from ticketzoo.recipe import without_local_paths
from ticketzoo.runs.plan import Plan, PlannedCells
from ticketzoo.runs.progress import Progress
from ticketzoo.runs.store import Store
from ticketzoo.targets.matrix import about_data, report_matrix, shared_dense
from ticketzoo.targets.recipe import TransferRecipe
from ticketzoo.targets.replicates import masks_again
from ticketzoo.targets.run import Target, evaluate_transfer, load_targets, load_tickets
from ticketzoo.ticket import Ticket
from ticketzoo.ticket.config import BaseRewind
from ticketzoo.ticket.verdict_words import look_lines
from ticketzoo.util.text import for_markdown, for_terminal
from ticketzoo.zoo.places import ticket_folder
from ticketzoo.zoo.transferred import TICKETS_FILE, digests_of, with_names

if TYPE_CHECKING:
    from ticketzoo.evaluation.figure import Plot


@dataclass(frozen=True)
class TransferReport:
    """The outcome of a transfer evaluation. `files` are the names of the files it wrote into `folder`."""

    rows: list[Row]
    verdicts: dict[str, Verdict]
    """By ticket."""
    table: Table
    """Ticket minus dense, tickets and levels by targets."""
    files: list[str]
    folder: Path
    faults: list[str]
    """Lines on trainings that went wrong without an error."""
    carried: dict[str, list[str]]
    """By ticket the targets that are other data than its source: rows on these can join the ticket's own."""
    sentences: Sequence[str] = ()
    """On how general sources are, where there are several tickets and targets."""

    def plot(self) -> "Plot":
        """Return the figure of the table, a heat map: a `matplotlib.figure.Figure`."""
        return plot_transfer(self.rows)

    def _repr_html_(self) -> str:
        shown = ((html.escape(for_terminal(name)), verdict) for name, verdict in self.verdicts.items())
        return self.table.html() + "".join(f"<p>{name}:</p>{verdict._repr_html_()}" for name, verdict in shown)


def run_transfer(
    recipe: TransferRecipe,
    out: str | Path,
    *,
    registry: str | Path | None = None,
    device: torch.device | None = None,
    executor: str = "local",
    checkpoint_seconds: float = 60.0,
    progress: Progress | None = None,
) -> TransferReport:
    """Evaluate `recipe` in the folder `out`; a run that was stopped continues with what it had not finished.

    Of several processes (`ticketzoo.distributed.processes`) all train, and the first writes into the folder.

    Args:
        recipe: the tickets, levels, targets, arms and seeds to compare.
        out: working folder; receives recipe.yaml, results.jsonl, report.md, verdicts.json and the plots.
        registry: folder of tickets in which names are looked up; the default registry if None.
        device: of the trainings; if None the CPU, or with Ray the devices of the cluster.
        executor: `local`; `stacked` or `ray` for independent trainings at once (see `ticketzoo.runs.executor`).
        checkpoint_seconds: seconds between checkpoints of a training under way.
        progress: receives the progress of the run.

    Raises:
        RegistryError, TicketError: a ticket is missing, damaged or does not fit a target.
        DataError: a data set is missing or unusable.
        RunError: see `Store`.
    """
    out = Path(out)
    processes.check_same("the recipe:", recipe.model_dump(mode="json"))
    with processes.first_of_machine_first():
        tickets = _load(recipe, registry)
        targets = load_targets(recipe, tickets)
    processes.check_same("the data:", {target.name: target.task.identity for target in targets})
    with Store(
        out / "cells", executor, device=device, checkpoint_seconds=checkpoint_seconds, progress=progress
    ) as cells:
        rows = _look_by_look(recipe, tickets, targets, cells)
        about = about_data(recipe, tickets, targets)
        return processes.from_first(lambda: write_report(recipe, rows, out, tickets, about))


def plan_transfer(
    recipe: TransferRecipe,
    out: str | Path,
    *,
    registry: str | Path | None = None,
    device: torch.device | None = None,
    seconds: float = 0.5,
) -> Plan:
    """Return the work that `run_transfer` has left; write nothing.

    Args:
        recipe: as for `run_transfer`.
        out: as for `run_transfer`.
        registry: as for `run_transfer`.
        device: as for `run_transfer`.
        seconds: about how long iterations are timed at each of three places of a training.

    Raises:
        RegistryError, TicketError, DataError: as `run_transfer` raises them before anything is trained.
    """
    tickets = _load(recipe, registry)
    cells = PlannedCells(Path(out) / "cells", device=device or torch.device("cpu"))
    targets = load_targets(recipe, tickets)
    _look_by_look(recipe, tickets, targets, cells)
    plan = cells.plan(seconds=seconds)
    if recipe.until and not cells.complete:
        _look_by_look(with_all_seeds(recipe), tickets, targets, cells)
        plan.most = cells.plan(seconds=seconds)
    return plan


def _look_by_look(
    recipe: TransferRecipe,
    tickets: Sequence[Ticket],
    targets: Sequence[Target],
    cells: Store,
) -> list[Row]:
    """Return the rows of the recipe's seeds, and of those that are added to them."""
    rows: list[Row] = []
    measured: list[int] = []

    def measure(seeds: Sequence[int]) -> None:
        so_far = recipe.model_copy(update={"seeds": (*measured, *seeds)})
        rows.extend(evaluate_transfer(so_far, tickets, targets, cells, done=len(measured)))
        measured.extend(seeds)

    look_by_look(recipe.seeds, recipe.until, measure, lambda: _verdicts(recipe, rows, tickets), cells)
    return rows


def _verdicts(recipe: TransferRecipe, rows: Sequence[Row], tickets: Sequence[Ticket]) -> dict[str, Verdict]:
    terms = {
        ticket.name: terms_of(ticket.config, [row for row in rows if row["ticket"] == ticket.name], ticket.recipe_text)
        for ticket in tickets
    }
    return judge_all(
        rows,
        margin=recipe.verdict.margin,
        transfer={name: one["transfer"] for name, one in terms.items()},
        pretrained=[name for name, one in terms.items() if one["pretrained"]],
        filters=[name for name, one in terms.items() if one["use"] == "filters"],
        until=recipe.until,
    )


def _load(recipe: TransferRecipe, registry: str | Path | None) -> list[Ticket]:
    def load(reference: str) -> Ticket:
        ticket = Ticket.from_pretrained(folder := ticket_folder(reference, registry))
        refers = isinstance(ticket.config.rewind, BaseRewind)
        return Ticket.from_pretrained(folder, base=recipe.base) if refers and recipe.base else ticket

    return load_tickets(recipe, load)


def _origin(recipe: TransferRecipe, ticket: Ticket, targets: Sequence[str]) -> dict[str, Any]:
    """Return what rows on `targets`, the recipe's in order, are tied to a ticket by, and how they were measured."""
    content = without_local_paths(recipe.model_dump(mode="json", exclude_none=True))
    return {**digests_of(ticket.config), "recipe": with_names(content, ticket.name, targets)}


def write_report(
    recipe: TransferRecipe,
    rows: list[Row],
    out: Path,
    tickets: Sequence[Ticket] = (),
    about: About | None = None,
) -> TransferReport:
    """Judge `rows`, write results.jsonl, tables, verdicts and plots into `out`, and return the report.

    Of a ticket that is not among `tickets` nothing is known, and every target counts as other data than its own. With
    `about`, several tickets on several targets are a matrix, too: matrix.json and its heat maps.
    """
    verdicts = _verdicts(recipe, rows, tickets)
    table = transfer_table(rows)
    names = list(dict.fromkeys(row["ticket"] for row in rows))
    targets = list(dict.fromkeys(row["target"] for row in rows))
    plots = ["ticket-minus-dense.png"]
    plot_transfer(rows, out / plots[0])
    sections = [f"# {recipe.name}", table.markdown(), f"![ticket minus dense]({plots[0]})"]
    sections += [sentence] if (sentence := shared_dense(rows)) else []
    matrix = report_matrix(rows, about, out)
    plots += matrix.plots
    sections += matrix.sections
    for ticket in names:
        sections += [f"## {ticket}", for_markdown(words(verdicts[ticket]))]
        sections += ["\n".join(lines)] if (lines := look_lines(verdicts[ticket])) else []
        seeds = len({row["seed"] for row in rows if row["ticket"] == ticket})
        sections += [for_markdown(said) for one in tickets if one.name == ticket and (said := masks_again(one, seeds))]
        for target in targets:
            its_rows = [row for row in rows if row["ticket"] == ticket and row["target"] == target]
            stem = f"{ticket}.on-{target}"
            metric = deciding_metrics(its_rows)[target].removeprefix("test_")
            pictures = [f"{stem}.{metric}.png"]
            plot_metric(its_rows, out / pictures[0], target=target)
            if any(row["at"] == "best" for row in its_rows):
                pictures.append(f"{stem}.early-stopping.png")
                plot_early_stopping(its_rows, out / pictures[1], target=target)
            plots += pictures
            sections += [
                f"### {ticket} on {target}",
                *(one.markdown() for one in arms_tables(its_rows, target=target, verdict=verdicts[ticket])),
                "\n".join(f"![{picture}]({picture})" for picture in pictures),
            ]
    if faults := diagnose(rows):
        sections += ["## Trainings that went wrong without an error"]
        sections += ["\n".join(f"- {for_markdown(line)}" for line in faults)]
    sections += ["## The rule", *dict.fromkeys(verdict.rule for verdict in verdicts.values())]
    origins = (
        {one.name: _origin(recipe, one, targets) for one in tickets} if len(targets) == len(recipe.targets) else {}
    )
    stored = {name: verdict.model_dump(mode="json") for name, verdict in verdicts.items()}
    conclusions = {"verdicts.json": stored, TICKETS_FILE: origins, **matrix.conclusions}
    written = write_results(out, recipe, rows, conclusions, sections)
    carried = {name: verdicts[name].transfer for name in origins if verdicts[name].transfer}
    return TransferReport(rows, verdicts, table, [*written, *plots], out, faults, carried, matrix.sentences)
