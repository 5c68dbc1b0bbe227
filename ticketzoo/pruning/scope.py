"""Scopes: which weights are ranked together, and how many of each group stay."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from math import prod
from typing import Any, NamedTuple, TypeAlias

from ticketzoo.errors import RecipeError
from ticketzoo.pruning.part import Part, PartConfig
from ticketzoo.util.registry import Registry


class Layer(NamedTuple):
    """A prunable parameter: its shape, and its units (single weights, or what the structure removes as one)."""

    shape: tuple[int, ...]
    """Outputs first."""
    units: int
    kept: int
    """Units that survived so far."""


Layers: TypeAlias = Mapping[str, Layer]

Left: TypeAlias = Callable[[int, int, str | None], int]
"""`left(survivors, original, name)`: how many stay; `name` is that of a parameter that is ranked alone."""


class Group(NamedTuple):
    """Parameters whose units are ranked together, and how many of these stay."""

    names: tuple[str, ...]
    keep: int


@dataclass(frozen=True)
class Scope(Part):
    """A row of `SCOPES`.

    `make(layers, left)` gives the groups of one level.

    Attributes:
        takes_rates: whether layers may have rates of their own.
        by_rows: whether of each layer the weights of each output are ranked alone, as many staying as of any other.
        outliers: `outliers(probe, scope's config, criterion's config)` gives a number for each layer, from what its
            network computes, and `make` is given it as `outliers=`; None where shapes alone decide.
        revision: raised where the same keys give other groups than before, so that no stored masks are taken for it.
    """

    takes_rates: bool = False
    by_rows: bool = False
    outliers: Callable[[Any, Any, Any], Mapping[str, float]] | None = None
    revision: int = 1
    asked: Any = None
    """The keys that a recipe gave."""

    def configured(self, config: PartConfig) -> "Scope":
        """Return the row with the keys that a recipe gives it."""
        return replace(super().configured(config), asked=config)

    def groups(self, layers: Layers, left: Left, probe: Any = None, criterion: Any = None) -> list[Group]:
        """Return the groups of one level; a scope with `outliers` asks for them where there is a probe."""
        looked = {} if self.outliers is None or probe is None else self.outliers(probe, self.asked, criterion)
        groups: list[Group] = self.make(layers, left, **({"outliers": looked} if looked else {}))
        return groups


def on_the_way(groups: list[Group], layers: Layers, iterations: int) -> Iterator[list[Group]]:
    """Yield the groups of every iteration, the last as they are: their units fall by the same factor each time.

    Args:
        groups: what stays in the end.
        layers: before any of it.
        iterations: how many lists are yielded.
    """
    for done in range(1, iterations):
        part = done / iterations
        now = [sum(layers[name].kept for name in names) for names, _ in groups]
        yield [
            Group(names, round(before * (keep / max(1, before)) ** part))
            for (names, keep), before in zip(groups, now, strict=True)
        ]
    yield groups


def check_groups(groups: list[Group], layers: Layers, gave: str) -> None:
    """Raise RecipeError unless every layer is in one group, and no group keeps more than it has.

    Args:
        groups: by a scope, perhaps a user's.
        layers: all that were to be ranked.
        gave: begins the message.
    """
    if sorted(name for names, _ in groups for name in names) != sorted(layers):
        raise RecipeError(f"{gave}: each layer has to be in exactly one group that is ranked together")
    for names, keep in groups:
        have = sum(layers[name].kept for name in names)
        if not 0 <= keep <= have:
            raise RecipeError(f"{gave} would keep {keep:,} of {have:,} in {', '.join(names[:3])}")


SCOPES: Registry[Scope] = Registry("scope", Scope, error=RecipeError)


@SCOPES.add("global", cite="Frankle & Carbin 2019, section 4", words="all layers ranked together")
def model_wide(layers: Layers, left: Left) -> list[Group]:
    """Rank the weights of all layers together."""
    return [Group(tuple(layers), _in_all(layers, left))]


@SCOPES.add("layerwise", cite="Frankle & Carbin 2019, section 2", words="each layer ranked alone", takes_rates=True)
def layerwise(layers: Layers, left: Left) -> list[Group]:
    """Rank each layer's weights alone; each loses the same fraction, or that of its own rate."""
    return [Group((name,), left(layer.kept, layer.units, name)) for name, layer in layers.items()]


@SCOPES.add("rows", cite="Sun et al. 2024, section 3", words="the weights of each output ranked alone", by_rows=True)
def rows(layers: Layers, left: Left) -> list[Group]:
    """Rank the weights of each output alone; each loses as many as any other of its layer, rounded down."""
    return [Group((name,), in_rows(layer, left(layer.kept, layer.units, name))) for name, layer in layers.items()]


def in_rows(layer: Layer, count: int) -> int:
    """Return how many weights of a layer stay where `count` are asked for and all outputs lose equally many."""
    outputs = layer.shape[0]
    return min(layer.kept, layer.units - (layer.units - count) // outputs * outputs)


@SCOPES.add("uniform", cite="Zhu & Gupta 2017", words="one density in all layers")
def uniform(layers: Layers, left: Left) -> list[Group]:
    """Give all layers one density; their counts add up exactly."""
    weights = {name: Fraction(layer.units) for name, layer in layers.items()}
    return _groups(layers, _in_all(layers, left), weights)


@SCOPES.add("uniform+", cite="Gale et al. 2019, section 4", words="one density, first and last layer denser")
def uniform_plus(layers: Layers, left: Left) -> list[Group]:
    """Keep the first convolution dense; where less than a fifth of all is kept, a fifth of the last linear layer.

    All other layers have one density.
    """
    count, whole = _in_all(layers, left), sum(layer.units for layer in layers.values())
    convolutions = [name for name, layer in layers.items() if len(layer.shape) > 2]
    fixed = {name: layers[name].kept for name in convolutions[:1]}
    if 5 * count < whole:
        linear = [name for name, layer in layers.items() if len(layer.shape) == 2]
        fixed |= {name: min(layers[name].kept, round(layers[name].units / 5)) for name in linear[-1:]}
    if len(fixed) == len(layers):
        raise RecipeError(f"scope uniform+: nothing is left to prune beside {' and '.join(fixed)}")
    if sum(fixed.values()) > count:
        raise RecipeError(f"scope uniform+: {count:,} weights are fewer than {' and '.join(fixed)} need; keep more")
    rest = {name: Fraction(layer.units) for name, layer in layers.items() if name not in fixed}
    return _groups(layers, count, rest, fixed)


@SCOPES.add("erk", cite="Evci et al. 2020, section 3; Mocanu et al. 2018", words="densities of Erdos-Renyi-Kernel")
def erk(layers: Layers, left: Left) -> list[Group]:
    """Give layers densities in proportion to (sum of the shape) / (product of the shape), at most 1."""
    weights = {name: Fraction(sum(one.shape) * one.units, prod(one.shape)) for name, one in layers.items()}
    return _groups(layers, _in_all(layers, left), weights)


@SCOPES.add("er", cite="Mocanu et al. 2018, section 2", words="densities of Erdos-Renyi")
def er(layers: Layers, left: Left) -> list[Group]:
    """Give layers densities in proportion to (inputs + outputs) / (inputs x outputs), at most 1, kernels left out."""
    weights = {name: Fraction(sum(one.shape[:2]) * one.units, prod(one.shape[:2])) for name, one in layers.items()}
    return _groups(layers, _in_all(layers, left), weights)


@SCOPES.add("smart-ratio", cite="Su et al. 2020, section 4", words="densities that fall with depth")
def smart_ratio(layers: Layers, left: Left) -> list[Group]:
    """Keep 0.3 of linear layers; of L layers give the l-th, if a convolution, a density as (L - l + 1)^2 + (L - l + 1).

    Densities are 1 at most. Linear layers count among the L.
    """
    count, linear, rest = _in_all(layers, left), dict[str, int](), dict[str, Fraction]()
    for depth, (name, layer) in zip(range(len(layers), 0, -1), layers.items(), strict=True):
        if len(layer.shape) > 2:
            rest[name] = Fraction(layer.units * (depth**2 + depth))
        else:
            linear[name] = min(layer.kept, round(3 * layer.units / 10))
    least, most = sum(linear.values()), sum(linear.values()) + sum(layers[name].kept for name in rest)
    if not rest:
        raise RecipeError("scope smart-ratio: the network has no convolution; choose erk or uniform")
    if not least < count <= most:
        what = f"0.3 of linear layers and some of the convolutions are {least + 1:,} to {most:,} weights, not {count:,}"
        raise RecipeError(f"scope smart-ratio: {what}; choose another sparsity, or erk")
    return _groups(layers, count, rest, linear)


def _in_all(layers: Layers, left: Left) -> int:
    return left(sum(layer.kept for layer in layers.values()), sum(layer.units for layer in layers.values()), None)


def _groups(
    layers: Layers, count: int, weights: Mapping[str, Fraction], fixed: Mapping[str, int] | None = None
) -> list[Group]:
    """Return a group for each layer, of `count` in all: as many as `fixed` says, the rest in proportion to `weights`.

    No layer gets more than it has left: what it cannot take goes to the others. Counts are rounded by largest
    remainders; of equal ones the earlier layer's goes up.
    """
    counts = dict(fixed or {})
    free, rest = count - sum(counts.values()), dict(weights)
    while full := [name for name in rest if free * rest[name] > layers[name].kept * sum(rest.values())]:
        counts |= {name: layers[name].kept for name in full}
        free -= sum(layers[name].kept for name in full)
        rest = {name: weight for name, weight in rest.items() if name not in full}
    shares = {name: free * weight / sum(rest.values()) for name, weight in rest.items()}
    counts |= {name: int(share) for name, share in shares.items()}
    up = sorted(shares, key=lambda name: int(shares[name]) - shares[name])
    for name in up[: count - sum(counts.values())]:
        counts[name] += 1
    return [Group((name,), counts[name]) for name in layers]
