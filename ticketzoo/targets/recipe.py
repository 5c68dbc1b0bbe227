"""Recipes of `ticketzoo transfer`."""

from typing import Annotated, Any, Literal

from pydantic import Field, PositiveInt, model_validator

from ticketzoo.evaluation.arms import Arm, controls_among
from ticketzoo.recipe import Config, DataName, RecipeName, Seed
from ticketzoo.tasks import TaskConfig
from ticketzoo.training import TrainingConfig

Head = Literal["keep", "dense", "random_mask"]
"""The treatment of a ticket's class-scoring layer on a target. `keep`: retrain it as any other layer, for the same
classes. `dense`: a fresh one without mask (Chen et al. 2020). `random_mask`: a fresh one, as dense as the ticket's, at
random positions (Morcos et al. 2019)."""


class TargetConfig(Config):
    """One target: a task, and what differs there from the recipe's own `training` (key by key) and `head`."""

    task: TaskConfig
    training: TrainingConfig | None = None
    head: Head | None = None
    name: DataName | None = None
    """Name of the target in results and file names; the task's name when not given."""


class TransferRecipe(Config):
    """A recipe of `ticketzoo transfer`: tickets x levels x targets x arms x seeds."""

    name: RecipeName
    tickets: Annotated[tuple[str, ...], Field(min_length=1)]
    """Ticket folders, names in the registry, or Hub ids."""
    base: Annotated[str | None, Field(exclude=True)] = None
    """Folder that holds the pretrained model that the tickets were found on: a copy of the one they refer to, read in
    place of the Hub's, or for tickets with weights of their own that which dense starts from. Not written down."""
    levels: tuple[PositiveInt, ...] | None = None
    """Pruning levels; or give `sparsities`, each standing for the packaged level nearest to it."""
    sparsities: tuple[Annotated[float, Field(gt=0, lt=1)], ...] | None = None
    targets: Annotated[tuple[TargetConfig, ...], Field(min_length=1)]
    training: TrainingConfig = TrainingConfig()
    head: Head = "dense"
    arms: tuple[Arm, ...] = ("ticket", "dense", "random_reinit", "random_mask")
    draws: PositiveInt = 1
    """Random draws of each random arm per seed."""
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = (0, 1, 2)

    @model_validator(mode="before")
    @classmethod
    def _targets_train_as_the_recipe_says(cls, content: Any) -> Any:
        """Fill in what a target's `training` leaves out from the recipe's, not from the library's defaults."""
        match content:
            case {"training": dict(shared), "targets": list(targets)}:
                return content | {"targets": [_with_training(target, shared) for target in targets]}
        return content

    @model_validator(mode="after")
    def _is_complete(self) -> "TransferRecipe":
        if bool(self.levels) == bool(self.sparsities):
            raise ValueError("give either levels or sparsities")
        for key in ("tickets", "levels", "sparsities", "seeds"):
            values = getattr(self, key) or ()
            if len(set(values)) != len(values):
                raise ValueError(f"{key} must differ from each other")
        return self

    @property
    def controls(self) -> tuple[str, ...]:
        """Return the arms that need trainings of their own at every level."""
        return controls_among(self.arms)


def _with_training(target: Any, shared: dict[str, Any]) -> Any:
    match target:
        case {"training": dict(own)}:
            return target | {"training": shared | own}
    return target
