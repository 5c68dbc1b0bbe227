"""Instability analysis of a recipe: results.jsonl, table, plots, the step to rewind to."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from ticketzoo.distributed import processes
from ticketzoo.evaluation.metrics import show
from ticketzoo.evaluation.rows import write_results
from ticketzoo.evaluation.statistics import Summary
from ticketzoo.evaluation.tables import Table
from ticketzoo.finding.start import load_task
from ticketzoo.instability.line import metric_along
from ticketzoo.instability.measure import (
    Instability,
    instabilities,
    relative_barrier,
    stability_label,
    stable_from,
    suggested_step,
)
from ticketzoo.instability.plots import network_name, plot_instability, plot_lines
from ticketzoo.instability.recipe import StabilityRecipe
from ticketzoo.instability.run import Row, measure_lines, trained_copies
from ticketzoo.instability.words import error_words, in_brackets, limit, unit
from ticketzoo.runs.plan import Plan, PlannedCells
from ticketzoo.runs.progress import Progress
from ticketzoo.runs.store import Store
from ticketzoo.util.text import show_sparsity


@dataclass(frozen=True)
class StabilityReport:
    """The outcome of an instability analysis.

    Attributes:
        measured: the instability of every network at every rewind step.
        stable_from: by level, the earliest rewind step from which the network is stable; None where it is at none
            that was measured.
        suggested_step: the earliest from which all subnetworks are.
        sentences: the same in words, a line each.
        table: the same for people.
        files: the names of the files written into `folder`.
        folder: the working folder.
    """

    measured: list[Instability]
    stable_from: dict[int, int | None]
    suggested_step: int | None
    sentences: list[str]
    table: Table
    files: list[str]
    folder: Path


def run_stability(
    recipe: StabilityRecipe,
    out: str | Path,
    *,
    device: torch.device | None = None,
    executor: str = "local",
    checkpoint_seconds: float = 60.0,
    progress: Progress | None = None,
) -> StabilityReport:
    """Run `recipe` in the folder `out`; a run that was stopped goes on from what it had finished.

    Args:
        recipe: what to analyze.
        out: working folder; receives recipe.yaml, results.jsonl, instability.json, report.md and the plots.
        device: where to train; if None the CPU, or with Ray what the cluster has.
        executor: `local`; `stacked` or `ray` for independent trainings at once (see `ticketzoo.runs.executor`).
        checkpoint_seconds: how often a training under way is saved.
        progress: told how it goes.

    Raises:
        RecipeError, ModelError, DataError: the recipe asks for what cannot be.
        RunError: see `Store`.
    """
    out = Path(out)
    processes.check_same("the recipe:", recipe.model_dump(mode="json"))
    task = load_task(recipe.task, recipe.model)
    with Store(
        out / "cells", executor, device=device, checkpoint_seconds=checkpoint_seconds, progress=progress
    ) as store:
        rows = measure_lines(recipe, task, store)
        metric = metric_along(recipe.line, task)
        return processes.from_first(lambda: write_report(recipe, rows, out, metric=metric))


def plan_stability(
    recipe: StabilityRecipe, out: str | Path, *, device: torch.device | None = None, seconds: float = 0.5
) -> Plan:
    """Return the trainings that `run_stability` has left to do; write nothing.

    Args:
        recipe: what to analyze.
        out: the working folder of the run.
        device: where to time trainings; if None the CPU.
        seconds: how long iterations are timed at each of three places of a training, about.

    Raises:
        RecipeError, ModelError, DataError: as `run_stability` before anything is trained.
        RunError: a finished training cannot be read, or one to be timed does not fit into memory.
    """
    task = load_task(recipe.task, recipe.model)
    store = PlannedCells(Path(out) / "cells", device=device or torch.device("cpu"))
    networks = len(list(trained_copies(recipe, task, store)))
    plan = store.plan(seconds=seconds)
    plan.not_counted += (f"errors at {recipe.line.points} points of each of {networks * recipe.pairs} lines",)
    return plan


def write_report(recipe: StabilityRecipe, rows: list[Row], out: Path, *, metric: str) -> StabilityReport:
    """Write everything that people look at into `out`, and return it. `metric` is as `metric_along` gives it."""
    measured, threshold = instabilities(rows, recipe.line.quantity), recipe.threshold
    starts = {level: stable_from(measured, level, threshold) for level in sorted(recipe.levels)}
    suggested = suggested_step(measured, threshold)
    table, sentences = stability_table(measured, recipe, metric), _sentences(measured, starts, suggested, recipe)
    plots = [
        plot_instability(measured, out / "instability.png", name=recipe.name, metric=metric, threshold=threshold).name,
        plot_lines(rows, out / "lines.png", name=recipe.name, metric=metric, quantity=recipe.line.quantity).name,
    ]
    summary = {
        "name": recipe.name,
        "split": recipe.line.split,
        "quantity": recipe.line.quantity,
        "threshold": threshold,
        "stable_from": {str(level): start for level, start in starts.items()},
        "suggested_step": suggested,
        "instability": [_as_json(one) for one in measured],
    }
    sections = [f"# {recipe.name}", "\n".join(f"- {line}" for line in sentences), table.markdown()]
    sections += [f"![{plot.removesuffix('.png')}]({plot})" for plot in plots]
    written = write_results(out, recipe, rows, {"instability.json": summary}, sections)
    return StabilityReport(measured, starts, suggested, sentences, table, [*written, *plots], out)


def stability_table(measured: Sequence[Instability], recipe: StabilityRecipe, metric: str) -> Table:
    """Return the instability of every network at every rewind step, and whether it is below the threshold."""
    quantity = recipe.line.quantity
    lines = [
        (
            str(one.level),
            show_sparsity(one.sparsity),
            f"{one.rewind_step:,}",
            show(metric, one.end_error),
            _shown(one.summary, metric),
            _of_the_error(one),
            stability_label(one, recipe.threshold),
        )
        for one in measured
    ]
    seeds = len(recipe.seeds)
    spread = f"mean over {seeds} seeds ± half-width of its 95% interval" if seeds > 1 else "one seed, so no interval"
    pairs = f"{recipe.pairs} pairs of copies" if recipe.pairs > 1 else "a pair of copies"
    threshold = limit(recipe.threshold, metric)
    below = f"Stable: the whole interval is below {threshold}; unstable: none of it is; else undecided."
    what = f"{'points of % ' * (unit(metric) == '%')}{error_words(metric)}"
    caption = f"Instability ({what}) of {pairs} a seed: {spread}. {below}"
    ends = f"{quantity} of the copies{in_brackets(metric)}", "instability", f"of that {quantity}"
    return Table(caption, ("level", "sparsity", "rewind step", *ends, "verdict"), "rrrrrrl", tuple(lines))


def _of_the_error(one: Instability) -> str:
    relative = relative_barrier(one)
    return "" if relative is None else f"{relative:+.0%}"


def _shown(summary: Summary, metric: str) -> str:
    half = "" if summary.half_width is None else f" ± {show(metric, summary.half_width)}"
    return f"{show(metric, summary.mean)}{half}"


def _sentences(
    measured: Sequence[Instability], starts: dict[int, int | None], suggested: int | None, recipe: StabilityRecipe
) -> list[str]:
    sparsities = {one.level: one.sparsity for one in measured}
    lines = []
    for level, start in starts.items():
        of_level = [one for one in measured if one.level == level]
        is_open = any(stability_label(one, recipe.threshold) == "undecided" for one in of_level)
        none = "undecided" if is_open else "at none of the steps"
        since = none if start is None else "from initialisation" if start == 0 else f"from {start}it"
        lines.append(f"{network_name(level, sparsities[level])}: {'stable ' * (since != 'undecided')}{since}")
    if suggested is None:
        open_ones = any(stability_label(one, recipe.threshold) == "undecided" for one in measured)
        remedy = "more seeds may decide" if open_ones else "try later ones"
        return [*lines, f"suggested rewind step: none of those measured; {remedy}"]
    return [*lines, f"suggested rewind step: {suggested}it"]


def _as_json(one: Instability) -> dict[str, object]:
    summary = one.summary
    return {
        "level": one.level,
        "sparsity": one.sparsity,
        "rewind_step": one.rewind_step,
        "mean": summary.mean,
        "low": summary.low,
        "high": summary.high,
        "by_seed": {str(seed): value for seed, value in one.by_seed.items()},
        "end_error": one.end_error,
        "relative": relative_barrier(one),
    }
