"""The `finder` section of a recipe: what every method has, and what those that rewind add."""

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from ticketzoo.finding.rewinding import REWINDINGS
from ticketzoo.pruning.config import PruningConfig
from ticketzoo.recipe import Steps


class MethodConfig(PruningConfig):
    """The keys of every method: its name, what a pruning round removes, and how many rounds there are."""

    method: str = "imp"
    levels: Annotated[int, Field(ge=1, le=1000)] = 15

    @property
    def trainings(self) -> int:
        """Trainings of a seed that find and measure the levels, the dense one included."""
        return 1 + self.levels

    @property
    def starts_differ(self) -> str | None:
        """The reason why levels start from other weights, as it stands in the recipe; None where they do not."""
        return None

    @model_validator(mode="after")
    def _schedule_fits(self) -> "MethodConfig":
        self.pruning.schedule.check_levels(self.levels)
        return self


class RewindingConfig(MethodConfig):
    """A method that retrains each level from early weights: those after `rewind`, or what `rewinding` says."""

    rewind: Steps = Steps(0, "it")
    rewinding: Annotated[str, AfterValidator(REWINDINGS.known)] = "weights"

    @property
    def starts_differ(self) -> str | None:
        """With learning-rate rewinding an iterative method starts each level from the weights just trained."""
        return "rewinding: learning-rate" if self.rewinding == "learning-rate" and self.method == "imp" else None
