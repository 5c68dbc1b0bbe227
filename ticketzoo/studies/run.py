"""A study from a recipe to its folder: recipe.yaml, results.jsonl, report.md and a plot."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from ticketzoo.distributed import processes
from ticketzoo.evaluation.drawing import figure_of, short_label, write_png
from ticketzoo.evaluation.rows import write_results
from ticketzoo.evaluation.tables import Table
from ticketzoo.runs.plan import Plan, PlannedCells
from ticketzoo.runs.progress import Progress
from ticketzoo.runs.store import Store
from ticketzoo.studies.study import STUDIES, Outcome, Row, StudyRecipe

COLOURS = ("#444444", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#999933")


@dataclass(frozen=True)
class StudyReport:
    """The outcome of a study.

    Attributes:
        rows: of results.jsonl.
        text: a paragraph that says what was measured.
        files: names of the files written into `folder`.
        folder: the working folder.
        tables: the numbers of the text, and those beside them.
    """

    rows: list[Row]
    text: str
    files: Sequence[str]
    folder: Path
    tables: Sequence[Table] = ()


def run_study(
    recipe: StudyRecipe,
    out: str | Path,
    *,
    device: torch.device | None = None,
    executor: str = "local",
    checkpoint_seconds: float = 60.0,
    progress: Progress | None = None,
) -> StudyReport:
    """Run `recipe` in the folder `out`; a run that was stopped goes on from what it had finished.

    Args:
        recipe: the experiment.
        out: working folder; receives recipe.yaml, results.jsonl, report.md and a plot.
        device: where to train; if None the CPU, or with Ray what the cluster has.
        executor: `local`; `stacked` or `ray` for independent trainings at once (see `ticketzoo.runs.executor`).
        checkpoint_seconds: how often a training under way is saved.
        progress: told how it goes.

    Raises:
        RecipeError, ModelError, DataError: the recipe asks for what cannot be.
        RunError: see `Store`.
        TicketError: a ticket that it names cannot be read.
    """
    out = Path(out)
    processes.check_same("the recipe:", recipe.model_dump(mode="json"))
    with Store(
        out / "cells", executor, device=device, checkpoint_seconds=checkpoint_seconds, progress=progress
    ) as store:
        outcome = STUDIES[recipe.study.name].make(recipe, store)
        return processes.from_first(lambda: write_report(recipe, outcome, out))


def plan_study(
    recipe: StudyRecipe, out: str | Path, *, device: torch.device | None = None, seconds: float = 0.5
) -> Plan:
    """Return the trainings that `run_study` has left to do; write nothing.

    Args:
        recipe: the experiment.
        out: the working folder of the run.
        device: where to time trainings; if None the CPU.
        seconds: how long iterations are timed at each of three places of a training, about.

    Raises:
        RecipeError, ModelError, DataError: as `run_study` before anything is trained.
    """
    store = PlannedCells(Path(out) / "cells", device=device or torch.device("cpu"))
    STUDIES[recipe.study.name].make(recipe, store)
    plan = store.plan(seconds=seconds)
    plan.not_counted += ("what the study computes beside trainings",)
    return plan


def write_report(recipe: StudyRecipe, outcome: Outcome, out: Path) -> StudyReport:
    """Write everything that people look at into `out`, and return it."""
    study = STUDIES[recipe.study.name]
    plot = draw(recipe.name, outcome, out / f"{study.name}.png").name
    cite = f"{study.words} ({study.cite})." if study.cite else f"{study.words}."
    tables = [table.markdown() for table in outcome.tables]
    sections = [f"# {recipe.name}", cite[:1].upper() + cite[1:], *tables, outcome.text, f"![{study.name}]({plot})"]
    written = write_results(out, recipe, outcome.rows, {}, sections)
    return StudyReport(outcome.rows, outcome.text, [*written, plot], out, outcome.tables)


def draw(name: str, outcome: Outcome, path: Path) -> Path:
    """Draw the curves of a study. Returns `path`."""
    with figure_of(7.2, 4.4) as (figure, axes):
        for number, curve in enumerate(outcome.curves):
            points = sorted(curve.points)
            colour = COLOURS[number % len(COLOURS)]
            look = {"color": colour, "marker": "o", "ms": 4, "linestyle": "-" if outcome.joined else ""}
            axes.plot(*zip(*points, strict=True), label=short_label(curve.label), **look)
        if outcome.log:
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter("{x:g}")  # that of log scales writes TeX, which the look does not parse
        axes.set_xlabel(outcome.axes[0])
        axes.set_ylabel(outcome.axes[1])
        axes.set_title(short_label(name), loc="left", fontsize=11)
        axes.grid(axis="y", color="#dddddd", linewidth=0.8)
        axes.legend(frameon=False, fontsize=9)
        return write_png(figure, path)
