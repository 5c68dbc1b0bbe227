"""Plots of an instability analysis, as PNG files."""

import statistics
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ticketzoo.evaluation.bands import NOTE, Range, shown_range
from ticketzoo.evaluation.drawing import figure_of, short_label, write_png
from ticketzoo.evaluation.metrics import scale
from ticketzoo.instability.measure import Instability
from ticketzoo.instability.words import error_words, in_brackets, limit
from ticketzoo.util.text import show_sparsity

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#444444", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#999933")
"""Okabe and Ito's, which colour-blind readers can tell apart; again from the first where there are more."""


def plot_lines(
    rows: Iterable[Mapping[str, Any]], path: Path, *, name: str, metric: str, quantity: str = "error"
) -> Path:
    """Draw the error along the lines, a panel for each level and a curve for each rewind step: the mean over all lines.

    Each line is drawn faintly behind its mean. `quantity` is the column that is drawn. Returns `path`.
    """
    rows = [{**row, "shown": scale(metric) * row[quantity]} for row in rows]
    levels = {row["level"]: row["sparsity"] for row in rows}
    steps = sorted({row["rewind_step"] for row in rows})
    with figure_of(max(5.6, 1.2 + 3.2 * len(levels)), 4.0, len(levels)) as (figure, panels):
        axes: Sequence[Axes] = [panels] if len(levels) == 1 else list(panels)
        for panel, level in zip(axes, sorted(levels), strict=True):
            for number, step in enumerate(steps):
                here = [row for row in rows if (row["level"], row["rewind_step"]) == (level, step)]
                _draw_lines(panel, here, COLOURS[number % len(COLOURS)], f"{step:,}")
            panel.set_title(network_name(level, levels[level]), loc="left", fontsize=11)
            panel.set_xlabel("position between the copies")
            panel.grid(axis="y", color="#dddddd", linewidth=0.8)
        axes[0].set_ylabel(f"{error_words(metric)}{in_brackets(metric)}")
        axes[-1].legend(title="from iteration", frameon=False, fontsize=9)
        figure.suptitle(f"{short_label(name)}: {quantity} along the line", x=0.01, ha="left", fontsize=11)
        return write_png(figure, path)


def plot_instability(measured: Sequence[Instability], path: Path, *, name: str, metric: str, threshold: float) -> Path:
    """Draw instability against the rewind step, a curve for each level, with the threshold of stability.

    Bands are 95% intervals of the mean over the seeds, or else as the title says. Returns `path`.
    """
    levels = {one.level: one.sparsity for one in measured}
    steps, times = sorted({one.rewind_step for one in measured}), scale(metric)
    shown, intervals = shown_range(measured, times, also=[0, times * threshold]), True
    with figure_of(7.2, 4.4) as (figure, axes):
        for number, level in enumerate(sorted(levels)):
            curve = sorted((one for one in measured if one.level == level), key=lambda one: one.rewind_step)
            colour, label = COLOURS[number % len(COLOURS)], network_name(level, levels[level])
            intervals &= _draw_curve(axes, curve, colour, label, shown, times)
        stated = f"threshold, {limit(threshold, metric)}"
        axes.axhline(times * threshold, color="#888888", linestyle=":", label=stated)
        axes.set_xscale("symlog", linthresh=max(1, min((step for step in steps if step), default=1)))
        axes.set_xticks(steps, [f"{step:,}" for step in steps])
        axes.minorticks_off()
        axes.set_ylim(0, shown.high)
        axes.set_xlabel("rewind step (iteration)")
        axes.set_ylabel(f"{error_words(metric)} instability{in_brackets(metric, points=True)}")
        note = "" if intervals else f"\n{textwrap.fill(f'bands: {NOTE}', 86)}"
        axes.set_title(f"{short_label(name)}{note}", loc="left", fontsize=11)
        axes.grid(axis="y", color="#dddddd", linewidth=0.8)
        axes.legend(frameon=False)
        return write_png(figure, path)


def network_name(level: int, sparsity: float) -> str:
    """Return a network in words: "dense", or "level 3, sparsity 0.488"."""
    return f"level {level}, sparsity {show_sparsity(sparsity)}" if level else "dense"


def _draw_lines(panel: "Axes", rows: Sequence[Mapping[str, Any]], colour: str, label: str) -> None:
    lines: dict[Any, dict[float, float]] = {}
    for row in rows:
        lines.setdefault((row["seed"], tuple(row["copies"])), {})[row["position"]] = row["shown"]
    for line in lines.values():
        panel.plot(sorted(line), [line[position] for position in sorted(line)], color=colour, alpha=0.25, linewidth=0.8)
    positions = sorted({position for line in lines.values() for position in line})
    means = [statistics.fmean(line[position] for line in lines.values() if position in line) for position in positions]
    panel.plot(positions, means, color=colour, label=label)


def _draw_curve(axes: "Axes", curve: Sequence[Instability], colour: str, label: str, shown: Range, times: int) -> bool:
    """Draw means and bands, `times` what they are; return whether all bands are intervals."""
    steps, means = [one.rewind_step for one in curve], [times * one.summary.mean for one in curve]
    low, high, intervals = zip(*(shown.band(one, times) for one in curve), strict=True)
    axes.fill_between(steps, low, high, color=colour, alpha=0.12, linewidth=0)
    axes.plot(steps, means, color=colour, marker="o", ms=5, label=label)
    return all(intervals)
