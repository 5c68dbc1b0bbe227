"""Structures: what is removed as one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

from torch import Tensor, nn

from ticketzoo.errors import RecipeError
from ticketzoo.masks.masks import Masks
from ticketzoo.masks.rows import keep_in_rows
from ticketzoo.masks.topk import keep_highest, keep_largest
from ticketzoo.models.layers import inputs_first
from ticketzoo.pruning.part import Part, PartConfig
from ticketzoo.pruning.scope import Group, Layer
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
        scope: of recipes that state none.
        inputs_first: names of the parameters that are [inputs, outputs].
        on: `on(row, model, config, schedule)` gives the structure on a network, of rows that follow its graph.
    """

    weights_of_one: Callable[[str, tuple[int, ...]], int] = _one
    single: bool = False
    scope: str = "global"
    on: "Callable[[Structure, nn.Module | None, Any, PartConfig], Structure] | None" = None
    inputs_first: frozenset[str] = frozenset()

    def fitted(self, config: PartConfig, model: nn.Module | None, schedule: PartConfig) -> "Structure":
        """Return the row with the keys that a recipe gives it, on a network where it needs one."""
        if self.on is not None:
            return self.on(self, model, config, schedule)
        return replace(self.configured(config), inputs_first=frozenset() if model is None else inputs_first(model))

    def layers(self, masks: Masks) -> dict[str, Layer]:
        """Return the parameters that may lose units, and how many each has left."""
        found = {}
        for name, mask in masks.items():
            each, shape = self.weights_of_one(name, tuple(mask.shape)), tuple(mask.shape)
            shape = shape[::-1] if name in self.inputs_first else shape
            found[name] = Layer(shape, mask.numel() // each, -(-int(mask.count_nonzero()) // each))
        return found

    def units(self, masks: Masks) -> Masks:
        """Return what the masks keep, a bool for each unit."""
        return {name: masks[name].reshape(layer.units, -1).any(1) for name, layer in self.layers(masks).items()}

    def check(self, groups: Sequence[Group]) -> None:
        """Raise RecipeError for numbers of units that cannot stay."""

    def best(
        self, scores: Mapping[str, Tensor], masks: Masks, groups: Sequence[Group], by_magnitude: bool, scored: Masks
    ) -> Masks:
        """Return the masks that keep of each group the units of highest score, as many as it says.

        Args:
            scores: of single weights.
            masks: to remove units of.
            groups: all of the masks.
            by_magnitude: whether absolute values count.
            scored: the masks under which the scores were computed.
        """
        found: Masks = {}
        for names, count in groups:
            found |= self.make(scores, {name: masks[name] for name in names}, count, by_magnitude)
        return {name: found[name] for name in masks}

    def best_in_rows(
        self,
        scores: Mapping[str, Tensor],
        masks: Masks,
        groups: Sequence[Group],
        by_magnitude: bool,
        eligible: Mapping[str, Tensor] | None,
    ) -> Masks:
        """Return the masks that keep of each output of a layer the single weights of highest score."""
        counts, turned = {name: keep for (name,), keep in groups}, self.inputs_first
        return keep_in_rows(scores, masks, counts, inputs_first=turned, by_magnitude=by_magnitude, eligible=eligible)


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
    "filter",
    cite="Li et al. 2017, section 3.1",
    words="rows only of filters of convolutions (deprecated: filters takes their inputs out, too)",
    weights_of_one=_weights_of_a_filter,
)
def filters(scores: Mapping[str, Tensor], masks: Masks, count: int, by_magnitude: bool) -> Masks:
    """Remove output filters of convolutions, each scored by the sum over its weights: by magnitude the L1 norm.

    Rows only, deprecated: the masks are of the filter's own weights. Its bias, BatchNorm and the inputs that other
    layers take from it stay, so it still gives a constant. Recipes that have it are read on; `filters` is exact.
    """
    sums, units = {}, {}
    for name, mask in masks.items():
        values = scores[name].detach().double().to(mask.device).where(mask, 0)
        sums[name] = (values.abs() if by_magnitude else values).flatten(1).sum(1)
        units[name] = mask.flatten(1).any(1)
    kept = keep_highest(sums, units, count)
    return {name: mask & kept[name].view(-1, *[1] * (mask.dim() - 1)) for name, mask in masks.items()}
