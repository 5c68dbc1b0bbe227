"""Parts of inline SVG: elements, scales and marks. Colours are the style sheet's, by class."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from ticketzoo.evaluation.arms import ARMS, CHANCE, DENSE, TICKET
from ticketzoo.evaluation.drawing import default_style

CONTROL_CLASSES = 20
"""Classes of the style sheet for arms beside ticket and dense: ten colours, and those again with other marks."""


def tag(name: str, *inside: str, **attributes: object) -> Markup:
    """Return an element, with text and attributes escaped. `class_` is class, other underscores are hyphens."""
    given = "".join(
        f' {key.removesuffix("_").replace("_", "-") if key != "viewBox" else key}="{escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{given}>{''.join(map(escape, inside))}</{name}>")


def arm_class(name: str) -> str:
    """Return the class that colours an arm, the same one on every page."""
    if name in (TICKET, DENSE, CHANCE):
        return name
    others = [arm for arm in ARMS if arm not in (TICKET, DENSE)]
    number = others.index(name) if name in others else int(default_style(name).colour[1:], 16)
    return f"c{number % CONTROL_CLASSES}"


def number(value: float) -> str:
    """Return a coordinate with one decimal at most."""
    return f"{value:.1f}".removesuffix(".0")


def path(points: Iterable[tuple[float, float]]) -> str:
    """Return the line through `points`."""
    return "M" + "L".join(f"{number(x)} {number(y)}" for x, y in points)


def marks(kind: str, places: Sequence[tuple[float, float]], size: float = 3.2) -> Markup:
    """Return an arm's mark at each of some places: shapes differ as well as colours."""
    side = size * 0.88
    up, wide = size * 1.2, size * 1.1
    shapes = (
        [(-side, -side), (side, -side), (side, side), (-side, side)],
        [(0, -up), (wide, size * 0.85), (-wide, size * 0.85)],
        [(0, -up), (up, 0), (0, up), (-up, 0)],
        [(0, up), (wide, -size * 0.85), (-wide, -size * 0.85)],
    )
    if not kind[1:].isdigit():
        r = number(size)
        arcs = f"a{r} {r} 0 1 0 {number(2 * size)} 0a{r} {r} 0 1 0 {number(-2 * size)} 0"
        return tag(
            "path", class_=f"mark {kind}", d="".join(f"M{number(x - size)} {number(y)}{arcs}" for x, y in places)
        )
    corners = shapes[int(kind[1:]) % len(shapes)]
    drawn = (path([(x + across, y + down) for across, down in corners]) + "Z" for x, y in places)
    return tag("path", class_=f"mark {kind}", d="".join(drawn))


@dataclass(frozen=True)
class Scale:
    """From a range of values to a range of places.

    Attributes:
        low, high: of the values.
        start, end: of the places.
    """

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the place of a value, those beyond the range at its end."""
        span = self.high - self.low
        share = 0.5 if span <= 0 else (min(max(value, self.low), self.high) - self.low) / span
        return self.start + share * (self.end - self.start)

    def holds(self, value: float) -> bool:
        """Tell whether a value is within the range."""
        return self.low <= value <= self.high


def thinness(sparsity: float) -> float:
    """Return where a sparsity stands on the horizontal axis: each tenfold fewer weights are one further."""
    return -math.log10(max(1 - sparsity, 1e-12))


def padded(values: Sequence[float], start: float, end: float, pad: float = 0.08) -> Scale:
    """Return a scale over `values` with some room at both ends."""
    low, high = min(values), max(values)
    room = (high - low) * pad or abs(high) * 0.01 or 1.0
    return Scale(low - room, high + room, start, end)


def ticks(scale: Scale, most: int = 5) -> list[float]:
    """Return round values within the range of `scale`, at most `most` of them."""
    span = scale.high - scale.low
    if span <= 0:
        return [scale.low]
    base = 10.0 ** math.floor(math.log10(span / most))
    step = next(base * times for times in (1, 2, 5, 10, 20) if span / (base * times) <= most)
    first = math.ceil(scale.low / step - 1e-9)
    return [one * step for one in range(first, math.floor(scale.high / step + 1e-9) + 1)]
