"""Supermasks: masks under which untrained weights already solve the task. Here by edge-popup."""

import math
from collections.abc import Iterator
from functools import partial
from typing import Annotated, Literal

from pydantic import Field, model_validator

from ticketzoo.errors import RecipeError
from ticketzoo.finding.as_is import AsIsConfig, check_neutral, sizes
from ticketzoo.finding.method import METHODS, Lab, Level, Start, Trained
from ticketzoo.masks.masks import Masks
from ticketzoo.models.state import State
from ticketzoo.pruning.schedule import SCHEDULES
from ticketzoo.training.parametrisation import NOTHING
from ticketzoo.training.scores import EdgePopup


class SupermaskConfig(AsIsConfig):
    """A method that trains a mask of untrained weights: pruning says how many weights of each layer are kept."""

    scope: Literal["global", "layerwise"] = "layerwise"
    rate: Annotated[float, Field(gt=0, lt=1)] = 0.5
    levels: Annotated[int, Field(ge=1, le=1000)] = 1

    @property
    def trainings(self) -> int:
        """The dense network's, that of the mask, and none at all of the supermask, which counts as one."""
        return 3

    @property
    def trains_a_mask(self) -> bool:
        """True: the mask is trained."""
        return True

    @property
    def last_level_alone(self) -> str | None:
        """The supermask is of weights as they were drawn, or made of them; level 0 is the dense network's."""
        return f"method: {self.method}"

    @property
    def not_inverted(self) -> str:
        """The method ranks by nothing: what it learns is for the weights that it keeps."""
        return f"method {self.method} ranks by none"

    @model_validator(mode="after")
    def _one_level(self) -> "SupermaskConfig":
        if self.levels != 1:
            raise ValueError(f"levels: masks of {self.method} are not nested, so a ticket has one: set levels to 1")
        self.check_learned()
        return self


class EdgePopupConfig(SupermaskConfig):
    """Edge-popup: what pruning would leave of each layer says how many weights the layer keeps; training says which.

    Attributes:
        scaled: divide each layer's weights by the square root of the fraction that it keeps (Ramanujan et al. 2020,
            section 4), which makes up for the inputs that it loses.
    """

    method: str = "edge-popup"
    scaled: bool = False

    def frozen_weights(self, state: State, masks: Masks) -> State:
        """Return the initialisation, scaled if asked for."""
        if not self.scaled:
            return state
        factors = {name: math.sqrt(mask.numel() / int(mask.count_nonzero())) for name, mask in masks.items()}
        return state | {name: state[name] * factor for name, factor in factors.items()}

    def learner(self, masks: Masks) -> EdgePopup:
        """Return what learns a score of each weight."""
        return EdgePopup(sizes(masks))


@METHODS.add(
    "edge-popup",
    config=EdgePopupConfig,
    cite="Ramanujan et al. 2020, section 3",
    words="edge-popup: scores of frozen weights are trained, the weights are not",
)
def edge_popup(lab: Lab, config: EdgePopupConfig) -> Iterator[Level]:
    """Yield the dense network, trained, and a supermask of its untrained weights, which is measured as it is.

    The scores are trained as long as the dense network and in the same way, unless `training` says how. Give the model
    `init: kaiming_normal` or `signed_kaiming_constant`: then biases are 0 and scales of normalisation 1, as in the
    paper.
    """
    kept = sought(lab, config)
    yield Level(lab.dense, lab.initial, lab.train(lab.dense, lab.initial))
    yield as_it_is(train_mask(lab, config, kept))


def sought(lab: Lab, config: SupermaskConfig) -> Masks:
    """Return masks of the size of those that are sought; raises RecipeError where there can be none."""
    check_neutral(lab, config.method)
    masks = lab.prune(lab.initial, lab.dense, to=1)
    if empty := [name for name, count in sizes(masks).items() if not count]:
        milder = SCHEDULES[config.pruning.schedule.name].milder or "keep more of it"
        remedy = f"{milder}, or leave the layer out by finder.exclude"
        raise RecipeError(f"finder: {config.method} would keep no weight of '{empty[0]}': {remedy}")
    return masks


def train_mask(lab: Lab, config: SupermaskConfig, masks: Masks) -> Trained:
    """Return the training of a mask of the size of `masks`."""
    start = Start(partial(_frozen, lab.initial, config, masks))
    return lab.train(lab.dense, start, learn=config.learner(masks), training=config.training, what="mask")


def as_it_is(trained: Trained) -> Level:
    """Return the level of the mask that was trained: the network as it is."""
    return Level(trained.learned.masks, trained.end(count_from=0), learn=NOTHING)


def _frozen(start: Start, config: SupermaskConfig, masks: Masks) -> State:
    return config.frozen_weights(start.state, masks)
