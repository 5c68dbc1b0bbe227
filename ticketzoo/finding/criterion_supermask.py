"""Supermasks without training of masks: a criterion says which untrained weights stay, by a training of them."""

from collections.abc import Iterator
from functools import partial
from typing import Annotated

from pydantic import Field, model_validator

from ticketzoo.finding.as_is import AsIsConfig, check_neutral, with_statistics
from ticketzoo.finding.method import METHODS, Lab, Level, Start
from ticketzoo.masks.masks import Masks
from ticketzoo.models.signs import signed_constants
from ticketzoo.models.state import State
from ticketzoo.recipe import Steps
from ticketzoo.training.parametrisation import NOTHING


class CriterionSupermaskConfig(AsIsConfig):
    """Masks that a criterion makes of one dense training, on the weights and biases that it started from.

    Attributes:
        training: how the weights that are scored are trained; by default as the dense network.
        scored_at: point of the dense training whose weights are scored: it decides the numbers; by default the end.
        signed: give all weights of a layer one magnitude, the standard deviation of what was drawn, and their signs.
    """

    method: str = "criterion-supermask"
    levels: Annotated[int, Field(ge=1, le=1000)] = 9
    scored_at: Steps | None = None
    signed: bool = False

    def frozen_weights(self, state: State, masks: Masks) -> State:
        """Return the initialisation, or signed constants of it."""
        return state | signed_constants(state, {name: state[name] for name in masks}) if self.signed else state

    def shown(self, state: State, masks: Masks) -> State:
        """Return the weights that every mask is measured on."""
        return self.frozen_weights(state, masks)

    @property
    def trainings(self) -> int:
        """The dense network's, another that is scored, and of each level none, which counts as one."""
        return super().trainings + (self.training is not None)

    @model_validator(mode="after")
    def _something_is_trained(self) -> "CriterionSupermaskConfig":
        if self.scored_at is not None and self.scored_at.count <= 0:
            raise ValueError("scored_at must be longer than 0: weights before training have nothing to be scored by")
        if self.scored_at is not None and self.training is not None:
            raise ValueError("scored_at is a point of the dense training: leave it out where finder.training is given")
        return self


@METHODS.add(
    "criterion-supermask",
    config=CriterionSupermaskConfig,
    cite="Zhou et al. 2019, section 4",
    words="masks by {criterion} of one dense training, on the weights that it started from",
)
def criterion_supermask(lab: Lab, config: CriterionSupermaskConfig) -> Iterator[Level]:
    """Yield the dense network, trained, and masks of its untrained weights, which are measured as they are.

    All masks come of one training. Biases are those of the start, too. Of a network with batch
    normalisation the running statistics are gathered for every mask.
    """
    check_neutral(lab, config.method)
    step = None if config.scored_at is None else lab.steps(config.scored_at)
    dense = lab.train(lab.dense, lab.initial, keep=[] if step is None else [step])
    yield Level(lab.dense, lab.initial, dense)
    scored, masks = dense if step is None else dense.as_of(step), lab.dense
    if config.training is not None:
        scored = lab.train(lab.dense, lab.initial, training=config.training, what="scored")
    frozen = Start(partial(_frozen, lab.initial, config, lab.dense)) if config.signed else lab.initial
    for level in range(1, lab.levels + 1):
        masks = lab.prune(scored, masks, to=level)
        yield Level(masks, with_statistics(lab, masks, frozen), learn=NOTHING)


def _frozen(start: Start, config: CriterionSupermaskConfig, masks: Masks) -> State:
    return config.frozen_weights(start.state, masks)
