"""Augmentation in two parts: what is drawn for each image, and what is then done to images of several batches."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from torchvision.transforms import v2


class DrawnApart:
    """The steps of what `ticketzoo.data.images.augment.Augmentation.build` gave."""

    def __init__(self, augment: "v2.Transform") -> None:
        self._steps: list[v2.Transform] = list(augment.transforms)

    def draw(self, count: int) -> dict[str, Tensor]:
        """Return what a forward pass of `count` images would draw: [count] each."""
        drawn: dict[str, Tensor] = {}
        for step in self._steps:
            drawn |= step.make_params([torch.empty(count, device="cpu")])
        return drawn

    def change(self, rows: Sequence[Tensor], drawn: dict[str, Tensor]) -> list[Tensor]:
        """Return `rows`, of which the first are images, with these changed as was drawn for them."""
        images, *others = rows
        for step in self._steps:
            images = step.transform(images, drawn)
        return [images, *others]
