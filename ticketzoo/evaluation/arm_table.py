"""The table of arms. `arms`, `sanity_arms` and others in `ticketzoo.evaluation` fill it."""

from collections.abc import Callable
from dataclasses import dataclass

from ticketzoo.errors import RecipeError
from ticketzoo.evaluation.draw import Draw
from ticketzoo.evaluation.drawing import Style
from ticketzoo.training.job import Job
from ticketzoo.util.registry import Registry


@dataclass(frozen=True)
class ArmEntry:
    """An arm of the table.

    Attributes:
        name: as recipes and rows write it.
        make: from the ticket's training and a `Draw` to the arm's training.
        drawn: True where `Draw.number` matters: a recipe's `draws` asks for that many trainings a seed.
        least_draws: trainings a seed where a recipe does not state `draws`.
        once: True for an arm without levels, trained once a seed beside dense; its rows are of level 0.
        same_as: the arm whose distribution this one draws from: their rows are read as draws of one arm.
        inverts: True for an arm that asks the search for masks of the lowest scores.
        twin: True for an arm on the weights of another dense training.
        seeks: True for an arm that trains a mask, as the search did.
        perturbs: True for an arm that changes the weights that the ticket starts from, and nothing else.
        from_step_0: True for an arm that needs the weights of step 0.
        structured: True for an arm beside tickets of whole filters, whose claim over controls is that filters matter.
        masks: the arm's masks in words.
        weights: the weights it starts from, in words.
        label: heading of its column in tables; its name by default.
        legend: label of its curve in plots; `label` by default.
        style: look of its curve; by default one that follows from the name.
        verdict_control: True for an arm that a winning ticket must lie clear of.
        expected: True for an arm that model cards name where it was not measured.
        cite: the paper that it is from.
    """

    name: str
    make: Callable[[Job, Draw], Job]
    drawn: bool
    least_draws: int = 1
    once: bool = False
    same_as: str = ""
    inverts: bool = False
    twin: bool = False
    seeks: bool = False
    perturbs: bool = False
    from_step_0: bool = False
    structured: bool = False
    masks: str = ""
    weights: str = ""
    label: str = ""
    legend: str = ""
    style: Style | None = None
    verdict_control: bool = False
    expected: bool = False
    cite: str = ""

    def draws(self, draws: int | None) -> int:
        """Return the trainings that a recipe with `draws` asks for at each level and seed; None is the arm's own."""
        return (draws or self.least_draws) if self.drawn else 1


ARMS = Registry("arm", ArmEntry, error=RecipeError)
"""The arms, in the order that tables and plots show them."""
