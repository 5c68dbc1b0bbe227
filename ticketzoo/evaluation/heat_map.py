"""The heat map of a transfer evaluation."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from ticketzoo.evaluation.drawing import short_label
from ticketzoo.evaluation.statistics import Key

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ticketzoo.evaluation.figure import Plot

LEAST_SHOWN = 0.005
"""The smallest difference that is not shown as zero; colours of smaller ones alone would be of rounding."""


def draw_heat_map(
    figure: "Plot",
    axes: "Axes",
    cells: dict[Key, float],
    lines: Sequence[tuple[str, int]],
    headings: Mapping[str, str],
    turned: Collection[str],
    *,
    blocks: Sequence[object] | None = None,
    over: str = "dense",
) -> None:
    """Draw coloured, annotated cells, columns headed by target, on a symmetric scale: white is "equal to dense".

    Args:
        figure: that the axes are of.
        axes: to draw on.
        cells: the differences.
        lines: ticket and level of each line.
        headings: of the columns, by target.
        turned: the targets on which less is better; their colours are turned, their numbers are not.
        blocks: what each line belongs to, by which lines stand together; by default its ticket.
        over: what the differences are over.
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
    blocks = blocks or [ticket for ticket, _ in lines]
    for line in range(1, len(lines)):
        axes.axhline(line - 0.5, color="white", linewidth=3 if blocks[line] != blocks[line - 1] else 0.6)
    axes.set_xticks(range(len(targets)), [short_label(heading) for heading in headings.values()])
    if max(map(len, headings.values())) > 13:
        axes.tick_params(axis="x", rotation=20)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    figure.colorbar(image, ax=axes, shrink=0.9, label=f"gain over {over}" if turned else None)
