"""Curves of a ticket by sparsity, beside dense and the controls: small on a card, large on its page."""

from collections.abc import Callable, Sequence

from markupsafe import Markup

from ticketzoo.evaluation.arms import CHANCE, DENSE, TICKET, in_order
from ticketzoo.evaluation.metrics import scale as times
from ticketzoo.evaluation.metrics import words
from ticketzoo.gallery.exhibit import Exhibit
from ticketzoo.gallery.measured import Measured
from ticketzoo.gallery.svg import Scale, arm_class, marks, number, padded, path, tag, thinness, ticks
from ticketzoo.util.text import for_terminal, show_sparsity

SMALL = (240, 56)
LARGE = (480, 300)
LABELLED = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999, 0.9999)
"""Sparsities on the horizontal axis of a large plot."""

Curves = dict[str, list[Measured]]
"""The points of each arm, the densest first."""


def sparkline(exhibit: Exhibit) -> Markup:
    """Return the small curves of a card on its source; nothing where no level was measured there."""
    curves = _curves(exhibit.on(exhibit.source))
    controls = [arm for arm, points in curves.items() if points[0].is_control]
    if not curves.get(TICKET):
        return Markup()
    shown = {arm: curves[arm] for arm in (*controls, TICKET)}
    dense = exhibit.dense
    means = [one.summary.mean for points in shown.values() for one in points]
    means += [dense.summary.mean] if dense else []
    width, height = SMALL
    far = [thinness(one.group.sparsity) for points in shown.values() for one in points]
    x, y = Scale(min(far), max(far), 8, width - 8), padded(means, height - 6, 6, pad=0.0)
    parts = [_level_line(dense, y, 0, width)] if dense else []
    for arm, points in shown.items():
        places = [(x(thinness(one.group.sparsity)), y(one.summary.mean)) for one in points]
        parts.append(tag("path", class_=f"line {arm_class(arm)}", d=path(places)))
        if arm != TICKET:
            parts.append(marks(arm_class(arm), places, size=2.2))
    parts += _stops(exhibit, x, y)
    label = f"{words(exhibit.metric(exhibit.source))} by sparsity: {_in_words(curves, dense)}"
    return tag("svg", *parts, class_="spark", viewBox=f"0 0 {width} {height}", role="img", aria_label=label)


def _stops(exhibit: Exhibit, x: Scale, y: Scale) -> list[Markup]:
    """Return a dot for each measured stop of the slider, and a ring that its script moves from dot to dot."""
    places = {
        place: (number(x(thinness(stop.ticket.group.sparsity))), number(y(stop.ticket.summary.mean)))
        for place, stop in enumerate(exhibit.stops)
        if stop.ticket
    }
    across, up = places.get(exhibit.chosen, ("-9", "-9"))
    dots = "".join(f"M{one} {other}h0" for one, other in places.values())
    return [tag("path", class_="stops", d=dots), tag("circle", class_="here", cx=across, cy=up, r="4.4")]


def plot(exhibit: Exhibit, target: str, link: Callable[[Measured], str]) -> Markup:
    """Return the large curves on `target`, each point a link; nothing where no level was measured there.

    A keyboard passes the points by: the table beside them has the same links.

    Args:
        exhibit: the ticket.
        target: among its targets.
        link: gives the address of a mean's rows.
    """
    curves = _curves(exhibit.on(target))
    dense = next((one for one in exhibit.on(target) if one.arm == DENSE), None)
    if TICKET not in curves:
        return Markup()
    width, height = LARGE
    wide = [one for arm, points in curves.items() if arm == TICKET or points[0].is_control for one in points]
    ends = [end for one in [*wide, *([dense] if dense else [])] for end in _ends(one)]
    far = max([thinness(one.group.sparsity) for one in wide] + [thinness(0.5)])
    least = min(thinness(one.group.sparsity) for one in wide)
    x = Scale(0.0 if least < 0.3 else least - 0.05, far + 0.05, 52, width - 14)
    y = padded(ends, height - 40, 12)
    parts = [*_frame(x, y, exhibit.metric(target)), *([_band(dense, y, 52, width - 14)] if dense else [])]
    parts += [_level_line(dense, y, 52, width - 14)] if dense else []
    for arm in [*(arm for arm in curves if arm != TICKET), TICKET]:
        parts += _curve(arm, curves[arm], x, y, link)
    title = tag("text", "sparsity", class_="axis", x=number((52 + width - 14) / 2), y=height - 6, text_anchor="middle")
    label = f"{exhibit.metric_words(target)} on {for_terminal(target)} by sparsity: {_in_words(curves, dense)}"
    return tag("svg", *parts, title, class_="plot", viewBox=f"0 0 {width} {height}", role="group", aria_label=label)


def drawn(found: Sequence[Measured]) -> list[str]:
    """Return the arms that a plot of `found` has, in the order of its legend."""
    there = {one.arm for one in found}
    return [arm for arm in (TICKET, DENSE) if arm in there] + [arm for arm in _curves(found) if arm != TICKET]


def _curves(found: Sequence[Measured]) -> Curves:
    """Return the points by arm of what has levels; level 0 of a ticket is left out where dense stands for it."""
    arms = [arm for arm in in_order(one.arm for one in found) if arm not in (DENSE, CHANCE)]
    by_arm = {arm: [one for one in found if one.arm == arm and one.level > 0] for arm in arms}
    return {arm: sorted(points, key=lambda one: one.group.sparsity) for arm, points in by_arm.items() if points}


def _in_words(curves: Curves, dense: Measured | None) -> str:
    """Return what the curves show, for those who do not see them."""
    said = [f"dense {dense.text}"] if dense else []
    for arm, points in curves.items():
        if arm == TICKET or points[0].is_control:
            first, last = points[0], points[-1]
            spans = f"{first.text} at {show_sparsity(first.group.sparsity)}"
            more = f" to {last.text} at {show_sparsity(last.group.sparsity)}" if len(points) > 1 else ""
            said.append(f"{first.label} {spans}{more}")
    return for_terminal("; ".join(said))


def _ends(one: Measured) -> tuple[float, float]:
    """Return the ends of a mean's interval, or the mean twice."""
    summary = one.summary
    return (
        summary.mean if summary.low is None else summary.low,
        summary.mean if summary.high is None else summary.high,
    )


def _level_line(dense: Measured, y: Scale, left: float, right: float) -> Markup:
    return tag("path", class_="line dense", d=path([(left, y(dense.summary.mean)), (right, y(dense.summary.mean))]))


def _band(dense: Measured, y: Scale, left: float, right: float) -> Markup:
    low, high = map(y, _ends(dense))
    return tag("path", class_="band dense", d=path([(left, low), (right, low), (right, high), (left, high)]) + "Z")


def _frame(x: Scale, y: Scale, metric: str) -> list[Markup]:
    """Return the grid and the numbers on both axes."""
    parts = []
    scaled = Scale(y.low * times(metric), y.high * times(metric), y.start, y.end)
    values = ticks(scaled)
    step = values[1] - values[0] if len(values) > 1 else 1.0
    decimals = max(0, min(4, -int(f"{step:e}".partition("e")[2])))
    for value in values:
        at = number(scaled(value))
        parts.append(tag("path", class_="grid", d=f"M{number(x.start)} {at}H{number(x.end)}"))
        text = f"{value:.{decimals}f}".replace("-", "\N{MINUS SIGN}")
        parts.append(
            tag("text", text, class_="axis", x=number(x.start - 6), y=number(scaled(value) + 4), text_anchor="end")
        )
    for sparsity in LABELLED:
        if x.holds(thinness(sparsity)):
            at = number(x(thinness(sparsity)))
            parts.append(tag("path", class_="grid", d=f"M{at} {number(y.start)}V{number(y.end)}"))
            text = f"{sparsity:g}"
            parts.append(tag("text", text, class_="axis", x=at, y=number(y.start + 16), text_anchor="middle"))
    return parts


def _curve(arm: str, points: Sequence[Measured], x: Scale, y: Scale, link: Callable[[Measured], str]) -> list[Markup]:
    """Return a curve with bars of its intervals; what lies beyond the plot is drawn at its edge without a mark."""
    kind = arm_class(arm)
    places = [(x(thinness(one.group.sparsity)), y(one.summary.mean)) for one in points]
    parts = [tag("path", class_=f"line {kind}", d=path(places))]
    for one, (across, up) in zip(points, places, strict=True):
        low, high = map(y, _ends(one))
        bar = tag("path", class_=f"bar {kind}", d=f"M{number(across)} {number(low)}V{number(high)}")
        if not y.holds(one.summary.mean):
            continue
        where = f"level {one.level}, sparsity {show_sparsity(one.group.sparsity)}"
        title = for_terminal(f"{one.label}, {where}: {one.text}, {one.summary.n} seeds")
        point = marks(kind, [(across, up)])
        parts.append(tag("a", tag("title", title), bar, point, href=link(one), aria_label=title, tabindex="-1"))
    return parts
