"""Magnitude pruning: exact counts, ties by index, global or layer by layer."""

import math
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Annotated, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from ticketzoo.errors import RecipeError, RunError
from ticketzoo.recipe import Config
from ticketzoo.ticket.masks import Masks, kept, total

Rate = Annotated[float, Field(gt=0, lt=1)]

_PIECE = 1 << 16
"""Weights looked at together: they and their temporaries fit a core's level-2 cache."""


class PruningConfig(Config):
    """What one pruning round removes: the fraction `rate` of the surviving weights of smallest magnitude.

    `global` pools the weights of all layers, `layerwise` takes the fraction of each. Magnitudes are compared as they
    are, not normalised per layer. `rates` overrides `rate` for layers (layerwise only; of several patterns that match
    the first counts), `exclude` leaves layers dense and uncounted; both name layers by pattern, e.g. `fc3`, `layer1.*`.
    """

    scope: Literal["global", "layerwise"] = "global"
    rate: Rate = 0.2
    rates: dict[str, Rate] = Field(default={})
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


def check_rounds(masks: Masks, config: PruningConfig, rounds: int) -> None:
    """Raise RecipeError if, of so many pruning rounds from `masks`, one would leave no weight or remove none."""
    left = [(kept(masks), config.rate)]
    if config.scope == "layerwise":
        left = [(kept({name: mask}), _rate_of(name, config)) for name, mask in masks.items()]
    for level in range(1, rounds + 1):
        before, left = left, [(count - round(rate * count), rate) for count, rate in left]
        if not any(count for count, _ in left):
            raise RecipeError(f"finder.levels: level {level} of {rounds} would keep no weight; lower levels or rate")
        if left == before:
            raise RecipeError(f"finder.levels: level {level} of {rounds} would remove no weight; lower levels")


def prune_by_magnitude(weights: Mapping[str, Tensor], masks: Masks, config: PruningConfig) -> Masks:
    """The masks after one more round on the trained `weights` (Frankle & Carbin 2019, section 2).

    Removes exactly round(rate * survivors) weights of smallest magnitude (Python's round: half to even); among equal
    magnitudes the one earlier in the model goes first. The result is a subset of `masks`, which is not changed.

    Raises:
        RunError: a weight that `masks` keeps is NaN.
    """
    if config.scope == "global":
        return remove_smallest(weights, masks, config.rate)
    return {name: remove_smallest(weights, {name: mask}, _rate_of(name, config))[name] for name, mask in masks.items()}


def remove_smallest(weights: Mapping[str, Tensor], masks: Masks, rate: float) -> Masks:
    """Remove round(rate * survivors) of the survivors in `masks`: those of smallest magnitude among all of them.

    Nothing is sorted whole. A random sample brackets the magnitude that divides what goes from what stays. One pass
    over the weights, in pieces that fit a processor's cache, drops the survivors below the bracket and collects the
    few inside it, of which exactly as many as are still missing go. A bracket that misses is opened on that side and
    the pass repeated, so chance decides how long this takes but never what is removed.

    Magnitudes are compared as float32 and on the CPU; the masks returned are where the given ones are.
    Raises RunError when a surviving weight is NaN.
    """
    survivors = kept(masks)
    count = round(rate * survivors)
    low, high = _bracket(weights, masks, count / max(1, survivors))
    while True:
        splits = {name: _split(name, weights[name], mask, low, high) for name, mask in masks.items()}
        inside = np.concatenate([split.magnitudes for split in splits.values()])
        missing = count - (survivors - sum(int(np.count_nonzero(split.keep)) for split in splits.values()))
        if missing < 0:
            low = 0.0
        elif missing > len(inside):
            high = math.inf
        else:
            break
    ends = np.cumsum([len(split.positions) for split in splits.values()])
    for split, gone in zip(splits.values(), np.split(_smallest(inside, missing), ends[:-1]), strict=True):
        split.keep[split.positions[gone]] = False
    return {name: torch.from_numpy(splits[name].keep).view(mask.shape).to(mask.device) for name, mask in masks.items()}


class _Split(NamedTuple):
    """The survivors of one flattened parameter, divided by a bracket of magnitudes."""

    keep: NDArray[np.bool_]
    """True for the survivors inside the bracket or above it."""
    positions: NDArray[np.int64]
    """Where the survivors inside the bracket are, in order."""
    magnitudes: NDArray[np.float32]
    """Their magnitudes."""


def _split(name: str, weight: Tensor, mask: Tensor, low: float, high: float) -> _Split:
    """Divide survivors by the bracket from `low` to `high`, ends included. Raises RunError when one is NaN."""
    flat, survives = weight.detach().cpu().reshape(-1), mask.cpu().reshape(-1).numpy()
    keep = np.empty(len(survives), np.bool_)
    positions, magnitudes = [np.empty(0, np.int64)], [np.empty(0, np.float32)]
    for start in range(0, len(keep), _PIECE):
        here = slice(start, start + _PIECE)
        magnitude: NDArray[np.float32] = flat[here].abs().float().numpy()
        if np.isnan(magnitude.max()) and np.isnan(magnitude[survives[here]]).any():
            raise RunError(f"weight '{name}' is NaN where its mask keeps it: the training diverged, lower its lr")
        keep[here] = survives[here] & (magnitude >= low)
        inside = np.flatnonzero(keep[here] & (magnitude <= high))
        positions.append(inside + start)
        magnitudes.append(magnitude[inside])
    return _Split(keep, np.concatenate(positions), np.concatenate(magnitudes))


def _bracket(weights: Mapping[str, Tensor], masks: Masks, fraction: float) -> tuple[float, float]:
    """Magnitudes between which the `fraction`-quantile of the survivors lies, but for one time in a million.

    Of n weights n**(2/3) are sampled: then looking at the sample and ranking what it leaves open cost about the same.
    """
    share = max(1, total(masks)) ** (-1 / 3)
    generator = np.random.default_rng(0)
    magnitudes = []
    for name, mask in masks.items():
        drawn = generator.integers(max(1, mask.numel()), size=math.ceil(share * mask.numel()))
        here = torch.from_numpy(drawn)
        survives = mask.reshape(-1)[here].cpu()
        magnitudes.append(weights[name].detach().reshape(-1)[here].cpu().abs().float()[survives])
    sample = torch.cat(magnitudes).sort().values
    middle, spread = fraction * len(sample), math.sqrt(fraction * (1 - fraction) * len(sample))
    first, last = math.floor(middle - 5 * spread) - 1, math.ceil(middle + 5 * spread) + 1
    return (
        float(sample[first]) if first >= 0 else 0.0,
        float(sample[last]) if last < len(sample) else math.inf,
    )


def _smallest(magnitudes: NDArray[np.float32], count: int) -> NDArray[np.bool_]:
    """Which are the `count` smallest; among equal ones the earlier are."""
    if count == 0:
        return np.zeros(len(magnitudes), np.bool_)
    largest = np.partition(magnitudes, count - 1)[count - 1]
    smallest: NDArray[np.bool_] = magnitudes < largest
    ties = np.flatnonzero(magnitudes == largest)
    smallest[ties[: count - np.count_nonzero(smallest)]] = True
    return smallest


def _rate_of(name: str, config: PruningConfig) -> float:
    return next((rate for pattern, rate in config.rates.items() if _matches(name, pattern)), config.rate)


def _layer(name: str) -> str:
    return name.removesuffix(".weight")


def _matches(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) or fnmatchcase(_layer(name), pattern)
