"""Magnitude pruning: exact counts, ties by index, global or layer by layer."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from ticketzoo.errors import RecipeError
from ticketzoo.masks.masks import Masks, kept, total
from ticketzoo.masks.topk import keep_largest
from ticketzoo.recipe import Config

Rate = Annotated[float, Field(gt=0, lt=1)]


class PruningConfig(Config):
    """The settings of a pruning round: it removes the fraction `rate` of the survivors, those of smallest magnitude.

    With `rate_of: original` it is that fraction of all prunable weights, so that rate 0.1 gives sparsities 0.1, 0.2, ..
    (Chen et al. 2020, section 3).
    `global` pools the weights of all layers, `layerwise` takes the fraction of each. Magnitudes are compared as they
    are, not normalised per layer. `rates` overrides `rate` for layers (layerwise only; of several patterns that match
    the first counts), `exclude` leaves layers dense and uncounted; both name layers by pattern, e.g. `fc3`, `layer1.*`.
    """

    scope: Literal["global", "layerwise"] = "global"
    rate: Rate = 0.2
    rate_of: Literal["survivors", "original"] = "survivors"
    rates: dict[str, Rate] = Field(default={})
    exclude: tuple[str, ...] = ()


def dense_masks(parameters: Mapping[str, Tensor], config: PruningConfig) -> Masks:
    """Return all-True masks of the parameters that `config` lets be pruned.

    Raises:
        RecipeError: a pattern of `rates` or `exclude` matches no layer, or nothing is left to prune.
    """
    for key in ("rates", "exclude"):
        for pattern in getattr(config, key):
            if not any(_matches(name, pattern) for name in parameters):
                layers = ", ".join(_layer(name) for name in parameters)
                raise RecipeError(f"finder.{key}: {pattern!r} matches no layer of the model; its layers: {layers}")
    masks = {
        name: torch.ones(parameter.shape, dtype=torch.bool)
        for name, parameter in parameters.items()
        if not any(_matches(name, pattern) for pattern in config.exclude)
    }
    if not masks:
        raise RecipeError("finder.exclude: leaves no layer to prune")
    return masks


def check_rounds(masks: Masks, config: PruningConfig, rounds: int) -> None:
    """Raise RecipeError if, of so many pruning rounds from `masks`, one would leave no weight or remove none."""
    left = [kept(group) for group, _ in _groups(masks, config)]
    for level in range(1, rounds + 1):
        before, left = (
            left,
            [
                _left(count, total(group), rate, config)
                for count, (group, rate) in zip(left, _groups(masks, config), strict=True)
            ],
        )
        if not any(left):
            raise RecipeError(f"level {level} of {rounds} would keep no weight; ask for fewer, or lower finder.rate")
        if left == before:
            raise RecipeError(f"level {level} of {rounds} would remove no weight; ask for fewer")


def prune_by_magnitude(weights: Mapping[str, Tensor], masks: Masks, config: PruningConfig) -> Masks:
    """Return the masks after one more round on the trained `weights` (Frankle & Carbin 2019, section 2).

    Removes exactly round(rate * survivors) weights of smallest magnitude (Python's round: half to even); among equal
    magnitudes the one earlier in the model goes first. The result is a subset of `masks`, which is not changed.

    Raises:
        RunError: a weight that `masks` keeps is NaN.
    """
    pruned: Masks = {}
    for group, rate in _groups(masks, config):
        pruned |= keep_largest(weights, group, _left(kept(group), total(group), rate, config))
    return pruned


def sized(masks: Masks, config: PruningConfig) -> Masks:
    """Return masks of the sizes that one more round gives, at positions that mean nothing: for plans."""
    pruned: Masks = {}
    for group, rate in _groups(masks, config):
        left = _left(kept(group), total(group), rate, config)
        for name, mask in group.items():
            keep, left = min(left, int(mask.count_nonzero())), max(0, left - int(mask.count_nonzero()))
            flat = mask.flatten().clone()
            flat[mask.flatten().nonzero().flatten()[keep:]] = False
            pruned[name] = flat.view_as(mask)
    return pruned


def remove_smallest(weights: Mapping[str, Tensor], masks: Masks, rate: float) -> Masks:
    """Remove round(rate * survivors) of the survivors in `masks`: those of smallest magnitude among all of them."""
    return prune_by_magnitude(weights, masks, PruningConfig(rate=rate))


def _groups(masks: Masks, config: PruningConfig) -> list[tuple[Masks, float]]:
    """Return the masks whose weights are ranked together, and the rate of each group."""
    if config.scope == "global":
        return [(masks, config.rate)]
    return [({name: mask}, _rate_of(name, config)) for name, mask in masks.items()]


def _left(survivors: int, original: int, rate: float, config: PruningConfig) -> int:
    """Return how many of `survivors` one round leaves."""
    return max(0, survivors - round(rate * (survivors if config.rate_of == "survivors" else original)))


def _rate_of(name: str, config: PruningConfig) -> float:
    return next((rate for pattern, rate in config.rates.items() if _matches(name, pattern)), config.rate)


def _layer(name: str) -> str:
    return name.removesuffix(".weight")


def _matches(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) or fnmatchcase(_layer(name), pattern)
