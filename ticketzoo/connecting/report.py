"""Level connectivity of a run: results.jsonl, tables, sentences and a figure."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ticketzoo.connecting.barriers import STARTS, Connection, LevelConnectivity, level_connectivity
from ticketzoo.connecting.config import LevelsConfig
from ticketzoo.connecting.figure import plot_levels
from ticketzoo.connecting.kept import KeptCells, KeptRun
from ticketzoo.connecting.levels import Row, measure_levels, of_line
from ticketzoo.distributed import processes
from ticketzoo.evaluation.metrics import as_error, show
from ticketzoo.evaluation.rows import write_results
from ticketzoo.evaluation.statistics import Summary, summarise
from ticketzoo.evaluation.tables import Table
from ticketzoo.instability.line import metric_along
from ticketzoo.runs.progress import Progress
from ticketzoo.util.text import show_sparsity

RULE = (
    "Barrier: the most by which the {0} on the line rises above the chord between its ends (Paul et al. 2023). "
    "Matching: mean {0} at most dense's plus epsilon."
)


@dataclass(frozen=True)
class ConnectReport:
    """The outcome of `ticketzoo connect`.

    Attributes:
        summary: as connectivity.json holds it.
        tables: the same for people.
        sentences: the same in words, a line each.
        files: names of the files written into `folder`.
        folder: in the folder of the run.
    """

    summary: dict[str, Any]
    tables: Sequence[Table]
    sentences: Sequence[str]
    files: Sequence[str]
    folder: Path


def run_levels(
    config: LevelsConfig,
    run: KeptRun,
    *,
    out: Path | None = None,
    device: torch.device | None = None,
    progress: Progress | None = None,
) -> ConnectReport:
    """Measure the connectivity of the levels of a finished run; what was evaluated before is read.

    Args:
        config: what to measure.
        run: as `KeptRun.read` gives it; its cells keep the errors, a point each as soon as it is there.
        out: folder for the results; by default `folder_of_levels`.
        device: where to evaluate; if None the CPU.
        progress: told how it goes.

    Raises:
        RecipeError: the line's split is not there.
        RunError: a training is not kept, or as `Store` does.
    """
    with KeptCells(run.cells, device=device, progress=progress) as store:
        rows = measure_levels(config, run, store)
        folder, metric = out or folder_of_levels(config, run), metric_along(config.line, run.task)
        return processes.from_first(lambda: write_report(config, rows, folder, metric))


def folder_of_levels(config: LevelsConfig, run: KeptRun) -> Path:
    """Return the default folder of the results."""
    return run.folder / "-".join(["connectivity", *of_line(config.line)])


def write_report(config: LevelsConfig, rows: list[Row], out: Path, metric: str) -> ConnectReport:
    """Write everything that people look at into `out`, and return it. `metric` is the one that errors are of."""
    quantity = config.line.quantity
    found = level_connectivity(rows, threshold=config.threshold, epsilon=config.epsilon, quantity=quantity)
    tables = [level_table(found, metric), agreement_table(found, metric), projection_table(found, metric)]
    sentences = told(found, metric)
    summary = as_json(found, config, metric)
    out.mkdir(parents=True, exist_ok=True)
    plot = plot_levels(found, out / "connectivity.png", name=config.name, metric=metric).name
    sections = [f"# {config.name}: connectivity of its levels", "\n".join(f"- {line}" for line in sentences)]
    sections += [table.markdown() for table in tables] + [f"![connectivity]({plot})"]
    written = write_results(out, config, rows, {"connectivity.json": summary}, sections)
    return ConnectReport(summary, tables, sentences, [*written, plot], out)


def level_table(found: LevelConnectivity, metric: str) -> Table:
    """Return a line for each level: its error, the barriers on the lines to it, and whether it is matching."""
    seeds = len(found.dense_errors)
    dense = _shown(summarise(list(found.dense_errors.values())), metric)
    lines: list[tuple[str, ...]] = [("0", "0.000", dense, "", "", "", "")]
    for one in found.levels:
        matching = {True: "matching", False: "not matching", None: ""}[found.is_matching(one)]
        errors = _shown(summarise(list(one.errors.values())), metric)
        barriers = (_shown(one.barrier(start), metric) for start in STARTS)
        connected = "connected" if one.is_connected("previous", found.threshold) else "not connected"
        lines.append((str(one.level), show_sparsity(one.sparsity), errors, *barriers, connected, matching))
    spread = f"mean over {seeds} seeds ± half-width of its 95% interval" if seeds > 1 else "one seed, so no interval"
    epsilon = "unknown, as one seed has no spread" if found.epsilon is None else show(metric, found.epsilon)
    limit = f"Connected: mean barrier from the level before at most {show(metric, found.threshold)}."
    what, rule = as_error(metric, points=True), RULE.format(found.quantity)
    caption = f"{what}: {spread}. {rule} Epsilon: {epsilon}. {limit}"
    barriers_from = ("barrier from the level before", "barrier from dense")
    columns = ("level", "sparsity", found.quantity, *barriers_from, "line", "level is")
    return Table(caption, columns, "rrrrrll", tuple(lines))


def projection_table(found: LevelConnectivity, metric: str) -> Table:
    """Return a line for each level: what its masks alone do to the trained network of the level before."""
    lines = []
    for one in found.levels:
        errors = (summarise(list(of.values())) for of in (one.before, one.projected, one.errors))
        share = "" if one.brought is None else f"{one.brought.mean:.0%}"
        shown = [_shown(summary, metric) for summary in errors]
        lines.append((str(one.level), show_sparsity(one.sparsity), *shown, share))
    caption = (
        f"{as_error(metric)}: the network of the level before as it was trained, the same under this level's masks "
        "without training (Paul et al. 2023: how far pruning leaves the basin), and this level trained. Share: of the "
        f"{found.quantity} after pruning, what pruning brought."
    )
    columns = ("level", "sparsity", "before", "pruned", "trained again", "share")
    return Table(caption, columns, "rrrrrr", tuple(lines))


def agreement_table(found: LevelConnectivity, metric: str) -> Table:
    """Return the 2x2 tables, a line for each start of lines and threshold."""
    lines = []
    for one in found.agreements():
        counts = [str(one.counts[key]) for key in ((True, True), (True, False), (False, True), (False, False))]
        known = [*counts, f"{one.share:.0%}"] if found.epsilon is not None else [""] * 5
        lines.append((STARTS[one.start], show(metric, one.threshold), *known, str(one.predicted)))
    caption = (
        "Levels by whether the line from another network to them is connected and whether they are matching. "
        "Predicted: the last level before the first that is not connected, found without a comparison with dense."
    )
    counted = ("connected, matching", "connected, not matching", "not connected, matching")
    columns = ("line from", "barrier at most", *counted, "not connected, not matching", "agree", "predicted level")
    return Table(caption, columns, "lrrrrrrr", tuple(lines))


def told(found: LevelConnectivity, metric: str) -> list[str]:
    """Return the predicted and the measured sparsest matching level, a line each."""
    sparsities = {0: 0.0, **{one.level: one.sparsity for one in found.levels}}

    def named(level: int) -> str:
        return f"level {level}, sparsity {show_sparsity(sparsities[level])}" if level else "none beside dense"

    lines = [
        f"predicted sparsest matching level, by barriers of at most {show(metric, one.threshold)} from "
        f"{STARTS[one.start]}: {named(one.predicted)}"
        for one in found.agreements()
    ]
    if found.measured is None:
        return [
            *lines,
            "measured: one seed has no spread to hold levels against; --epsilon states an error above dense",
        ]
    above = f"at most {show(metric, found.epsilon or 0.0)} above dense"
    by = {"error": "errors", "loss": "losses"}[found.quantity]
    return [*lines, f"measured sparsest matching level, by {by} of {above}: {named(found.measured)}"]


def as_json(found: LevelConnectivity, config: LevelsConfig, metric: str) -> dict[str, Any]:
    """Return all of it for programs: errors (losses, of `quantity` loss) and barriers in the metric's unit."""
    return {
        "name": config.name,
        "metric": metric,
        "quantity": found.quantity,
        "points": config.line.points,
        "threshold": found.threshold,
        "epsilon": found.epsilon,
        "dense": {"error": found.dense_error, "std": found.dense_std},
        "levels": [_level_json(one, found) for one in found.levels],
        "agreement": [
            {
                "from": one.start,
                "threshold": one.threshold,
                "connected_matching": one.counts[True, True],
                "connected_not_matching": one.counts[True, False],
                "not_connected_matching": one.counts[False, True],
                "not_connected_not_matching": one.counts[False, False],
                "predicted_level": one.predicted,
            }
            for one in found.agreements()
        ],
        "measured_level": found.measured,
    }


def _level_json(one: Connection, found: LevelConnectivity) -> dict[str, Any]:
    summaries = {start: one.barrier(start) for start in STARTS}
    barriers = {
        start: {
            "mean": summary.mean,
            "low": summary.low,
            "high": summary.high,
            "by_seed": _by_seed(getattr(one, start)),
        }
        for start, summary in summaries.items()
    }
    about = {"level": one.level, "sparsity": one.sparsity, "errors": _by_seed(one.errors)}
    pruned = {"errors": _by_seed(one.projected), "share": None if one.brought is None else one.brought.mean}
    return {**about, "barrier": barriers, "matching": found.is_matching(one), "projected": pruned}


def _by_seed(values: Any) -> dict[str, float]:
    return {str(seed): value for seed, value in values.items()}


def _shown(summary: Summary, metric: str) -> str:
    half = "" if summary.half_width is None else f" ± {show(metric, summary.half_width)}"
    return f"{show(metric, summary.mean)}{half}"
