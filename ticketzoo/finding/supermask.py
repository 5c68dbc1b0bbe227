"""Supermasks: masks under which untrained weights already solve the task."""

import math
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Annotated, Literal

from pydantic import Field, model_validator

from ticketzoo.finding.config import MethodConfig
from ticketzoo.finding.method import METHODS, Lab, Level, Start
from ticketzoo.models.state import State
from ticketzoo.training.parametrisation import NOTHING
from ticketzoo.training.scores import EdgePopup


class EdgePopupConfig(MethodConfig):
    """Edge-popup: what pruning would leave of each layer says how many weights the layer keeps; training says which.

    Attributes:
        scaled: divide each layer's weights by the square root of the fraction that it keeps (Ramanujan et al. 2020,
            section 4), which makes up for the inputs that it loses.
    """

    method: str = "edge-popup"
    scope: Literal["global", "layerwise"] = "layerwise"
    rate: Annotated[float, Field(gt=0, lt=1)] = 0.5
    levels: Annotated[int, Field(ge=1, le=1000)] = 1
    scaled: bool = False

    @property
    def trainings(self) -> int:
        """The dense network's, that of the scores, and none at all of the supermask, which counts as one."""
        return 3

    @property
    def last_level_alone(self) -> str | None:
        """The supermask is of weights as they were drawn, scaled if asked for; level 0 is the dense network's."""
        return "method: edge-popup"

    @property
    def ranked_by_nothing(self) -> str:
        """Edge-popup itself: its scores are learned for the weights that it keeps."""
        return "method edge-popup"

    @model_validator(mode="after")
    def _one_level(self) -> "EdgePopupConfig":
        if self.levels != 1:
            raise ValueError("levels: masks of edge-popup are not nested, so a ticket has one: set levels to 1")
        return self


@METHODS.add(
    "edge-popup",
    config=EdgePopupConfig,
    cite="Ramanujan et al. 2020, section 3",
    words="edge-popup: scores of frozen weights are trained, the weights are not",
)
def edge_popup(lab: Lab, config: EdgePopupConfig) -> Iterator[Level]:
    """Yield the dense network, trained, and a supermask of its untrained weights, which is measured as it is.

    The scores are trained as long as the dense network and in the same way. Give the model `init: kaiming_normal` or
    `signed_kaiming_constant`: then biases are 0 and scales of normalisation 1, as in the paper.
    """
    yield Level(lab.dense, lab.initial, lab.train(lab.dense, lab.initial))
    kept = {name: int(mask.count_nonzero()) for name, mask in lab.prune(lab.initial, lab.dense, to=1).items()}
    start = lab.initial
    if config.scaled:
        factors = {name: math.sqrt(mask.numel() / kept[name]) for name, mask in lab.dense.items()}
        start = Start(partial(_scaled, lab.initial, factors))
    trained = lab.train(lab.dense, start, learn=EdgePopup(kept))
    learned = trained.learned
    yield Level(learned.masks, trained.end(count_from=0), learn=NOTHING, extras=learned.extras)


def _scaled(start: Start, factors: Mapping[str, float]) -> State:
    return {name: tensor * factors[name] if name in factors else tensor for name, tensor in start.state.items()}
