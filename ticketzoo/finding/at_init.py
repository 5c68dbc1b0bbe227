"""Pruning at initialisation: masks from the weights of step 0, without training first."""

from collections.abc import Iterator

from pydantic import model_validator

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
    cite="Lee et al. 2019; Frankle et al. 2021",
    words="{criterion} pruning at initialisation",
)
def at_init(lab: Lab, config: AtInitConfig) -> Iterator[Level]:
    """Yield the dense network and `lab.levels` pruned ones, each pruned by the scores of the weights of step 0.

    Nothing is trained to find them: the trainings that measure the levels start from the same weights.
    """
    start = lab.initial
    masks = lab.prune(start, lab.dense, to=1)  # what cannot be scored is refused before dense is trained
    yield Level(lab.dense, start)
    for level in range(1, lab.levels + 1):
        masks = lab.prune(start, masks, to=level) if level > 1 else masks
        yield Level(masks, start)
