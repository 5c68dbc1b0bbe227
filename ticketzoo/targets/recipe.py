"""Recipes of `ticketzoo transfer`."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, PositiveInt, model_validator

from ticketzoo.evaluation.again import VerdictConfig
from ticketzoo.evaluation.arm_table import ArmEntry
from ticketzoo.evaluation.arms import ARMS, FIND_ARMS, SCALE_ARMS, Arm, controls_among, pretrained_arms
from ticketzoo.evaluation.controls import Controls
from ticketzoo.evaluation.draw import ReinitFrom
from ticketzoo.recipe import Config, DataName, RecipeName, Seed
from ticketzoo.tasks import TaskConfig
from ticketzoo.ticket.verdict import Until
from ticketzoo.training import TrainingConfig

Head = Literal["keep", "dense", "random_mask"]
"""The treatment of a ticket's class-scoring layer on a target. `keep`: retrain it as any other layer, for the same
classes. `dense`: a fresh one without mask (Chen et al. 2020). `random_mask`: a fresh one, as dense as the ticket's, at
random positions (Morcos et al. 2019)."""


class TargetConfig(Config):
    """One target: a task, and what differs there from the recipe's own `training` (key by key) and `head`."""

    task: TaskConfig
    """Data set and objective that the tickets are trained on; its `type` decides which keys there are."""
    training: TrainingConfig | None = None
    """Settings of trainings that differ on this target, key by key; by default the recipe's."""
    head: Head | None = None
    """Masks of the output layer on this target, as the recipe's `head`, which is the default."""
    name: DataName | None = None
    """Name of the target in results and file names; the task's name when not given."""


class TransferRecipe(Config):
    """A recipe of `ticketzoo transfer`: tickets x levels x targets x arms x seeds."""

    name: RecipeName
    """Name of the experiment, in file names and results."""
    tickets: Annotated[tuple[str, ...], Field(min_length=1)]
    """Ticket folders, names in the registry, or Hub ids."""
    base: Annotated[str | None, Field(exclude=True)] = None
    """Folder that holds the pretrained model that the tickets were found on: a copy of the one they refer to, read in
    place of the Hub's, or for tickets with weights of their own that which dense starts from. Not written down."""
    levels: tuple[PositiveInt, ...] | None = None
    """Pruning levels of the tickets that are measured; or give `sparsities`, each standing for the packaged level
    nearest to it."""
    sparsities: tuple[Annotated[float, Field(gt=0, lt=1)], ...] | None = None
    """Sparsities (fractions of the prunable weights removed) that are measured, in place of `levels`: of each ticket
    the packaged level nearest to each."""
    targets: Annotated[tuple[TargetConfig, ...], Field(min_length=1)]
    """Tasks that the tickets are trained and compared on, each with what differs there."""
    training: TrainingConfig = TrainingConfig()
    """Settings of every training: length, batch size, optimizer, schedule, precision."""
    head: Head = "dense"
    """Masks of the output layer: `keep` the ticket's, `dense` none, `random_mask` as sparse ones drawn at random."""
    arms: tuple[Arm, ...] | None = None
    """Arms beside ticket and dense, which always are measured. When not given `random_reinit`, `random_mask`,
    `permuted_values`, `large_init` and `rescaled_reinit`; of a ticket of a pretrained model `magnitude`, `random_mask`,
    `permuted_values` and `large_init`."""
    draws: PositiveInt | None = None
    """Random draws of each random arm per seed; by default 2 of `random_mask` and 1 of any other."""
    reinit_from: ReinitFrom = "start"
    """The step that fresh initialisations are trained from: "start" for step 0, with the warm-up, or "rewind-step"."""
    verdict: VerdictConfig = VerdictConfig()
    """Terms of the verdict that are stated before anything is measured; by default the usual margins."""
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = (0, 1, 2)
    """Seeds of the runs, which tickets of several replicates are matched to; a verdict needs at least 3."""

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
        for arm in self.arms or ():
            if what := _asks_of_a_search(ARMS[arm]):
                raise ValueError(f"arms: {arm} {what}: it goes with ticketzoo find; leave it out here")
        if bool(self.levels) == bool(self.sparsities):
            raise ValueError("give either levels or sparsities")
        for key in ("tickets", "levels", "sparsities", "seeds"):
            values = getattr(self, key) or ()
            if len(set(values)) != len(values):
                raise ValueError(f"{key} must differ from each other")
        self.verdict.until_decided(self.seeds)
        return self

    @property
    def until(self) -> Until | None:
        """Seeds are added to `seeds` until the levels are decided, up to a number; None where none are."""
        return self.verdict.until_decided(self.seeds)

    def controls(self, *, pretrained: bool, levels: Sequence[int]) -> Controls:
        """Return the arms of a ticket that need trainings of their own; `pretrained` where a pretrained model gave it.

        A search up to the sparsest of `levels` trained about once a level.
        """
        default = FIND_ARMS + SCALE_ARMS
        arms = self.arms or (pretrained_arms(default) if pretrained else default)
        return Controls(controls_among(arms), self.draws, self.reinit_from, max(levels) + 1)


def _with_training(target: Any, shared: dict[str, Any]) -> Any:
    match target:
        case {"training": dict(own)}:
            return target | {"training": shared | own}
    return target


def _asks_of_a_search(arm: ArmEntry) -> str:
    """Return what an arm needs that a packaged ticket does not hold, in words; "" where that is nothing."""
    needs = {
        "asks a search for its lowest scores": arm.inverts,
        "needs another dense training": arm.twin,
        "trains a mask as a search does": arm.seeks,
        "needs the weights of step 0": arm.from_step_0,
    }
    return next((words for words, needed in needs.items() if needed), "")
