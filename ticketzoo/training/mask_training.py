"""Mask training of pretrained weights: the mask begins as that of their magnitudes, and the weights stay."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from ticketzoo.masks.topk import keep_largest
from ticketzoo.training.parametrisation import PARAMETRISATIONS
from ticketzoo.training.scores import Scores


@PARAMETRISATIONS.add(
    "mask-training", cite="Liu et al. 2022", words="a score of each pretrained weight; the weights are frozen"
)
@dataclass(frozen=True)
class MaskTraining(Scores):
    """Learn a score s of each weight w: the network computes with w where s is among its matrix's highest, else 0.

    Scores start at twice the threshold for the largest weights of each matrix, and at 0 for the others, so that the
    mask begins as one-shot magnitude pruning of each. The gradient of a score is dL/d(effective w) * w. The count is
    exact at every step: the dividing value follows the scores, and of equal ones the later in the matrix is kept.

    Attributes:
        kept: how many weights of each matrix are kept, by parameter name.
        threshold: half of what the scores of kept weights start at; with the learning rate it says how soon masks move.
    """

    name: ClassVar[str] = "mask-training"
    by_magnitude: ClassVar[bool] = False

    threshold: float = 0.01

    @property
    def identity(self) -> dict[str, Any]:
        """Return its name, the counts and the threshold."""
        return {"learn": {"name": self.name, "kept": dict(self.kept), "threshold": self.threshold}}

    def drawn(self, weights: Tensor, eligible: Tensor, name: str, seed: int) -> Tensor:
        """Return the scores that training starts from: of two values, by magnitude."""
        first = keep_largest({name: weights}, {name: eligible}, self.kept[name])[name]
        return torch.where(first.cpu(), 2 * self.threshold, 0.0).to(weights.dtype)
