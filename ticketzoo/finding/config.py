"""The `finder` section of a recipe: what every method has, and what those that rewind add."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from ticketzoo.finding.rewinding import REWINDINGS
from ticketzoo.pruning.config import PruneConfig, PruningConfig, stated
from ticketzoo.pruning.criteria import CRITERIA
from ticketzoo.recipe import Steps, StepsOrAuto


class MethodConfig(PruningConfig):
    """The keys of every method: its name, what a pruning round removes, and how many rounds there are.

    Attributes:
        method: name of the method.
        levels: pruning rounds; level 0 is the dense network.
        allow_dead_layers: whether a level may keep no weight of a layer, so that nothing before it learns; otherwise it
            is refused before it is trained. `ticketzoo find --allow-dead-layers` sets it.
    """

    method: str = "imp"
    levels: Annotated[int, Field(ge=1, le=1000)] = 15
    allow_dead_layers: bool = False

    @property
    def trainings(self) -> int:
        """Trainings of a seed that find and measure the levels, the dense one included."""
        return 1 + self.levels

    @property
    def trains_between(self) -> bool:
        """True where each level is pruned by what the one before trained to."""
        return False

    @property
    def last_level_alone(self) -> str | None:
        """The reason, as it stands in the recipe, why a ticket holds the last level alone; None where it does not."""
        return None

    @property
    def not_inverted(self) -> str:
        """The reason why no mask of the lowest scores can stand beside the ticket's; "" where one can."""
        criterion = CRITERIA[self.pruning.criterion.name].configured(self.pruning.criterion)
        return "" if criterion.inverts and not criterion.keys.single else f"criterion {criterion.name} ranks by none"

    def stated(self) -> dict[str, Any]:
        """Return what a ticket states of its pruning."""
        return stated(self)

    def check_untrained(self) -> None:
        """Raise ValueError for a criterion that compares with a training, where the method prunes before any."""
        criterion = self.pruning.criterion
        by_sign = CRITERIA[criterion.name].configured(criterion).keys.sign is not None
        if by_sign or CRITERIA[criterion.name].needs_training:
            compares = f"criterion {criterion.name}{' by sign' if by_sign else ''} compares weights with a training"
            raise ValueError(f"{compares}, and {self.method} prunes before")

    def check_learned(self) -> None:
        """Raise ValueError for a criterion or structure, where scores that are learned say which weights stay."""
        usual, parts = PruneConfig(), self.pruning
        if parts.criterion != usual.criterion:
            asked = f"criterion {parts.criterion.name}"
            if parts.criterion.name == usual.criterion.name:
                asked += " with keys of its own"
            raise ValueError(
                f"{self.method} learns which weights stay, and {asked} would not be looked at: leave it out"
            )
        if parts.structure != usual.structure:
            asked = f"structure {parts.structure.name}"
            raise ValueError(f"{self.method} learns a mask of single weights, and not one of {asked}: leave it out")

    @model_validator(mode="after")
    def _schedule_fits(self) -> "MethodConfig":
        self.pruning.schedule.check_levels(self.levels)
        criterion = CRITERIA[self.pruning.criterion.name].configured(self.pruning.criterion)
        if criterion.keys.single and self.levels > 1 and not self.trains_between:
            same = f"single gives {self.levels} levels the same masks, as {self.method} does not train between"
            raise ValueError(f"{same}: set levels to 1")
        return self


class RewindingConfig(MethodConfig):
    """A method that retrains each level from early weights: those after `rewind`, or what `rewinding` says.

    Attributes:
        rewind: point of training whose weights each level restarts from; 0it is the initialization. `auto` takes the
            earliest point from which the subnetworks are stable, of 0it and a geometric sequence up to a quarter of
            training (as `ticketzoo stability` measures it), and writes it into the ticket's recipe.
        rewinding: kind of rewinding: `weights` takes weights and learning rate back to that point, `learning-rate` the
            learning rate alone, `late-reset` the weights alone.
    """

    rewind: StepsOrAuto = Steps(0, "it")
    rewinding: Annotated[str, AfterValidator(REWINDINGS.known)] = "weights"

    @property
    def trains_between(self) -> bool:
        """True."""
        return True
