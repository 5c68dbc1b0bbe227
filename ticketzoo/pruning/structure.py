"""Structures: what is removed as one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from ticketzoo.errors import RecipeError
from ticketzoo.masks.masks import Masks
from ticketzoo.masks.topk import keep_highest, keep_largest
from ticketzoo.util.registry import Registry


@dataclass(frozen=True)
class Structure:
    """A row of `STRUCTURES`.

    Attributes:
        name: by which recipes ask for it.
        make: `make(scores, masks, count, by_magnitude)` gives the masks of the `count` survivors of highest score, or
            as many as can be removed as whole structures.
        cite: where it comes from.
    """

    name: str
    make: Callable[[Mapping[str, Tensor], Masks, int, bool], Masks]
    cite: str


STRUCTURES: Registry[Structure] = Registry("structure", Structure, error=RecipeError)


@STRUCTURES.add("weight", cite="LeCun et al. 1990")
def weight(scores: Mapping[str, Tensor], masks: Masks, count: int, by_magnitude: bool) -> Masks:
    """Remove single weights: exactly `count` are kept."""
    keep = keep_largest if by_magnitude else keep_highest
    return keep(scores, masks, count)
