from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, JsonValue, PositiveInt, model_validator

from ticketzoo.evaluation.arms import Arm, controls_among
from ticketzoo.evaluation.controls import count_controls
from ticketzoo.hub.references import HubReference
from ticketzoo.models.pretrained import PREFIX, pretrained_reference
from ticketzoo.pruning.pruner import PruningConfig
from ticketzoo.recipe import Config, RecipeName, Seed, Steps
from ticketzoo.tasks import TaskConfig
from ticketzoo.training import TrainingConfig

Rewinding = Literal["weights", "learning-rate", "late-reset"]


class ModelConfig(Config):
    """An architecture by name, with its keyword arguments. `model: lenet-300-100` is short for a name alone.

    `transformers/<folder>` and `transformers/owner/name@commit` stand for a pretrained model, weights and tokenizer.
    `mirror`: a folder that holds a copy of that Hub model and is read in its place; left out of what is written down.
    """

    name: str
    kwargs: dict[str, JsonValue] = Field(default={})
    mirror: Annotated[str | None, Field(exclude=True)] = None

    @property
    def here(self) -> str:
        """The name, or that of the mirror."""
        return self.name if self.mirror is None else f"{PREFIX}{Path(self.mirror).expanduser().absolute()}"

    @property
    def tokenizer(self) -> str | None:
        """Folder or Hub id (`owner/name@revision`) of a pretrained model's tokenizer."""
        return None if pretrained_reference(self.here) is None else self.here.removeprefix(PREFIX)

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, value: object) -> object:
        return {"name": value} if isinstance(value, str) else value


class MaskFinderConfig(PruningConfig):
    """How masks are found, level after level: by `method`."""

    method: Literal["imp", "one-shot", "one-shot-initial"] = "imp"
    """`imp`: from the trained weights of the level before. `one-shot`: all from those of the dense network.
    `one-shot-initial`: all from the weights before any training, as of a pretrained model (Chen et al. 2020)."""

    @model_validator(mode="after")
    def _rates_are_layerwise(self) -> "MaskFinderConfig":
        if self.rates and self.scope != "layerwise":
            raise ValueError("rates (per layer) go with scope: layerwise")
        return self

    def pruned_from(self, level: int) -> int:
        """The level whose trained weights give the mask of `level`."""
        return level - 1 if self.method == "imp" else 0


class FinderConfig(MaskFinderConfig):
    """How tickets are found: `method` with `levels` pruning rounds, then retraining by `rewinding` to step `rewind`.

    `weights`: the weights, schedule and data order of that step go on from there (Frankle et al. 2020, section 4).
    `learning-rate`: the trained weights that were pruned stay; schedule and data order go on from that step (Renda et
    al. 2020). `late-reset`: the weights are those of that step; schedule, data order and length of the training are
    those of the start (Morcos et al. 2019).
    """

    levels: Annotated[int, Field(ge=1, le=1000)] = 15
    rewind: Steps = Steps(0, "it")
    rewinding: Rewinding = "weights"

    @model_validator(mode="after")
    def _trained_weights_are_there(self) -> "FinderConfig":
        if self.rewinding == "learning-rate" and self.method == "one-shot-initial":
            raise ValueError("rewinding: learning-rate keeps trained weights, but method: one-shot-initial prunes none")
        return self


class FindRecipe(Config):
    """A recipe of `ticketzoo find`: everything that decides which tickets come out."""

    name: RecipeName
    """Name of the ticket, `<architecture>.<source>-<method>[-<variant>]`."""
    model: ModelConfig
    task: TaskConfig
    training: TrainingConfig = TrainingConfig()
    head_first: TrainingConfig | None = None
    """How the head alone is trained before everything else, for a pretrained model that brings none for the task. What
    comes of it counts as the pretrained model's; a ticket that refers to that model does not hold it."""
    finder: FinderConfig = FinderConfig()
    arms: tuple[Arm, ...] = ("ticket", "dense", "random_reinit", "random_mask")
    """What is measured on the source task; the ticket and dense always are."""
    arm_levels: tuple[PositiveInt, ...] | None = None
    """Levels at which the other arms are measured; all when not given."""
    draws: PositiveInt = 1
    """Random draws of each random arm per seed."""
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = (0, 1, 2)
    package_from: Annotated[int, Field(ge=0)] = 0
    """Densest level that is packaged; rewind weights are stored for its survivors."""
    license: str | None = None
    """SPDX identifier of the ticket's licence."""

    @model_validator(mode="after")
    def _levels_exist(self) -> "FindRecipe":
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError("seeds must differ from each other")
        if len(set(self.control_levels)) != len(self.control_levels):
            raise ValueError("arm_levels must differ from each other")
        if self.model.mirror is not None and not isinstance(pretrained_reference(self.model.name), HubReference):
            raise ValueError("model.mirror goes with transformers/owner/name@commit, which it is a copy of")
        if self.package_from > self.finder.levels:
            raise ValueError(f"package_from is beyond finder.levels ({self.finder.levels})")
        starts_differ = self.finder.rewinding == "learning-rate" and self.finder.method == "imp"
        if starts_differ and self.package_from < self.finder.levels:
            why = "with rewinding: learning-rate each level starts from other weights, and a ticket holds one level's"
            raise ValueError(f"{why}: set package_from to finder.levels ({self.finder.levels})")
        if beyond := [level for level in self.control_levels if level > self.finder.levels]:
            raise ValueError(f"arm_levels {beyond} are beyond finder.levels ({self.finder.levels})")
        return self

    @property
    def control_levels(self) -> tuple[int, ...]:
        """Levels at which the random arms are measured."""
        return tuple(range(1, self.finder.levels + 1)) if self.arm_levels is None else self.arm_levels

    @property
    def controls(self) -> tuple[str, ...]:
        """The arms that need trainings of their own."""
        return controls_among(self.arms)

    @property
    def trainings(self) -> int:
        """How many trainings the recipe asks for."""
        controls = count_controls(self.controls, self.draws) * len(self.control_levels)
        return len(self.seeds) * ((self.head_first is not None) + 1 + self.finder.levels + controls)
