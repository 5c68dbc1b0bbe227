"""Heat maps of sources by targets, a block for each level: see `ticketzoo.evaluation.matrix`."""

import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ticketzoo.evaluation.drawing import digest_of_rows, figure_of, short_label, write_png
from ticketzoo.evaluation.heat_map import draw_heat_map
from ticketzoo.evaluation.matrix import Matrix
from ticketzoo.evaluation.metrics import describe, scale, titles
from ticketzoo.evaluation.statistics import Key, Row, deciding_metrics, less_is_better
from ticketzoo.evaluation.tables import moment
from ticketzoo.util.text import show_sparsity

if TYPE_CHECKING:
    from ticketzoo.evaluation.figure import Plot


def plot_matrix(
    rows: Iterable[Row], found: Sequence[Matrix], path: Path | str | None = None, *, over_own: bool = False
) -> "Plot":
    """Draw ticket minus dense, or minus the target's own ticket, as a heat map: a block a level, a line a source.

    Purple is better, orange worse, whichever way the metric goes; what was not measured stays grey.

    Args:
        rows: of results.jsonl.
        found: the levels, as `matrices` gives them.
        path: PNG file to write; none by default.
        over_own: minus the own ticket.

    Returns:
        the figure, which a notebook shows.

    Raises:
        ValueError: there is no difference to draw.
    """
    rows = list(rows)
    tables = [(number, one, one.over_own if over_own else one.over_dense) for number, one in enumerate(found)]
    tables = [one for one in tables if one[2]]
    if not tables:
        what = "the ticket of its own data" if over_own else "dense"
        raise ValueError(f"no ticket shares a target and a seed with {what}: there is no difference to draw")
    targets = list(dict.fromkeys(target for _, _, cells in tables for _, target in cells))
    metrics = {target: name for target, name in deciding_metrics(rows).items() if target in targets}
    falling = {name for name in metrics.values() if name.partition("_")[2] in less_is_better(rows)}
    headings = titles({target: metrics[target] for target in targets}, falling=falling)
    lines = [(source, number) for number, one, _ in tables for source in one.sources]
    values = {
        Key(source, target, number, "ticket"): statistics.fmean(by_seed.values()) * scale(metrics[target])
        for number, _, cells in tables
        for (source, target), by_seed in cells.items()
    }
    labels = [f"{short_label(source)} @ {show_sparsity(found[number].sparsity)}" for source, number in lines]
    what = f"{describe(metrics.values(), points=True, falling=falling)} {moment(rows, 'final')},\n"
    what += f"ticket minus {'the ticket of the target itself' if over_own else 'dense'}; rows: source @ sparsity"
    width = 0.09 * max(map(len, labels)) + 1.05 * len(headings) + 1.1
    with figure_of(max(width, 7.2), 1.5 + 0.42 * len(lines)) as (figure, axes):
        turned = {target for target, name in metrics.items() if name in falling}
        blocks, over = [number for _, number in lines], "the own ticket" if over_own else "dense"
        draw_heat_map(figure, axes, values, lines, headings, turned, blocks=blocks, over=over)
        axes.set_yticks(range(len(lines)), labels)
        figure.suptitle(what, x=0.01, ha="left", fontsize=11)
        figure.rows_sha256 = digest_of_rows(rows)
        if path is not None:
            write_png(figure, path)
        return figure
