"""The keys of a recipe that say what pruning removes, and which layers it can."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Annotated, Literal

import torch
from pydantic import AfterValidator, Field, model_validator
from torch import Tensor, nn

from ticketzoo.errors import RecipeError
from ticketzoo.masks.masks import Masks
from ticketzoo.models import prunable_parameters
from ticketzoo.pruning.criteria import CRITERIA
from ticketzoo.pruning.schedule import SCHEDULES
from ticketzoo.pruning.scope import SCOPES
from ticketzoo.pruning.structure import STRUCTURES
from ticketzoo.recipe import Config

Rate = Annotated[float, Field(gt=0, lt=1)]
Sparsity = Annotated[float, Field(gt=0, lt=1)]


class PruningConfig(Config):
    """The settings of pruning: by default each round removes a fifth of the survivors, those of smallest magnitude.

    scope: which weights are ranked together: `global` those of all layers; `layerwise` each layer's, which loses the
        same fraction as the others; the other scopes set layer densities. Magnitudes are compared as they are, not
        normalized per layer.
    rate: fraction that a round removes of the surviving weights; with `rate_of: original` of all prunable weights, so
        that 0.1 gives sparsities 0.1, 0.2, .. (Chen et al. 2020, section 3).
    rates: the same for layers by pattern, e.g. `fc3`, `layer1.*`, with scope: layerwise; the first that matches counts.
    exclude: layers that stay dense and uncounted, by pattern.
    include: parameters that are pruned although they are no weights of linear or convolution layers, or although the
        task does not train them, by pattern: `lstm.weight_hh_l0`, `*.bias`, `*pooler.dense`.
    criterion: what a weight is worth.
    structure: what is removed as one.
    schedule: how many weights each level keeps.
    sparsities: fractions removed at levels 1, 2, .., with schedule: sparsities.
    """

    scope: Annotated[str, AfterValidator(SCOPES.known)] = "global"
    rate: Rate = 0.2
    rate_of: Literal["survivors", "original"] = "survivors"
    rates: dict[str, Rate] = Field(default={})
    exclude: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    criterion: Annotated[str, AfterValidator(CRITERIA.known)] = "magnitude"
    structure: Annotated[str, AfterValidator(STRUCTURES.known)] = "weight"
    schedule: Annotated[str, AfterValidator(SCHEDULES.known)] = "rate"
    sparsities: tuple[Sparsity, ...] = ()

    @model_validator(mode="after")
    def _keys_go_together(self) -> "PruningConfig":
        if self.rates and not SCOPES[self.scope].takes_rates:
            raise ValueError("rates (per layer) go with scope: layerwise")
        if bool(self.sparsities) != (SCHEDULES[self.schedule].make is SCHEDULES["sparsities"].make):
            raise ValueError("sparsities (a list) go with schedule: sparsities")
        if list(self.sparsities) != sorted(set(self.sparsities)):
            raise ValueError("sparsities must rise from level to level")
        return self


def prunable(model: nn.Module, config: PruningConfig) -> dict[str, nn.Parameter]:
    """Return the parameters that masks may cover, in the model's order, tied ones once.

    These are the model's prunable ones (`ticketzoo.models.prunable_parameters`) and those that `include` names.

    Raises:
        RecipeError: a pattern of `include` matches no parameter.
    """
    named = dict(model.named_parameters())
    for pattern in config.include:
        if not any(matches(name, pattern) for name in named):
            there = ", ".join([*named][:20]) + (f" and {len(named) - 20} more" if len(named) > 20 else "")
            raise RecipeError(f"finder.include: {pattern!r} matches no parameter of the model; its parameters: {there}")
    default = prunable_parameters(model)
    return {name: one for name, one in named.items() if name in default or included(name, config)}


def included(name: str, config: PruningConfig) -> bool:
    """Say whether `include` names a parameter."""
    return any(matches(name, pattern) for pattern in config.include)


def dense_masks(parameters: Mapping[str, Tensor], config: PruningConfig) -> Masks:
    """Return all-True masks of the parameters that `config` lets be pruned.

    Raises:
        RecipeError: a pattern of `rates` or `exclude` matches no layer, or nothing is left to prune.
    """
    for key in ("rates", "exclude"):
        for pattern in getattr(config, key):
            if not any(matches(name, pattern) for name in parameters):
                layers = ", ".join(_layer(name) for name in parameters)
                raise RecipeError(f"finder.{key}: {pattern!r} matches no layer of the model; its layers: {layers}")
    masks = {
        name: torch.ones(parameter.shape, dtype=torch.bool)
        for name, parameter in parameters.items()
        if not any(matches(name, pattern) for pattern in config.exclude)
    }
    if not masks:
        raise RecipeError("finder.exclude: leaves no layer to prune")
    return masks


def matches(name: str, pattern: str) -> bool:
    """Say whether a parameter is named by a pattern: by its own name, or by that of its layer."""
    return fnmatchcase(name, pattern) or fnmatchcase(_layer(name), pattern)


def _layer(name: str) -> str:
    return name.removesuffix(".weight")
