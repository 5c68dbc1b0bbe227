"""Forest plots: differences to dense with their intervals, a line each, on one scale for all cells of a matrix."""

from collections.abc import Callable, Sequence

from markupsafe import Markup

from ticketzoo.evaluation.metrics import scale as times
from ticketzoo.gallery.boards import Matrix, Result, plain_label
from ticketzoo.gallery.svg import Scale, number, tag, ticks
from ticketzoo.ticket.verdict import GOOD
from ticketzoo.util.text import for_terminal, show_sparsity

WIDTH, STEP, EDGE = 200, 9, 6
"""Of a cell's plot: its width, the height of a line, and the room at its sides."""
FOOT = 16


def common_scale(matrix: Matrix) -> Scale:
    """Return the horizontal scale of all cells of `matrix`, zero within it."""
    ends = [0.0]
    for result in matrix.results:
        ends += _ends(result)
    room = (max(ends) - min(ends)) * 0.04 or 1.0
    return Scale(min(ends) - room, max(ends) + room, EDGE, WIDTH - EDGE)


def forest(results: Sequence[Result], x: Scale, link: Callable[[Result], str]) -> Markup:
    """Return the plot of one cell: dense is the vertical line. A keyboard finds the same links in the list below it.

    Args:
        results: of the cell.
        x: the common scale.
        link: gives the address of a result's rows.
    """
    height = EDGE + STEP * len(results)
    zero = number(x(0.0))
    parts = [tag("path", class_="line dense", d=f"M{zero} 0V{height}")]
    for place, result in enumerate(results):
        parts.append(_line(result, EDGE + STEP * place, x, link))
    metric = results[0].measured.group.metric
    scaled = Scale(x.low * times(metric), x.high * times(metric), x.start, x.end)
    for value in ticks(scaled, 4):
        text = f"{value:g}".replace("-", "\N{MINUS SIGN}")
        at = {"x": number(scaled(value)), "y": height + FOOT - 4}
        parts.append(tag("text", text, class_="axis", text_anchor="middle", **at))
    label = f"ticket minus dense of {len(results)} tickets"
    size = f"0 0 {WIDTH} {height + FOOT}"
    return tag("svg", *parts, class_="forest", viewBox=size, role="group", aria_label=label)


def _line(result: Result, y: float, x: Scale, link: Callable[[Result], str]) -> Markup:
    measured = result.measured
    low, high = _ends(result)
    middle = measured.difference.mean if measured.difference else 0.0
    kind = "good" if plain_label(result.label) in GOOD else "open" if result.label == "undecided" else "bad"
    at = f"sparsity {show_sparsity(measured.group.sparsity)}"
    said = for_terminal(f"{result.exhibit.title}, {at}: {measured.difference_text}, {result.label}")
    bar = tag("path", class_=f"bar {kind}", d=f"M{number(x(low))} {number(y)}H{number(x(high))}")
    dot = tag("circle", class_=f"mark {kind}", cx=number(x(middle)), cy=number(y), r="3")
    return tag("a", tag("title", said), bar, dot, href=link(result), aria_label=said, tabindex="-1")


def _ends(result: Result) -> tuple[float, float]:
    difference = result.measured.difference
    return difference.t_interval if difference else (0.0, 0.0)
