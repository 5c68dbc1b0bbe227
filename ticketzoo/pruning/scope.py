"""Scopes: which weights are ranked together, and how many of each group stay."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from ticketzoo.errors import RecipeError
from ticketzoo.util.registry import Registry

Shapes = Mapping[str, tuple[int, ...]]
"""Of the prunable parameters, by name."""

Kept = Mapping[str, int]
"""Survivors of each parameter, by name."""

Left = Callable[[int, int, str | None], int]
"""`left(survivors, original, name)`: how many stay; `name` is that of a parameter that is ranked alone."""


class Group(NamedTuple):
    """Parameters whose weights are ranked together, and how many of these stay."""

    names: tuple[str, ...]
    keep: int


@dataclass(frozen=True)
class Scope:
    """A row of `SCOPES`.

    Attributes:
        name: by which recipes ask for it.
        make: `make(kept, shapes, left)` gives the groups of one round.
        cite: where it comes from.
        takes_rates: whether layers may have rates of their own.
    """

    name: str
    make: Callable[[Kept, Shapes, Left], list[Group]]
    cite: str
    takes_rates: bool = False


SCOPES: Registry[Scope] = Registry("scope", Scope, error=RecipeError)


@SCOPES.add("global", cite="Frankle & Carbin 2019, section 4")
def model_wide(kept: Kept, shapes: Shapes, left: Left) -> list[Group]:
    """Rank the weights of all layers together."""
    return [Group(tuple(kept), _in_all(kept, shapes, left))]


@SCOPES.add("layerwise", cite="Frankle & Carbin 2019, section 2", takes_rates=True)
def layerwise(kept: Kept, shapes: Shapes, left: Left) -> list[Group]:
    """Rank each layer's weights alone; each loses the same fraction, or that of its own rate."""
    return [Group((name,), left(count, math.prod(shapes[name]), name)) for name, count in kept.items()]


@SCOPES.add("uniform", cite="Zhu & Gupta 2017")
def uniform(kept: Kept, shapes: Shapes, left: Left) -> list[Group]:
    """Give all layers one density; their counts add up exactly."""
    count = _in_all(kept, shapes, left)
    return _rounded(dict.fromkeys(shapes, 1.0), kept, shapes, count)


@SCOPES.add("uniform+", cite="Gale et al. 2019, section 4")
def uniform_plus(kept: Kept, shapes: Shapes, left: Left) -> list[Group]:
    """Keep the first convolution dense and a fifth of the last linear layer at least; all others have one density."""
    count = _in_all(kept, shapes, left)
    whole = sum(map(math.prod, shapes.values()))
    fixed = dict.fromkeys([name for name, shape in shapes.items() if len(shape) > 2][:1], 1.0)
    if count < 0.2 * whole:
        fixed |= dict.fromkeys([name for name, shape in shapes.items() if len(shape) == 2][-1:], 0.2)
    rest = {name: 1.0 for name in shapes if name not in fixed}
    free = count - sum(density * math.prod(shapes[name]) for name, density in fixed.items())
    if not rest or free < 0:
        raise RecipeError(f"scope uniform+: {count:,} weights are fewer than the layers it keeps denser need")
    scale = free / sum(math.prod(shapes[name]) for name in rest)
    return _rounded(fixed | dict.fromkeys(rest, scale), kept, shapes, count, scaled=False)


@SCOPES.add("erk", cite="Evci et al. 2020, section 3; Mocanu et al. 2018")
def erk(kept: Kept, shapes: Shapes, left: Left) -> list[Group]:
    """Give layers densities in proportion to (sum of the shape) / (product of the shape), at most 1."""
    count = _in_all(kept, shapes, left)
    raw = {name: sum(shape) / math.prod(shape) for name, shape in shapes.items()}
    dense: set[str] = set()
    while True:
        sparse = [name for name in shapes if name not in dense]
        free = count - sum(math.prod(shapes[name]) for name in dense)
        scale = free / sum(raw[name] * math.prod(shapes[name]) for name in sparse)
        largest = max(raw[name] for name in sparse)
        if scale * largest <= 1:
            break
        dense |= {name for name in sparse if raw[name] == largest}
    densities = {name: 1.0 if name in dense else scale * raw[name] for name in shapes}
    return _rounded(densities, kept, shapes, count, scaled=False)


def _in_all(kept: Kept, shapes: Shapes, left: Left) -> int:
    return left(sum(kept.values()), sum(map(math.prod, shapes.values())), None)


def _rounded(
    densities: Mapping[str, float], kept: Kept, shapes: Shapes, count: int, *, scaled: bool = True
) -> list[Group]:
    """Return counts in proportion to `densities` that add up to `count`, by largest remainders; ties: earlier layer.

    scaled: whether `densities` are yet to be scaled to the count. No layer gets more than it has left.
    """
    sizes = {name: densities[name] * math.prod(shape) for name, shape in shapes.items()}
    factor = count / sum(sizes.values()) if scaled else 1.0
    exact = {name: min(size * factor, kept[name]) for name, size in sizes.items()}
    counts = {name: math.floor(value + 1e-9) for name, value in exact.items()}
    by_remainder = sorted(counts, key=lambda name: counts[name] - exact[name])
    while (missing := count - sum(counts.values())) > 0:
        with_room = [name for name in by_remainder if counts[name] < kept[name]]
        if not with_room:
            break
        for name in with_room[:missing]:
            counts[name] += 1
    return [Group((name,), counts[name]) for name in shapes]
