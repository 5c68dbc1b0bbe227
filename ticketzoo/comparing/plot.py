"""The figure of a comparison: overlaps of all replicates as a heat map, and a bar for each layer."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ticketzoo.comparing.pairs import ALL, READ, WHOLE
from ticketzoo.evaluation.drawing import COLOURS, digest_of_rows, figure_of, short_label, write_png
from ticketzoo.util.text import show_sparsity

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ticketzoo.comparing.comparison import Comparison
    from ticketzoo.evaluation.figure import Plot

MOST_NUMBERS = 12
"""Replicates up to which the cells of the heat map have numbers."""


def plot_comparison(comparison: "Comparison", path: str | Path | None = None) -> "Plot":
    """Draw the stage of a comparison that is shown; write it as a PNG file where a path is given.

    On the left how many times chance each two replicates overlap, all layers together; on the right the mean of each
    group of pairs by layer, with a line at chance.
    """
    replicates = sorted({end for one in comparison.found for end in (one.pair.first, one.pair.second)})
    layers = [one for one in dict.fromkeys(one.parameter for one in comparison.found) if one != WHOLE]
    height = max(4.2, 0.32 * len(replicates) + 2.2)
    with figure_of(max(11.0, 6.5 + 0.75 * len(layers)), height) as (figure, axes):
        axes.remove()
        heat, bars = figure.subplots(1, 2, width_ratios=[1.0, 1.2])
        _heat_map(figure, heat, comparison, replicates)
        _bars(figure, bars, comparison, layers)
        figure.rows_sha256 = digest_of_rows(comparison.rows)
    if path is not None:
        write_png(figure, path)
    return figure


def _heat_map(figure: "Plot", axes: "Axes", comparison: "Comparison", replicates: list[tuple[int, int]]) -> None:
    import numpy as np
    from matplotlib.colors import LogNorm

    stage = comparison.stages[comparison.shown]
    values = np.full((len(replicates), len(replicates)), np.nan)
    for one in comparison.found:
        if one.stage is stage and (one.parameter, one.part) == (WHOLE, ALL) and one.overlap.ratio:
            row, column = replicates.index(one.pair.first), replicates.index(one.pair.second)
            values[row, column] = values[column, row] = one.overlap.ratio
    axes.set_facecolor("#e6e6e6")
    most = max(1.5, float(np.nanmax(values, initial=1.5)), 1 / float(np.nanmin(values, initial=1.0)))
    image = axes.imshow(values, cmap="PuOr_r", norm=LogNorm(1 / most, most))
    for (row, column), value in np.ndenumerate(values) if len(replicates) <= MOST_NUMBERS else ():
        if not np.isnan(value):
            red, green, blue, _ = image.cmap(image.norm(value))
            colour = "black" if 0.3 * red + 0.6 * green + 0.1 * blue > 0.5 else "white"
            axes.text(column, row, f"{value:.1f}", ha="center", va="center", color=colour, fontsize=8)
    labels = [f"{_short(comparison.names)[place]}, {seed}" for place, seed in replicates]
    axes.set_yticks(range(len(replicates)), [short_label(label) for label in labels], fontsize=8)
    axes.set_xticks(range(len(replicates)), [str(seed) for _, seed in replicates], fontsize=8)
    axes.set_xlabel("seed")
    axes.set_title(f"overlap / chance at sparsity {show_sparsity(stage.sparsity)}", loc="left", fontsize=11)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    ticks = [tick for tick in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0) if 1 / most <= tick <= most]
    bar = figure.colorbar(image, ax=axes, shrink=0.8)
    bar.set_ticks(ticks, labels=[f"{tick:g}" for tick in ticks])
    bar.minorticks_off()


def _bars(figure: "Plot", axes: "Axes", comparison: "Comparison", layers: list[str]) -> None:
    stage = comparison.stages[comparison.shown]
    summaries = {(one.group, one.parameter, one.part): one for one in comparison.summaries(stage=stage)}
    groups = list(dict.fromkeys(group for group, *_ in summaries))
    part = READ if any(part == READ for *_, part in summaries) else ALL
    names, width = [WHOLE, *layers], 0.8 / max(1, len(groups))
    for number, group in enumerate(groups):
        found = [summaries.get((group, name, part)) or summaries.get((group, name, ALL)) for name in names]
        heights = [one.ratio if one and one.ratio == one.ratio else 0.0 for one in found]
        places = [place + (number - (len(groups) - 1) / 2) * width for place in range(len(names))]
        label = short_label(group.words(_short(comparison.names)))
        axes.bar(places, heights, width, color=COLOURS[number % len(COLOURS)], label=label)
    axes.axhline(1.0, color="black", linestyle="--", linewidth=1, label="chance")
    axes.set_xticks(range(len(names)), [short_label(name.removesuffix(".weight")) for name in names])
    if len(names) > 6:
        axes.tick_params(axis="x", rotation=60)
    axes.set_ylabel("overlap / chance" + (", inputs that change" if part == READ else ""))
    figure.legend(frameon=False, fontsize=8, loc="outside lower right", ncols=2)


def _short(names: Sequence[str]) -> list[str]:
    """Return the names of tickets without the architecture before the first full stop, where all have the same."""
    parts = [name.partition(".") for name in names]
    same = len({first for first, *_ in parts}) == 1 and all(rest for *_, rest in parts)
    return [rest for *_, rest in parts] if same else list(names)
