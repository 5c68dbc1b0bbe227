"""Training labels of which a fraction is wrong on purpose."""

import math
from fractions import Fraction
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from ticketzoo.errors import DataError
from ticketzoo.recipe import Config
from ticketzoo.seeds import derive_seed


class LabelNoise(Config):
    """The section `label_noise`: labels of the training split alone, some of which are other ones.

    Attributes:
        kind: redraw draws labels anew, uniformly of all classes, so that of ten classes about a tenth of them stays as
            it was (He et al. 2022); flip gives another class, uniformly of all others.
        fraction: fraction of the training labels that are redrawn or flipped, rounded up to whole labels.
    """

    kind: Literal["redraw", "flip"]
    fraction: Annotated[float, Field(gt=0, le=1)]

    def count(self, labels: int) -> int:
        """Return how many of so many labels are redrawn or flipped."""
        return math.ceil(Fraction(str(self.fraction)) * labels)

    @property
    def words(self) -> str:
        """The noise in words, with what it means for a verdict."""
        how = "drawn anew, uniformly of all classes" if self.kind == "redraw" else "turned into another class"
        return (
            f"{self.fraction:g} of the training labels are {how}; those of images validated and tested on are as they "
            "were. A ticket above dense here may be one that fits fewer wrong labels"
        )

    def on(self, labels: Tensor, classes: int, seed: int) -> Tensor:
        """Return `labels` with noise. Of one seed, a larger fraction contains the changes of a smaller one.

        Args:
            labels: int64 [n], from 0.
            classes: number of them.
            seed: of what is drawn.

        Raises:
            DataError: there is one class only.
        """
        if classes < 2:
            raise DataError("label_noise needs two classes or more: leave it out, or keep more of task.dataset.classes")
        generator = torch.Generator().manual_seed(derive_seed(seed, "label noise"))
        chosen = torch.randperm(len(labels), generator=generator)[: self.count(len(labels))]
        first = 0 if self.kind == "redraw" else 1
        drawn = torch.randint(first, classes, (len(labels),), generator=generator)[: len(chosen)]
        noisy = labels.clone()
        noisy[chosen] = drawn if self.kind == "redraw" else (labels[chosen] + drawn) % classes
        return noisy
