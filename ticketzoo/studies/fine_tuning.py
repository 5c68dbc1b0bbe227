"""Ways of fine-tuning: which weights a task may move, while all others stay where they were."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from ticketzoo.errors import RecipeError
from ticketzoo.finding.lab import RecipeLab
from ticketzoo.finding.method import Start, Trained
from ticketzoo.masks.masks import Masks
from ticketzoo.pruning.config import PruneConfig
from ticketzoo.pruning.part import PartConfig
from ticketzoo.training.parametrisation import FROZEN
from ticketzoo.util.registry import Registry


class Stage(NamedTuple):
    """A task whose turn it is.

    Attributes:
        lab: trains on it, and prunes.
        start: the weights that it begins at.
        free: what may be chosen from, bool by parameter name: all but what the task before moved.
        calibrate: iterations of the short fine-tuning.
    """

    lab: RecipeLab
    start: Start
    free: Masks
    calibrate: int


@dataclass(frozen=True)
class Way:
    """A row of `WAYS`.

    Attributes:
        name: by which recipes ask for it.
        make: gives the weights that a task may move, bool by parameter name; None lets it move all.
        words: which ones, for people.
        cite: where it comes from.
        calibrates: whether all weights are trained first, to see which of them move.
    """

    name: str
    make: Callable[[Stage], Masks] | None
    words: str
    cite: str = ""
    calibrates: bool = False


WAYS: Registry[Way] = Registry("way of fine-tuning", Way, error=RecipeError)
WAYS.put(Way("all", None, "all weights"))


@WAYS.add(
    "lota", cite="Panda et al. 2024, section 3", words="those that a short fine-tuning moves most", calibrates=True
)
def moved_most(stage: Stage) -> Masks:
    """Return the weights that the first steps of a training of all weights move most."""
    return _highest("movement", stage, _calibrated(stage), stage.lab.dense)


@WAYS.add(
    "lotto",
    cite="Panda et al. 2024, section 3",
    words="the same, of those that the task before did not move",
    calibrates=True,
)
def moved_most_of_the_others(stage: Stage) -> Masks:
    """Return the same as `lota`, of the weights that the task before left where they were."""
    return _highest("movement", stage, _calibrated(stage), stage.free)


@WAYS.add("magnitude", words="the largest")
def largest(stage: Stage) -> Masks:
    """Return the weights that are largest before the task."""
    return _highest("magnitude", stage, stage.start, stage.lab.dense)


@WAYS.add("random", words="as many at random")
def at_random(stage: Stage) -> Masks:
    """Return as many weights, drawn for each seed and task."""
    return _highest("random", stage, stage.start, stage.lab.dense)


def _calibrated(stage: Stage) -> Trained:
    return _all_trained(stage).as_of(stage.calibrate)


def _all_trained(stage: Stage) -> Trained:
    return stage.lab.train(stage.lab.dense, stage.start, what="all", keep=[stage.calibrate])


def _highest(criterion: str, stage: Stage, at: Trained | Start, masks: Masks) -> Masks:
    """Return those of the weights in `masks` with the highest scores, as many as the recipe asks for."""
    recipe = stage.lab.recipe
    finder = recipe.finder.model_copy(update={"prune": pruned_by(criterion, recipe.finder.pruning.schedule)})
    return replace(stage.lab, recipe=recipe.model_copy(update={"finder": finder})).prune(at, masks, to=1)


def pruned_by(criterion: str, schedule: PartConfig | Mapping[str, Any]) -> PruneConfig:
    """Return the keys of pruning all layers together by `criterion`."""
    return PruneConfig.model_validate({"criterion": criterion, "scope": "global", "schedule": schedule})


def fine_tuned(stage: Stage, way: str) -> tuple[Masks, Trained]:
    """Return the weights that the task moved, and the training that moved them."""
    choose = WAYS[way].make
    if choose is None:
        return stage.lab.dense, _all_trained(stage)
    masks = choose(stage)
    return masks, stage.lab.train(masks, stage.start, learn=FROZEN, what=way)
