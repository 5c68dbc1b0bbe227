"""Plots of measured rows, as figures and PNG files: the same rows give the same bytes under one version of matplotlib.

Colours are Okabe and Ito's, which colour-blind readers can tell apart; an arm looks the same in every plot.
"""

import textwrap
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ticketzoo.evaluation.arms import arm_legend, arm_style, in_order
from ticketzoo.evaluation.bands import NOTE, Range, shown_range
from ticketzoo.evaluation.drawing import figure_of, short_label, write_png
from ticketzoo.evaluation.metrics import DEFAULT, describe, scale, titles
from ticketzoo.evaluation.statistics import Group, Key, Row, falling_metrics, group_rows, ticket_minus_dense
from ticketzoo.evaluation.tables import MOMENTS
from ticketzoo.util.text import show_sparsity

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ticketzoo.evaluation.figure import Plot


MOST_TICKS = 9
LEAST_POINTS = 1.0
"""The shortest range of an axis of percentages, in points."""
LEAST_SHOWN = 0.005
"""The smallest difference that is not shown as zero; colours of smaller ones alone would be of rounding."""


def plot_metric(
    rows: Iterable[Row],
    path: Path | str | None = None,
    *,
    target: str,
    metric: str | None = None,
    at: str = "final",
) -> "Plot":
    """Draw the metric of every arm against sparsity, for the one ticket in `rows` on `target`, with 95% intervals.

    Args:
        rows: of `results.jsonl`.
        path: PNG file to write; none by default.
        target: name of the target.
        metric: such as `test_accuracy`; default the target's own.
        at: "final", or "best" for the step of minimum validation loss.

    Returns:
        the figure, which a notebook shows.

    Raises:
        ValueError: rows of several tickets are given, or none fits.
        TicketError: as `group_rows` raises it.
    """
    groups = [group for group in group_rows(rows, metric=metric, at=at) if group.key.target == target]
    drawn = groups[0].metric if groups else DEFAULT
    label = describe([drawn], falling=falling_metrics(groups))
    return _plot_curves(groups, path, scale(drawn), label, MOMENTS[at])


def plot_early_stopping(
    rows: Iterable[Row], path: Path | str | None = None, *, target: str, metric: str | None = None
) -> "Plot":
    """Draw the iteration of minimum validation loss of every arm against sparsity: how soon each has learned.

    Reads the step of the rows of `metric` at "best". Takes, returns and raises what `plot_metric` does.
    """
    groups = [g for g in group_rows(rows, metric=metric, at="best", value="step") if g.key.target == target]
    moment = "step of minimum validation loss"
    return _plot_curves(groups, path, 1, "Early-stopping iteration", moment, from_zero=True)


def plot_transfer(
    rows: Iterable[Row], path: Path | str | None = None, *, metric: str | None = None, at: str = "final"
) -> "Plot":
    """Draw ticket minus dense, paired by seed, as a heat map: rows are tickets at levels, columns targets.

    Fractions are in percentage points. Purple is better than dense, orange worse, whichever way the metric goes; what
    was not measured stays grey. Takes and returns what `plot_metric` does, for all targets.

    Raises:
        ValueError: no ticket shares a seed with dense.
        TicketError: as `group_rows` raises it.
    """
    groups = group_rows(rows, metric=metric, at=at)
    differences = ticket_minus_dense(groups)
    if not differences:
        raise ValueError("no ticket shares a target and a seed with its dense arm: there is no difference to draw")
    metrics = {group.key.target: group.metric for group in groups if group.key in differences}
    falling = falling_metrics(groups)
    cells = {key: difference.mean * scale(metrics[key.target]) for key, difference in differences.items()}
    sparsities = {(group.key.ticket, group.key.level): group.sparsity for group in groups if group.key in cells}
    headings = dict(sorted(titles(metrics, falling=falling).items()))
    what = describe(metrics.values(), points=True, falling=falling)
    title = f"{what} {MOMENTS[at]},\nticket minus dense; rows: ticket @ sparsity"
    lines = sorted(sparsities)
    labels = [f"{short_label(line[0])} @ {show_sparsity(sparsities[line])}" for line in lines]
    width = 0.09 * max(map(len, labels)) + 1.05 * len(headings) + 1.1
    with figure_of(max(width, 7.2), 1.5 + 0.42 * len(lines)) as (figure, axes):
        turned = {target for target, name in metrics.items() if name in falling}
        _draw_heat_map(figure, axes, cells, lines, headings, turned)
        axes.set_yticks(range(len(lines)), labels)
        figure.suptitle(title, x=0.01, ha="left", fontsize=11)
        return _written(figure, path)


def _plot_curves(
    groups: Sequence[Group],
    path: Path | str | None,
    scale: float,
    ylabel: str,
    moment: str,
    *,
    from_zero: bool = False,
) -> "Plot":
    names = {group.key.ticket for group in groups}
    if len(names) != 1:
        raise ValueError(f"a curve is about one ticket on one target, these rows about {len(names)}")
    shown = shown_range(groups, scale, least=LEAST_POINTS if scale == 100 else 0, also=[0] if from_zero else [])
    with figure_of(7.2, 4.4) as (figure, axes):
        intervals = [
            _draw_arm(axes, arm, [group for group in groups if group.key.arm == arm], scale, shown)
            for arm in in_order(group.key.arm for group in groups)
        ]
        _sparsity_axis(axes, groups)
        _value_axis(axes, shown, from_zero=from_zero)
        axes.set_ylabel(ylabel)
        axes.grid(axis="y", color="#dddddd", linewidth=0.8)
        (name,), target = names, groups[0].key.target
        most = max(len(group.by_seed) for group in groups)
        bands = "95% intervals of the mean" if all(intervals) else NOTE
        seeds = "1 seed" if most == 1 else f"{most} seeds; bands: {bands}"
        title = textwrap.fill(f"{moment}, {seeds}", 86)
        axes.set_title(f"{short_label(name)} on {short_label(target)}\n{title}", loc="left", fontsize=11)
        axes.legend(frameon=False)
        return _written(figure, path)


def _written(figure: "Plot", path: Path | str | None) -> "Plot":
    if path is not None:
        write_png(figure, path)
    return figure


def _draw_arm(axes: "Axes", arm: str, groups: Sequence[Group], scale: float, shown: Range) -> bool:
    """Draw means and bands over the fraction of weights kept; dense, which has one level, across the width.

    Return whether all bands are intervals.
    """
    style, legend = arm_style(arm), short_label(arm_legend(arm))
    means = [group.summary.mean * scale for group in groups]
    low, high, intervals = zip(*(shown.band(group, scale) for group in groups), strict=True)
    if all(group.key.level == 0 for group in groups):
        axes.axhspan(low[0], high[0], color=style.colour, alpha=0.12, linewidth=0)
        axes.axhline(means[0], color=style.colour, linestyle=style.line, label=legend)
        return all(intervals)
    kept = [1 - group.sparsity for group in groups]
    axes.fill_between(kept, low, high, color=style.colour, alpha=0.15, linewidth=0)
    axes.plot(kept, means, color=style.colour, linestyle=style.line, marker=style.marker, ms=5, label=legend)
    return all(intervals)


def _sparsity_axis(axes: "Axes", groups: Sequence[Group]) -> None:
    """Show the fraction of weights kept on a log scale, dense at the left; ticks say the sparsity of levels."""
    from matplotlib.ticker import FixedLocator, NullLocator

    levels = sorted({group.sparsity for group in groups})
    stride = -(-len(levels) // MOST_TICKS)
    shown = sorted({levels[0], *levels[::-stride]})
    axes.set_xscale("log")
    axes.set_xlim(1.06, (1 - levels[-1]) / 1.06)
    axes.xaxis.set_major_locator(FixedLocator([1 - sparsity for sparsity in shown]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([show_sparsity(sparsity) if sparsity else "0" for sparsity in shown])
    axes.set_xlabel("sparsity (fraction of weights removed)")


def _value_axis(axes: "Axes", shown: Range, *, from_zero: bool) -> None:
    """Show the range; from zero on in whole numbers."""
    from matplotlib.ticker import MaxNLocator

    axes.set_ylim(0 if from_zero else shown.low, shown.high)
    if from_zero:
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        axes.yaxis.set_major_formatter("{x:,.0f}")


def _draw_heat_map(
    figure: "Plot",
    axes: "Axes",
    cells: dict[Key, float],
    lines: Sequence[tuple[str, int]],
    headings: Mapping[str, str],
    turned: Collection[str],
) -> None:
    """Draw coloured, annotated cells, columns headed by target, on a symmetric scale: white is "equal to dense".

    `turned` are the targets on which less is better; their colours are turned, their numbers are not.
    """
    import numpy as np

    targets = list(headings)
    values = np.full((len(lines), len(targets)), np.nan)
    for key, value in cells.items():
        values[lines.index((key.ticket, key.level)), targets.index(key.target)] = value
    bound = float(np.nanmax(np.abs(values)))
    bound = bound if bound >= LEAST_SHOWN else 1.0
    axes.set_facecolor("#e6e6e6")
    gains = values * [-1 if target in turned else 1 for target in targets]
    image = axes.imshow(gains, cmap="PuOr", vmin=-bound, vmax=bound, aspect="auto")
    for (line, column), value in np.ndenumerate(values):
        if not np.isnan(value):
            red, green, blue, _ = image.cmap(image.norm(gains[line, column]))
            colour = "black" if 0.3 * red + 0.6 * green + 0.1 * blue > 0.5 else "white"
            axes.text(column, line, f"{value:+.2f}", ha="center", va="center", color=colour)
    for line in range(1, len(lines)):
        axes.axhline(line - 0.5, color="white", linewidth=3 if lines[line][0] != lines[line - 1][0] else 0.6)
    axes.set_xticks(range(len(targets)), [short_label(heading) for heading in headings.values()])
    if max(map(len, headings.values())) > 13:
        axes.tick_params(axis="x", rotation=20)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    figure.colorbar(image, ax=axes, shrink=0.9, label="gain over dense" if turned else None)
