"""The report on lines between replicates: results.jsonl, tables, a figure."""

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from ticketzoo.aligning import ALIGNMENTS
from ticketzoo.connecting.config import NONE, PairsConfig
from ticketzoo.connecting.kept import KeptRun
from ticketzoo.connecting.pairs import Joined, Pairs, folder_of, measure_pairs, rows_of
from ticketzoo.connecting.report import ConnectReport
from ticketzoo.distributed import processes
from ticketzoo.evaluation.drawing import figure_of, short_label, write_png
from ticketzoo.evaluation.metrics import as_error, scale, show
from ticketzoo.evaluation.rows import write_results
from ticketzoo.evaluation.tables import Table
from ticketzoo.instability.line import metric_along
from ticketzoo.instability.plots import COLOURS
from ticketzoo.masks.overlap import Overlap
from ticketzoo.runs.progress import Progress
from ticketzoo.util.text import counted, show_sparsity


def run_pairs(
    config: PairsConfig,
    first: KeptRun,
    second: KeptRun,
    *,
    out: Path | None = None,
    device: torch.device | None = None,
    progress: Progress | None = None,
) -> ConnectReport:
    """Measure and report the lines between replicates. Takes and raises what `measure_pairs` does; `out` as there."""
    found = measure_pairs(config, first, second, device=device, progress=progress)
    metric = metric_along(config.line, first.task)
    folder = out or folder_of(config, first, second)
    return processes.from_first(lambda: write_pairs(config, found, folder, metric))


def write_pairs(config: PairsConfig, found: Pairs, out: Path, metric: str) -> ConnectReport:
    """Write everything that people look at into `out`, and return it."""
    tables = [pair_table(found.pairs, config, metric)]
    tables += [overlap_table(found.pairs)] * any(pair.shared for pair in found.pairs)
    sentences = [*told(found.pairs, config, metric), *found.notes]
    summary = as_json(found, config, metric)
    out.mkdir(parents=True, exist_ok=True)
    plot = plot_pairs(found.pairs, out / "lines.png", name=config.name, metric=metric).name
    sections = [f"# {config.name}: lines between replicates", "\n".join(f"- {line}" for line in sentences)]
    sections += [table.markdown() for table in tables] + [f"![error along the lines]({plot})"]
    rows = rows_of(found, config.level, config.line)
    written = write_results(out, config, rows, {"connectivity.json": summary}, sections)
    return ConnectReport(summary, tables, sentences, [*written, plot], out)


def pair_table(pairs: Sequence[Joined], config: PairsConfig, metric: str) -> Table:
    """Return the barrier of each pair as it is and aligned, and the means."""
    ways = list(pairs[0].lines)
    lines = [(pair.name, *(show(metric, pair.barriers[way]) for way in ways)) for pair in pairs]
    if len(pairs) > 1:
        lines.append(("mean", *(show(metric, _mean(pairs, way)) for way in ways)))
    which = f"trained at level {config.level}" if config.level else "dense"
    aligned = "" if config.align == NONE else f" Aligned by {_said(config.align)}, of the dense networks."
    what = as_error(metric, points=True)
    caption = f"{what}: barriers on lines between networks, {which}, by the chord between their ends.{aligned}"
    columns = ("networks", *("as they are" if way == NONE else "aligned" for way in ways))
    return Table(caption, columns, "l" + "r" * len(ways), tuple(lines))


def overlap_table(pairs: Sequence[Joined]) -> Table:
    """Return the overlap of masks level by level, means over pairs; where units were aligned, of these too."""
    lines, aligned = [], any(one.after is not None for pair in pairs for one in pair.shared)
    for place, one in enumerate(pairs[0].shared):
        before = [pair.shared[place].before for pair in pairs]
        after = [of for pair in pairs if (of := pair.shared[place].after) is not None]
        cells = [_iou(before), _chance(before), _times(before), *[_iou(after), _times(after)] * aligned]
        lines.append((str(one.level), show_sparsity(one.sparsity), *cells))
    caption = (
        f"Overlap of masks: intersection over union, mean over {counted(len(pairs), 'pair')}, beside that of random "
        "masks as dense in each layer, and the ratio of both"
        + ("; aligned: hidden units permuted as the dense networks were." if aligned else ".")
    )
    of_aligned = ("aligned", "aligned, times chance") * aligned
    columns = ("level", "sparsity", "overlap", "chance", "times chance", *of_aligned)
    return Table(caption, columns, "r" * len(columns), tuple(lines))


def told(pairs: Sequence[Joined], config: PairsConfig, metric: str) -> list[str]:
    """Return the mean barriers in words."""
    before = _mean(pairs, NONE)
    if config.align == NONE:
        return [f"mean barrier {show(metric, before)} over {counted(len(pairs), 'pair')}"]
    after = _mean(pairs, config.align)
    fell = f", which is {1 - after / before:.0%} less" if before > 0 else ""
    return [f"mean barrier {show(metric, before)} as they are, {show(metric, after)} aligned by {config.align}{fell}"]


def as_json(found: Pairs, config: PairsConfig, metric: str) -> dict[str, Any]:
    """Return all of it for programs."""
    pairs = [
        {
            "first": list(pair.first),
            "second": list(pair.second),
            "barriers": pair.barriers,
            "overlap": [
                {
                    "level": one.level,
                    "sparsity": one.sparsity,
                    "iou": one.before.iou,
                    "expected": one.before.expected,
                    "aligned": None if one.after is None else one.after.iou,
                }
                for one in pair.shared
            ],
        }
        for pair in found.pairs
    ]
    about = {"name": config.name, "metric": metric, "level": config.level, "align": config.align}
    return {**about, "pairs": pairs, "notes": list(found.notes)}


def plot_pairs(pairs: Sequence[Joined], path: Path, *, name: str, metric: str) -> Path:
    """Draw the errors along the lines: the mean of each alignment over the lines themselves. Returns `path`."""
    unit = scale(metric)
    with figure_of(6.4, 4.2) as (figure, axes):
        for colour, way in zip(COLOURS, pairs[0].lines, strict=False):
            lines = [[unit * point.error for point in pair.lines[way]] for pair in pairs]
            positions = [point.position for point in pairs[0].lines[way]]
            for line in lines:
                axes.plot(positions, line, color=colour, alpha=0.25, linewidth=0.8)
            means = [statistics.fmean(values) for values in zip(*lines, strict=True)]
            axes.plot(positions, means, color=colour, label="as they are" if way == NONE else f"aligned by {way}")
        axes.set_xlabel("position between the networks")
        axes.set_ylabel(as_error(metric))
        axes.set_title(f"{short_label(name)}: lines between replicates", loc="left", fontsize=11)
        axes.grid(axis="y", color="#dddddd", linewidth=0.8)
        axes.legend(frameon=False)
        return write_png(figure, path)


def _said(align: str) -> str:
    row = ALIGNMENTS[align]
    return f"{row.words} ({row.cite})"


def _mean(pairs: Sequence[Joined], way: str) -> float:
    return statistics.fmean(pair.barriers[way] for pair in pairs)


def _iou(overlaps: Sequence[Overlap]) -> str:
    return f"{statistics.fmean(one.iou or 0.0 for one in overlaps):.4f}" if overlaps else ""


def _chance(overlaps: Sequence[Overlap]) -> str:
    return f"{statistics.fmean(one.expected or 0.0 for one in overlaps):.4f}" if overlaps else ""


def _times(overlaps: Sequence[Overlap]) -> str:
    known = [(one.iou, one.expected) for one in overlaps if one.iou is not None and one.expected]
    return f"{sum(iou for iou, _ in known) / sum(chance for _, chance in known):.2f}" if known else ""
