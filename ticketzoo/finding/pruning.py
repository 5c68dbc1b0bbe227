"""Magnitude pruning: exact counts, ties by index, global or layer by layer."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from ticketzoo.errors import RecipeError
from ticketzoo.recipe import Config
from ticketzoo.ticket.masks import Masks

Rate = Annotated[float, Field(gt=0, lt=1)]


class PruningConfig(Config):
    """What one pruning round removes: the fraction `rate` of the surviving weights of smallest magnitude.

    `global` pools the weights of all layers, `layerwise` takes the fraction of each. Magnitudes are compared as they
    are, not normalised per layer. `rates` overrides `rate` for layers (layerwise only), `exclude` leaves layers dense
    and uncounted; both name layers by pattern, e.g. `fc3` or `layer1.*`.
    """

    scope: Literal["global", "layerwise"] = "global"
    rate: Rate = 0.2
    rates: dict[str, Rate] = {}
    exclude: tuple[str, ...] = ()


def dense_masks(parameters: Mapping[str, Tensor], config: PruningConfig) -> Masks:
    """All-True masks of the parameters that `config` lets be pruned.

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


def prune_by_magnitude(weights: Mapping[str, Tensor], masks: Masks, config: PruningConfig) -> Masks:
    """The masks after one more round on the trained `weights` (Frankle & Carbin 2019, section 2).

    Removes exactly round(rate * survivors) weights of smallest magnitude (round half to even); among equal magnitudes
    the one earlier in the model goes first. The result is a subset of `masks`, which is not changed.
    """
    if config.scope == "global":
        return remove_smallest(weights, masks, config.rate)
    return {
        name: remove_smallest(weights, {name: mask}, _rate_of(name, config))[name] for name, mask in masks.items()
    }


def remove_smallest(weights: Mapping[str, Tensor], masks: Masks, rate: float) -> Masks:
    """Remove the fraction `rate` of the survivors in `masks`, pooled over all of them."""
    magnitudes = torch.cat([weights[name].detach().abs()[mask].float() for name, mask in masks.items()])
    count = round(rate * len(magnitudes))
    keep = torch.ones(len(magnitudes), dtype=torch.bool)
    if count:
        threshold = magnitudes.kthvalue(count).values
        keep = magnitudes >= threshold
        excess = count - (len(magnitudes) - int(keep.sum()))
        ties = (magnitudes == threshold).nonzero().flatten()[:excess]
        keep[ties] = False
    parts = keep.split([int(mask.sum()) for mask in masks.values()])
    return {
        name: torch.zeros_like(mask).masked_scatter_(mask, part)
        for (name, mask), part in zip(masks.items(), parts, strict=True)
    }


def _rate_of(name: str, config: PruningConfig) -> float:
    return next((rate for pattern, rate in config.rates.items() if _matches(name, pattern)), config.rate)


def _layer(name: str) -> str:
    return name.removesuffix(".weight")


def _matches(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) or fnmatchcase(_layer(name), pattern)
