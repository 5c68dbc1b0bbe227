"""The figure of level connectivity, as a PNG file."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from ticketzoo.connecting.barriers import STARTS, LevelConnectivity
from ticketzoo.evaluation.drawing import figure_of, short_label, write_png
from ticketzoo.evaluation.metrics import as_error, scale
from ticketzoo.instability.plots import COLOURS
from ticketzoo.util.text import show_sparsity


def plot_levels(found: LevelConnectivity, path: Path, *, name: str, metric: str) -> Path:
    """Draw the barriers on the lines to each level and its error above dense's: means, each seed as a point.

    Returns `path`.
    """
    unit, levels = scale(metric), [one.level for one in found.levels]
    curves: dict[str, Sequence[Mapping[int, float]]] = {
        f"barrier from {words}": [getattr(one, start) for one in found.levels] for start, words in STARTS.items()
    }
    curves[f"{found.quantity} above dense's"] = [
        {seed: error - found.dense_errors[seed] for seed, error in one.errors.items()} for one in found.levels
    ]
    with figure_of(7.2, 4.4) as (figure, axes):
        for colour, marker, (label, values) in zip(COLOURS, "os^", curves.items(), strict=False):
            means = [unit * statistics.fmean(by_seed.values()) for by_seed in values]
            axes.plot(levels, means, color=colour, marker=marker, ms=5, label=label)
            seeds = [(level, unit * value) for level, by in zip(levels, values, strict=True) for value in by.values()]
            axes.plot(*zip(*seeds, strict=True), color=colour, marker=marker, ms=2.5, alpha=0.35, linestyle="")
        for threshold, line in zip(found.thresholds, (":", "-."), strict=False):
            axes.axhline(unit * threshold, color="#888888", linestyle=line, linewidth=0.9)
        axes.axhline(0, color="#dddddd", linewidth=0.8)
        axes.set_xticks(levels, [f"{one.level}\n{show_sparsity(one.sparsity)}" for one in found.levels], fontsize=8)
        axes.set_xlabel("level, sparsity")
        axes.set_ylabel(as_error(metric, points=True))
        axes.set_title(f"{short_label(name)}: lines between levels", loc="left", fontsize=11)
        axes.grid(axis="y", color="#dddddd", linewidth=0.8)
        axes.legend(frameon=False)
        return write_png(figure, path)
