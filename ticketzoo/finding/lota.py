"""Lottery ticket adaptation: the weights that a short fine-tuning moves most, trained while all others stay."""

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field, model_validator

from ticketzoo.finding.config import MethodConfig
from ticketzoo.finding.method import METHODS, Lab, Level
from ticketzoo.pruning.config import PruneConfig
from ticketzoo.recipe import Steps
from ticketzoo.training.parametrisation import FROZEN


class LotaConfig(MethodConfig):
    """The keys of method `lota`, which ranks weights by their movement, those of all layers together.

    Attributes:
        levels: number of pruned levels, which is 1.
        calibrate: length of the fine-tuning of all weights whose changes are ranked.
        keep: fraction of the prunable weights that are trained, those that it changed most.
        prune: follows from `keep`; leave it out.
    """

    method: str = "lota"
    levels: Annotated[int, Field(ge=1, le=1)] = 1
    calibrate: Steps = Steps(100, "it")
    keep: Annotated[float, Field(gt=0, lt=1)] = 0.1

    @model_validator(mode="before")
    @classmethod
    def _prune_by_movement(cls, content: Any) -> Any:
        keep = content.get("keep", 0.1) if isinstance(content, dict) else None
        if not isinstance(keep, int | float) or not 0 < keep < 1 or content.get("prune") is not None:
            return content
        return content | {"prune": _pruning(keep)}

    @model_validator(mode="after")
    def _nothing_else_ranks(self) -> "LotaConfig":
        if self.prune != PruneConfig.model_validate(_pruning(self.keep)):
            raise ValueError("lota ranks by movement over all layers, as many as keep says: leave prune out")
        if self.calibrate.count <= 0:
            raise ValueError("calibrate must be longer than 0: otherwise no weight has moved")
        return self


def _pruning(keep: float) -> dict[str, Any]:
    return {"criterion": "movement", "scope": "global", "schedule": {"levels": [round(1 - keep, 12)]}}


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
    yield Level(lab.prune(dense.as_of(step), lab.dense, to=1), lab.initial, learn=FROZEN)
