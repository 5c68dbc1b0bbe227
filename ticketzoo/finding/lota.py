"""Lottery ticket adaptation: the weights that a short fine-tuning moves most, trained while all others stay."""

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field, model_validator

from ticketzoo.finding.config import MethodConfig
from ticketzoo.finding.method import METHODS, Lab, Level
from ticketzoo.masks.masks import total
from ticketzoo.masks.topk import keep_highest
from ticketzoo.recipe import Steps
from ticketzoo.training.parametrisation import FROZEN


class LotaConfig(MethodConfig):
    """The keys of method `lota`. Criterion, structure and scope are the method's own: movement over all layers.

    Attributes:
        levels: 1.
        calibrate: length of the fine-tuning of all weights whose changes are ranked.
        keep: fraction of the prunable weights that are trained, those that it changed most.
    """

    method: str = "lota"
    levels: Annotated[int, Field(ge=1, le=1)] = 1
    calibrate: Steps = Steps(100, "it")
    keep: Annotated[float, Field(gt=0, lt=1)] = 0.1

    @model_validator(mode="after")
    def _nothing_else_ranks(self) -> "LotaConfig":
        self.check_learned()
        if self.calibrate.count <= 0:
            raise ValueError("calibrate must be longer than 0: otherwise no weight has moved")
        return self

    def stated(self) -> dict[str, Any]:
        """Return what a ticket states of its pruning."""
        return {"scope": "global", "criterion": "movement"}


@METHODS.add(
    "lota",
    config=LotaConfig,
    cite="Panda et al. 2024, section 3",
    words="lottery ticket adaptation: the weights that fine-tuning moves most are trained, all others stay",
)
def lota(lab: Lab, config: LotaConfig) -> Iterator[Level]:
    """Yield the fine-tuned dense network, and the mask of the weights that its first `calibrate` steps moved most.

    The ticket begins at the weights that the fine-tuning began at, and what its mask leaves out never moves.
    """
    step = lab.steps(config.calibrate)
    dense = lab.train(lab.dense, lab.initial, keep=[step])
    yield Level(lab.dense, lab.initial, dense)
    probe = lab.probe(dense.as_of(step), lab.dense)
    moved = {name: (probe.weights[name].double() - probe.start[name].double()).abs() for name in lab.dense}
    masks = keep_highest(moved, lab.dense, max(1, round(config.keep * total(lab.dense))))
    yield Level(masks, lab.initial, learn=FROZEN)
