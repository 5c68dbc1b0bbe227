"""Tickets of pretrained models by training of the mask: the weights are frozen, and the ticket is then trained."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, model_validator

from ticketzoo.finding.as_is import sizes
from ticketzoo.finding.config import MethodConfig
from ticketzoo.finding.method import METHODS, Lab, Level
from ticketzoo.pruning.criteria import CriterionConfig
from ticketzoo.training.config import TrainingConfig
from ticketzoo.training.mask_training import MaskTraining


class MaskTrainingConfig(MethodConfig):
    """Mask training: pruning of the weights before training says how many each matrix keeps, and where the mask begins.

    Attributes:
        training: settings of the training of the mask; those of all other trainings by default.
        threshold: half of what the scores of kept weights start at, those of others being 0; with the learning rate
            it says how soon the mask moves.
    """

    method: str = "mask-training"
    scope: Literal["layerwise"] = "layerwise"
    rate: Annotated[float, Field(gt=0, lt=1)] = 0.5
    levels: Annotated[int, Field(ge=1, le=1000)] = 1
    training: TrainingConfig | None = None
    threshold: PositiveFloat = 0.01

    @property
    def trainings(self) -> int:
        """The dense network's, that of the mask, and that of the ticket."""
        return 3

    @property
    def not_inverted(self) -> str:
        """The method ranks by nothing: what it learns is for the weights that it keeps."""
        return f"method {self.method} ranks by none"

    @model_validator(mode="after")
    def _one_level_by_magnitude(self) -> "MaskTrainingConfig":
        if self.levels != 1:
            raise ValueError(f"levels: masks of {self.method} are not nested, so a ticket has one: set levels to 1")
        parts = self.pruning
        if (parts.criterion.name, parts.scope.name, parts.structure.name) != ("magnitude", "layerwise", "weight"):
            raise ValueError("prune: mask-training begins with the largest weights of each matrix: give a rate alone")
        if isinstance(parts.criterion, CriterionConfig) and (keys := parts.criterion.keys):
            raise ValueError(f"prune.criterion: mask-training asks magnitudes once: leave out {', '.join(keys)}")
        return self


@METHODS.add(
    "mask-training",
    config=MaskTrainingConfig,
    cite="Liu et al. 2022",
    words="mask training: scores of the weights before training are trained on the task, the weights are not",
)
def mask_training(lab: Lab, config: MaskTrainingConfig) -> Iterator[Level]:
    """Yield the dense network, trained, and the mask that was learned for its weights before training.

    The ticket is those weights under that mask: it is trained on the task like any other, and on targets.
    """
    kept = sizes(lab.prune(lab.initial, lab.dense, to=1))
    yield Level(lab.dense, lab.initial, lab.train(lab.dense, lab.initial))
    learn = MaskTraining(kept, config.threshold)
    trained = lab.train(lab.dense, lab.initial, learn=learn, training=config.training, what="mask")
    yield Level(trained.learned.masks, lab.initial)
