from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, field_validator, model_validator

from ticketzoo.finding.config import RewindingConfig
from ticketzoo.finding.method import METHODS
from ticketzoo.finding.recipe import FindRecipe, ModelConfig
from ticketzoo.pruning.config import PruningConfig
from ticketzoo.recipe import Config, RecipeName, Seed, Steps
from ticketzoo.tasks import TaskConfig
from ticketzoo.training import TrainingConfig


class LineConfig(Config):
    """The section `line`: points on the line between two trained networks.

    Attributes:
        points: number of points on the line, evenly spaced, both ends included; the paper's figures have 30.
        split: name of the split that the error is measured on.
        quantity: `error`, 1 minus the task's metric, or `loss`.
        batch_norm: length of training whose last batches the statistics of BatchNorm are computed over, anew at every
            point.
    """

    points: Annotated[int, Field(ge=3, le=1000)] = 30
    split: Literal["validation", "test"] = "test"
    quantity: Literal["error", "loss"] = "error"
    batch_norm: Steps = Steps(1, "ep")


class SubnetworksConfig(PruningConfig):
    """The section `finder`: a method that rewinds finds the subnetworks, for each step that is looked at.

    Attributes:
        method: name of the method that finds the subnetworks; it has to rewind.
    """

    method: str = "imp"

    @field_validator("method")
    @classmethod
    def _rewinds(cls, method: str) -> str:
        if not issubclass(METHODS[METHODS.known(method)].config, RewindingConfig):
            raise ValueError(f"method {method!r} does not rewind, so its subnetworks have no step to be stable from")
        return method


class StabilityRecipe(Config):
    """A recipe of `ticketzoo stability`: rewind steps x levels x seeds x pairs of copies (Frankle et al. 2020)."""

    name: RecipeName
    """Name of the experiment, in file names and results."""
    model: ModelConfig
    """The network: an architecture's name, or its keys."""
    task: TaskConfig
    """Data set and objective that copies are trained on; its `type` decides which keys there are."""
    training: TrainingConfig = TrainingConfig()
    """Settings of every training: length, batch size, optimizer, schedule, precision."""
    rewind_steps: Annotated[tuple[Steps, ...], Field(min_length=1)]
    """The steps k from which copies are trained, each with a data order of its own."""
    finder: SubnetworksConfig = SubnetworksConfig()
    """How the subnetworks are found; they are rewound to k, too."""
    levels: Annotated[tuple[NonNegativeInt, ...], Field(min_length=1)] = (0,)
    """Pruning levels of the networks that are looked at; level 0 is the dense one."""
    copies: Annotated[int, Field(ge=2, le=100)] = 2
    """Number of copies that are trained from every step; each pair of them has a line."""
    line: LineConfig = LineConfig()
    """The line between two copies, along which the error is measured: its points and the split."""
    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.02
    """Instability, a fraction of the examples or a difference of losses, below which a network is stable."""
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = (0, 1, 2)
    """Seeds of the networks: the whole experiment is made once with each."""

    @model_validator(mode="after")
    def _each_once(self) -> "StabilityRecipe":
        for key in ("rewind_steps", "levels", "seeds"):
            if len(set(getattr(self, key))) < len(getattr(self, key)):
                raise ValueError(f"{key} must differ from each other")
        self.finder.pruning.schedule.check_levels(max(1, *self.levels))
        return self

    @property
    def pairs(self) -> int:
        """Return the number of pairs of copies."""
        return self.copies * (self.copies - 1) // 2

    @property
    def work(self) -> int:
        """Return the number of trainings and lines that the recipe asks for."""
        pruned = max(self.levels) + 1 if max(self.levels) else 0
        return len(self.seeds) * (1 + len(self.rewind_steps) * (pruned + len(self.levels) * (self.copies + self.pairs)))

    def find_recipe(self, rewind_step: int) -> FindRecipe:
        """Return the recipe that finds the subnetworks rewound to `rewind_step`."""
        rewinds = METHODS[self.finder.method].config
        assert issubclass(rewinds, RewindingConfig)
        finder = rewinds(**self.finder.model_dump(), levels=max(1, *self.levels), rewind=Steps(rewind_step, "it"))
        return FindRecipe(
            name=self.name,
            model=self.model,
            task=self.task,
            training=self.training,
            finder=finder,
            arms=("ticket", "dense"),
            seeds=self.seeds,
        )
