"""The keys of a recipe that say what pruning removes, and which layers it can."""

import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import torch
from pydantic import AfterValidator, Field, SerializeAsAny, model_serializer, model_validator
from torch import Tensor, nn

from ticketzoo.errors import ModelError, RecipeError
from ticketzoo.masks.masks import Masks
from ticketzoo.models import prunable_parameters
from ticketzoo.models.layers import layer_of, matches
from ticketzoo.pruning.criteria import CRITERIA, CriterionConfig
from ticketzoo.pruning.part import NamedIn, PartConfig
from ticketzoo.pruning.schedule import SCHEDULES, Rate, RateConfig
from ticketzoo.pruning.scope import SCOPES
from ticketzoo.pruning.structure import STRUCTURES
from ticketzoo.recipe import Config
from ticketzoo.util.registry import Registry
from ticketzoo.util.text import show_names

COMPARED = {"rows": "rows", "layer": "layerwise", "model": "global"}
"""Scopes by what is compared with what, as the literature of language models says."""


class PruneConfig(Config):
    """The section `finder.prune`: how a level's masks follow from the network of the level before.

    A part is named alone, `criterion: snip`, or with its keys, `schedule: {rate: 0.3}`.

    Attributes:
        criterion: score of a weight: those with the smallest are removed.
        structure: weights that are removed as one: single weights, or by `filters` whole filters with what reads them;
            `filter` masks their rows only and is deprecated.
        scope: weights that are ranked together, or densities that the layers are given. `compared: rows`, `layer` or
            `model` is another word for the scopes `rows`, `layerwise` and `global`.
        schedule: number of weights that each level keeps: a fraction a round, or a list of sparsities.
    """

    criterion: Annotated[PartConfig, SerializeAsAny(), NamedIn(lambda: CRITERIA, "name")] = CriterionConfig(
        name="magnitude"
    )
    structure: Annotated[PartConfig, SerializeAsAny(), NamedIn(lambda: STRUCTURES, "name")] = PartConfig(name="weight")
    scope: Annotated[PartConfig, SerializeAsAny(), NamedIn(lambda: SCOPES, "name")] = PartConfig(name="global")
    schedule: Annotated[PartConfig, SerializeAsAny(), NamedIn(lambda: SCHEDULES, "name", "rate")] = RateConfig()

    @model_validator(mode="before")
    @classmethod
    def _usual_scope(cls, content: Any) -> Any:
        """Read `compared` as a scope; add the scope that goes with structure or criterion, where none is given."""
        if not isinstance(content, dict):
            return content
        if (compared := content.get("compared")) is not None and "scope" not in content:
            if not isinstance(compared, str) or compared not in COMPARED:
                raise ValueError(f"compared: {compared!r}: choose {', '.join(COMPARED)}")
            content = {key: value for key, value in content.items() if key != "compared"}
            return content | {"scope": COMPARED[compared]}
        if "scope" in content:
            return content
        tables: tuple[tuple[str, Registry[Any]], ...] = (("structure", STRUCTURES), ("criterion", CRITERIA))
        for part, table in tables:
            name = content.get(part)
            name = name.get("name") if isinstance(name, dict) else name
            if isinstance(name, str) and name in table and table[name].scope != "global":
                return content | {"scope": table[name].scope}
        return content

    @model_validator(mode="after")
    def _parts_go_together(self) -> "PruneConfig":
        if self.schedule.layer_patterns and not SCOPES[self.scope.name].takes_rates:
            raise ValueError("rates (per layer) go with scope: layerwise")
        row = CRITERIA[self.criterion.name].configured(self.criterion)
        row.check_keys()
        single = row.of_single_weights or row.keys.sign is not None
        if single and not STRUCTURES[self.structure.name].single:
            raise ValueError(f"criterion {row.name} scores single weights: it goes with structure: weight")
        scope = SCOPES[self.scope.name]
        if scope.by_rows and self.structure.name != "weight":
            what = f"scope {scope.name} (compared: rows) ranks the weights of each output alone"
            raise ValueError(f"{what}: it goes with structure: weight, not {self.structure.name}")
        if row.in_order and scope.name == "global":
            what = f"criterion {row.name} prunes block by block, so that layers are ranked alone"
            raise ValueError(f"{what}: set scope: {row.scope}")
        if row.sets_layers and self.scope.name != "global":
            raise ValueError(
                f"criterion {row.name} decides how many weights of a layer stay: it goes with scope: global"
            )
        return self


class PruningConfig(Config):
    """The settings of pruning: by default each round removes a fifth of the survivors, those of smallest magnitude.

    Attributes:
        scope: which weights are ranked together: `global` those of all layers; `layerwise` each layer's, which loses
            the same fraction as the others; the other scopes set layer densities. Magnitudes are compared as they are,
            not normalized per layer.
        rate: fraction that a round removes of the surviving weights; with `rate_of: original` of all prunable weights,
            so that 0.1 gives sparsities 0.1, 0.2, .. (Chen et al. 2020, section 3).
        rate_of: weights that `rate` is a fraction of: those that survive, or all prunable ones.
        rates: fraction that a round removes of a layer, by pattern of layer names, e.g. `fc3`, `layer1.*`, with scope:
            layerwise; the first that matches counts, and `rate` holds for all other layers.
        exclude: patterns of names of layers that stay dense and are not counted; none by default.
        include: parameters that are pruned although they are no weights of linear or convolution layers, or although
            the task does not train them, by pattern: `lstm.weight_hh_l0`, `*.bias`, `*pooler.dense`.
        prune: everything else that there is to choose; a name alone is that of a criterion. Where it gives no scope or
            schedule, the keys above do; what both give is refused, unless those are null.
    """

    scope: Annotated[str, AfterValidator(SCOPES.known)] = "global"
    rate: Rate = 0.2
    rate_of: Literal["survivors", "original"] = "survivors"
    rates: dict[str, Rate] = Field(default={})
    exclude: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    prune: PruneConfig | None = None

    @property
    def pruning(self) -> PruneConfig:
        """All parts of pruning, wherever the recipe gives them."""
        if self.prune is not None:
            return self.prune
        schedule = RateConfig(rate=self.rate, rate_of=self.rate_of, rates=self.rates)
        return PruneConfig(scope=PartConfig(name=self.scope), schedule=schedule)

    @model_validator(mode="before")
    @classmethod
    def _in_one_place(cls, content: Any) -> Any:
        """Move the keys that say what `prune` says into it."""
        prune = content.get("prune") if isinstance(content, dict) else None
        if isinstance(prune, PruneConfig):
            prune = prune.model_dump()
        if not isinstance(prune, str | dict):
            return content
        rest, prune = dict(content), {"criterion": prune} if isinstance(prune, str) else dict(prune)
        if "name" in prune:  # of `prune: snip` with another key set beside it
            prune.setdefault("criterion", prune.pop("name"))
        for part, keys in _SHORT.items():
            popped = {key: rest.pop(key) for key in keys if key in rest}
            given = {key: value for key, value in popped.items() if value is not None}
            if given and part in prune:
                nulls = ", ".join(f"{key}: null" for key in given)
                raise ValueError(f"{' and '.join(given)} and prune.{part} say the same thing twice; write {nulls}")
            if given:
                prune[part] = given if part == "schedule" else given[part]
        return rest | {"prune": prune}

    @model_validator(mode="after")
    def _keys_go_together(self) -> "PruningConfig":
        if self.rates and not SCOPES[self.scope].takes_rates:
            raise ValueError("rates (per layer) go with scope: layerwise")
        return self

    @model_serializer(mode="wrap")
    def _in_one_form(self, write: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        """Write each thing once, and keys added later where they are used: older recipes keep their text."""
        content = write(self)
        unused = ["prune"] if self.prune is None else [key for keys in _SHORT.values() for key in keys]
        unused += [key for key in ("include", "allow_dead_layers") if not content.get(key)]
        return {key: value for key, value in content.items() if key not in unused}


_SHORT = {"scope": ("scope",), "schedule": ("rate", "rate_of", "rates")}
"""Parts of `prune`, and the keys of a finder that say the same."""


def prunable(model: nn.Module, config: PruningConfig) -> dict[str, nn.Parameter]:
    """Return the parameters that masks may cover, in the model's order, tied ones once.

    These are the model's prunable ones (`ticketzoo.models.prunable_parameters`) and those that `include` names.

    Raises:
        RecipeError: a pattern of `include` matches no parameter.
    """
    try:
        return prunable_parameters(model, include=config.include)
    except ModelError as error:
        raise RecipeError(f"finder.{error}") from None


def included(name: str, config: PruningConfig) -> bool:
    """Say whether `include` names a parameter."""
    return any(matches(name, pattern) for pattern in config.include)


def dense_masks(parameters: Mapping[str, Tensor], config: PruningConfig) -> Masks:
    """Return all-True masks of the parameters that `config` lets be pruned.

    Raises:
        RecipeError: a pattern of `rates` or `exclude` matches no layer, or nothing is left to prune.
    """
    rates = "rates" if config.prune is None else "prune.schedule.rates"
    for key, patterns in ((rates, config.pruning.schedule.layer_patterns), ("exclude", config.exclude)):
        for pattern in patterns:
            if not any(matches(name, pattern) for name in parameters):
                layers = show_names([layer_of(name) for name in parameters])
                raise RecipeError(f"finder.{key}: {pattern!r} matches no layer of the model; its layers: {layers}")
    masks = {
        name: torch.ones(parameter.shape, dtype=torch.bool)
        for name, parameter in parameters.items()
        if not any(matches(name, pattern) for pattern in config.exclude)
    }
    if not masks:
        raise RecipeError("finder.exclude: leaves no layer to prune")
    return masks


def stated(config: PruningConfig) -> dict[str, Any]:
    """Return what a ticket states of its pruning: `scope`, `rate` and `rate_of`; other parts where they are used."""
    parts = config.pruning
    facts: dict[str, Any] = {"scope": parts.scope.name}
    single = CRITERIA[parts.criterion.name].configured(parts.criterion).keys.single
    if isinstance(schedule := parts.schedule, RateConfig) and not single:
        rate = {**schedule.rates, "*": schedule.rate} if schedule.rates else schedule.rate
        facts |= {"rate": rate, "rate_of": schedule.rate_of}
    default = PruneConfig()
    for key in ("criterion", "structure", "schedule"):
        if (name := getattr(parts, key).name) != getattr(default, key).name:
            facts[key] = name
    if isinstance(parts.criterion, CriterionConfig) and (keys := parts.criterion.keys):
        said = ", ".join(f"{key}: {json.dumps(value)}".replace('"', "") for key, value in keys.items())
        facts["criterion"] = f"{parts.criterion.name} ({said})"
    return facts
