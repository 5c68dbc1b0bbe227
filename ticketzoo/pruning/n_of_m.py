"""The structure `n:m`: of every m weights in a row of inputs n stay, as sparse tensor cores compute them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, model_validator
from torch import Tensor, nn

from ticketzoo.errors import RecipeError
from ticketzoo.masks.masks import Masks
from ticketzoo.masks.rows import keep_in_rows
from ticketzoo.models.layers import inputs_first
from ticketzoo.pruning.part import PartConfig
from ticketzoo.pruning.schedule import LevelsConfig
from ticketzoo.pruning.scope import Group, Layer
from ticketzoo.pruning.structure import STRUCTURES, Structure


class NOfMConfig(PartConfig):
    """The keys of structure `n:m`.

    Attributes:
        name: name of the structure.
        n: number of weights that stay.
        m: consecutive inputs of an output that they stay of.
    """

    name: str = "n:m"
    n: Annotated[int, Field(ge=1, le=255)] = 2
    m: Annotated[int, Field(ge=2, le=256)] = 4

    @model_validator(mode="after")
    def _some_go(self) -> "NOfMConfig":
        if self.n >= self.m:
            raise ValueError(f"{self.n} of {self.m} removes nothing: n must be below m")
        return self


@dataclass(frozen=True)
class NOfMStructure(Structure):
    """The structure on a network."""

    n: int = 2
    m: int = 4

    def layers(self, masks: Masks) -> dict[str, Layer]:
        """Return the parameters. Raises RecipeError where `m` does not divide the inputs of an output."""
        for name, mask in masks.items():
            inputs = mask.shape[0] if name in self.inputs_first else mask[0].numel()
            if inputs % self.m:
                what = f"structure n:m: '{name}' has {inputs} inputs, which {self.m} does not divide"
                raise RecipeError(f"{what}: choose another m, or add its layer to finder.exclude")
        return super().layers(masks)

    def best(
        self, scores: Mapping[str, Tensor], masks: Masks, groups: Sequence[Group], by_magnitude: bool, scored: Masks
    ) -> Masks:
        """Return the masks of the `n` highest of every `m`, whatever the groups are."""
        found: Masks = {}
        for name, mask in masks.items():
            turned = name in self.inputs_first
            score, here = ((one.T if turned else one).reshape(-1, self.m) for one in (scores[name], mask))
            count = {name: self.n * len(here)}
            best = keep_in_rows({name: score}, {name: here}, count, by_magnitude=by_magnitude)[name]
            shape = mask.T.shape if turned else mask.shape
            best = best.view(shape)
            found[name] = best.T.contiguous() if turned else best
        return found


def _fitted(row: Structure, model: nn.Module | None, config: NOfMConfig, schedule: PartConfig) -> Structure:
    sparsity = 1 - config.n / config.m
    asked = schedule.levels if isinstance(schedule, LevelsConfig) else (getattr(schedule, "rate", None),)
    if any(one is None or abs(one - sparsity) > 1e-9 for one in asked) or schedule.layer_patterns:
        what = f"structure n:m keeps {config.n} of {config.m}"
        raise RecipeError(f"{what}: set finder.levels to 1 and finder.prune.schedule.levels to [{sparsity:g}]")
    turned = frozenset() if model is None else inputs_first(model)
    named, keys = (row.name, row.make, row.cite, row.words), (config.n, config.m)
    return NOfMStructure(*named, n=keys[0], m=keys[1], inputs_first=turned)


@STRUCTURES.add(
    "n:m",
    config=NOfMConfig,
    cite="Mishra et al. 2021, section 3",
    words="all but n of every m consecutive inputs of an output",
    scope="layerwise",
    on=_fitted,
)
def n_of_m(scores: Mapping[str, Tensor], masks: Masks, count: int, by_magnitude: bool, *, config: NOfMConfig) -> Masks:
    """Keep the best of every few weights: see `NOfMStructure`."""
    return NOfMStructure("n:m", n_of_m, "", n=config.n, m=config.m).best(scores, masks, [], by_magnitude, masks)
