"""Structures: what is removed as one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod

from torch import Tensor

from ticketzoo.errors import RecipeError
from ticketzoo.masks.masks import Masks
from ticketzoo.masks.topk import keep_highest, keep_largest
from ticketzoo.pruning.part import Part
from ticketzoo.util.registry import Registry


def _one(name: str, shape: tuple[int, ...]) -> int:
    return 1


@dataclass(frozen=True)
class Structure(Part):
    """A row of `STRUCTURES`.

    `make(scores, masks, count, by_magnitude)` gives masks of the `count` units of highest score among the survivors.
    Scores are of single weights; with `by_magnitude` their absolute values count.

    Attributes:
        weights_of_one: `weights_of_one(name, shape)` is the number of weights in a unit of a parameter; default 1.
            Scopes and schedules count units. Raises RecipeError for parameters that have none.
        single: whether a unit is a weight, so that all criteria go with it.
    """

    weights_of_one: Callable[[str, tuple[int, ...]], int] = _one
    single: bool = False


STRUCTURES: Registry[Structure] = Registry("structure", Structure, error=RecipeError)


@STRUCTURES.add("weight", cite="LeCun et al. 1990", words="single weights", single=True)
def weight(scores: Mapping[str, Tensor], masks: Masks, count: int, by_magnitude: bool) -> Masks:
    """Remove single weights."""
    keep = keep_largest if by_magnitude else keep_highest
    return keep(scores, masks, count)


def _weights_of_a_filter(name: str, shape: tuple[int, ...]) -> int:
    if len(shape) < 3:
        raise RecipeError(f"structure filter: '{name}' is no convolution; add its layer to finder.exclude")
    return prod(shape[1:])


@STRUCTURES.add(
    "filter", cite="Li et al. 2017, section 3.1", words="filters of convolutions", weights_of_one=_weights_of_a_filter
)
def filters(scores: Mapping[str, Tensor], masks: Masks, count: int, by_magnitude: bool) -> Masks:
    """Remove output filters of convolutions, each scored by the sum over its weights: by magnitude the L1 norm.

    The masks are of the filter's own weights. Its bias, BatchNorm and the inputs that other layers take from it stay.
    """
    sums, units = {}, {}
    for name, mask in masks.items():
        values = scores[name].detach().double().to(mask.device).where(mask, 0)
        sums[name] = (values.abs() if by_magnitude else values).flatten(1).sum(1)
        units[name] = mask.flatten(1).any(1)
    kept = keep_highest(sums, units, count)
    return {name: mask & kept[name].view(-1, *[1] * (mask.dim() - 1)) for name, mask in masks.items()}
