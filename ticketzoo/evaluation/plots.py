"""Plots of measured rows, as figures and PNG files: the same rows give the same bytes under one version of matplotlib.

Colours are Okabe and Ito's, which colour-blind readers can tell apart; an arm looks the same in every plot.
"""

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ticketzoo.evaluation.arms import CHANCE, arm_legend, arm_style, in_order
from ticketzoo.evaluation.bands import NOTE, Range, shown_range
from ticketzoo.evaluation.drawing import digest_of_rows, figure_of, short_label, write_png
from ticketzoo.evaluation.heat_map import draw_heat_map
from ticketzoo.evaluation.metrics import DEFAULT, describe, metric_of, scale, titles, with_unit
from ticketzoo.evaluation.statistics import Group, Row, falling_metrics, group_rows, ticket_minus_dense
from ticketzoo.evaluation.tables import moment
from ticketzoo.util.text import counted, show_sparsity

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ticketzoo.evaluation.figure import Plot


MOST_TICKS = 9
LEAST_POINTS = 1.0
"""The shortest range of an axis of percentages, in points."""


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
    rows = list(rows)
    groups = [group for group in group_rows(rows, metric=metric, at=at) if group.key.target == target]
    drawn = groups[0].metric if groups else DEFAULT
    label = describe([drawn], falling=falling_metrics(groups))
    with _curves(groups, label, moment((row for row in rows if row["target"] == target), at), metric=drawn) as figure:
        return _finished(figure, rows, path)


def plot_early_stopping(
    rows: Iterable[Row], path: Path | str | None = None, *, target: str, metric: str | None = None
) -> "Plot":
    """Draw the iteration of minimum validation loss of every arm against sparsity: how soon each has learned.

    Reads the step of the rows of `metric` at "best". Takes, returns and raises what `plot_metric` does.
    """
    rows = list(rows)
    groups = [g for g in group_rows(rows, metric=metric, at="best", value="step") if g.key.target == target]
    trained = [group for group in groups if group.key.arm != CHANCE]
    with _curves(trained, "Early-stopping iteration", "step of minimum validation loss", metric=None) as figure:
        return _finished(figure, rows, path)


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
    rows = list(rows)
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
    title = f"{what} {moment(rows, at)},\nticket minus dense; rows: ticket @ sparsity"
    lines = sorted(sparsities)
    labels = [f"{short_label(line[0])} @ {show_sparsity(sparsities[line])}" for line in lines]
    width = 0.09 * max(map(len, labels)) + 1.05 * len(headings) + 1.1
    with figure_of(max(width, 7.2), 1.5 + 0.42 * len(lines)) as (figure, axes):
        turned = {target for target, name in metrics.items() if name in falling}
        draw_heat_map(figure, axes, cells, lines, headings, turned)
        axes.set_yticks(range(len(lines)), labels)
        figure.suptitle(title, x=0.01, ha="left", fontsize=11)
        return _finished(figure, rows, path)


@contextmanager
def _curves(groups: Sequence[Group], ylabel: str, moment: str, *, metric: str | None) -> "Iterator[Plot]":
    """Give the figure of one ticket's curves: values of `metric`, or, if it is None, iterations from zero on."""
    names = {group.key.ticket for group in groups}
    if len(names) != 1:
        raise ValueError(f"a curve is about one ticket on one target, these rows about {len(names)}")
    factor = 1 if metric is None else scale(metric)
    shown = _range(groups, factor, metric)
    inside = [group for group in groups if group.key.arm != CHANCE or shown.holds(group.summary.mean * factor)]
    with figure_of(7.2, 4.4) as (figure, axes):
        intervals = [
            _draw_arm(axes, arm, [group for group in inside if group.key.arm == arm], factor, shown)
            for arm in in_order(group.key.arm for group in inside)
        ]
        _sparsity_axis(axes, groups)
        _value_axis(axes, shown, from_zero=metric is None)
        axes.set_ylabel(ylabel)
        axes.grid(axis="y", color="#dddddd", linewidth=0.8)
        (name,), target = names, groups[0].key.target
        most = max(len(group.by_seed) for group in groups)
        bands = f"; bands: {'95% intervals of the mean' if all(intervals) else NOTE}" if most > 1 else ""
        beyond = [_beyond(group, factor, shown) for group in groups if group not in inside]
        title = textwrap.fill("; ".join([f"{moment}, {counted(most, 'seed')}{bands}", *beyond]), 86)
        axes.set_title(f"{short_label(name)} on {short_label(target)}\n{title}", loc="left", fontsize=11)
        axes.legend(frameon=False)
        yield figure


def _range(groups: Sequence[Group], factor: float, metric: str | None) -> Range:
    """Return the range of what was trained. A guess that lies far from it would flatten every curve."""
    trained = [group for group in groups if group.key.arm != CHANCE] or groups
    if metric is None:
        return shown_range(trained, factor, also=[0])
    low, high = metric_of(metric).bounds
    least = LEAST_POINTS if factor == 100 else 0
    return shown_range(trained, factor, least=least, bounds=(low * factor, high * factor))


def _beyond(group: Group, factor: float, shown: Range) -> str:
    """Return words for a guess that is not drawn."""
    mean = group.summary.mean
    where = "below" if mean * factor < shown.low else "above"
    return f"{arm_legend(group.key.arm)}, {where} this range: {with_unit(group.metric, mean)}"


def _finished(figure: "Plot", rows: Sequence[Row], path: Path | str | None) -> "Plot":
    figure.rows_sha256 = digest_of_rows(rows)
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
