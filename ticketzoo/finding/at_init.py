"""Pruning at initialisation: masks from the weights of step 0, without training first."""

from collections.abc import Iterator

from pydantic import model_validator

from ticketzoo.finding.ahead import masks_ahead
from ticketzoo.finding.config import MethodConfig
from ticketzoo.finding.method import METHODS, Lab, Level


class AtInitConfig(MethodConfig):
    """Pruning of the weights of step 0."""

    method: str = "at-init"

    @model_validator(mode="after")
    def _scores_need_no_training(self) -> "AtInitConfig":
        self.check_untrained()
        return self


@METHODS.add(
    "at-init",
    config=AtInitConfig,
    cite="Frankle et al. 2021",
    words="{criterion} pruning at initialisation",
    cites_criterion=True,
)
def at_init(lab: Lab, config: AtInitConfig) -> Iterator[Level]:
    """Yield the dense network and `lab.levels` pruned ones, each pruned by the scores of the weights of step 0.

    Nothing is trained to find them: the trainings that measure the levels start from the same weights.
    """
    start = lab.initial
    levels = masks_ahead(lab, start)
    yield Level(lab.dense, start)
    yield from (Level(masks, start) for masks in levels)
