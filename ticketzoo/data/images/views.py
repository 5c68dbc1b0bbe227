"""Random views of images for self-supervised training, every draw made per image: Chen et al. 2020, appendix A.

Each operation computes what torchvision's of the same name does to one image, for a batch at once.
"""

import math
from typing import Annotated

import torch
from pydantic import Field, model_validator
from torch import Tensor
from torch.nn import functional as F

from ticketzoo.recipe import Config

_JITTERED = 0.8
"""Share of the views whose colours are jittered (Chen et al. 2020, appendix A)."""
_SIGMAS = (0.1, 2.0)
"""Least and most standard deviation of the blur, in pixels."""

Fraction = Annotated[float, Field(ge=0, le=1)]


class ViewsConfig(Config):
    """The section `augment` of self-supervised training: how a view of an image is drawn.

    Attributes:
        crop: smallest and largest part of the image that a view shows, a fraction of its area.
        ratio: smallest and largest width divided by height of that part.
        flip: true mirrors a view left to right with probability one half.
        jitter: most that brightness and contrast, and of colour images saturation, are changed by, as a factor from
            1 - jitter to 1 + jitter; four views of five are changed. 0: none.
        grey: fraction of the views of colour images that turn grey.
        blur: fraction of the views that are blurred, by a Gaussian of 0.1 to 2 pixels on a tenth of the side.
        size: side in pixels of the square that a view is resized to, no larger than the images; by default theirs.
    """

    crop: tuple[Annotated[float, Field(gt=0, le=1)], Annotated[float, Field(gt=0, le=1)]] = (0.2, 1.0)
    ratio: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]] = (3 / 4, 4 / 3)
    flip: bool = True
    jitter: Fraction = 0.4
    grey: Fraction = 0.2
    blur: Fraction = 0.5
    size: Annotated[int, Field(ge=1, le=1024)] | None = None

    @model_validator(mode="after")
    def _ranges_rise(self) -> "ViewsConfig":
        for key in ("crop", "ratio"):
            least, most = getattr(self, key)
            if least > most:
                raise ValueError(f"{key}: write [least, most], not [{least:g}, {most:g}]")
        return self

    def of(self, images: Tensor, total: int, start: int, seed: int) -> Tensor:
        """Return a view of each image.

        Args:
            images: uint8 [b, C, H, W].
            total: images in the whole batch, of which these are those from `start` on: what is drawn for an image does
                not depend on the number of processes.
            start: place of the first of them.
            seed: of the draws. Global random numbers stay as they were.

        Returns:
            float32 [b, C, height, width] in [0, 1].
        """
        generator = torch.Generator().manual_seed(seed)
        drawn = torch.rand(12, total, generator=generator)[:, start : start + len(images)].to(images.device)
        views = cropped(images.float() / 255, self._boxes(drawn[:4], images), self.size or images.shape[2:])
        if self.flip:
            views = torch.where(_each(drawn[4] < 0.5), views.flip(-1), views)
        if self.jitter:
            views = torch.where(_each(drawn[5] < _JITTERED), self._jittered(views, drawn[6:9]), views)
        if self.grey and views.shape[1] == 3:
            views = torch.where(_each(drawn[9] < self.grey), grey_of(views), views)
        if self.blur:
            sigmas = _SIGMAS[0] + drawn[11] * (_SIGMAS[1] - _SIGMAS[0])
            views = torch.where(_each(drawn[10] < self.blur), blurred(views, sigmas), views)
        return views

    def _boxes(self, drawn: Tensor, images: Tensor) -> Tensor:
        """Return left, top, width and height of the parts to show, float [4, b], as fractions of the image."""
        area = self.crop[0] + drawn[0] * (self.crop[1] - self.crop[0])
        low, high = (math.log(bound) for bound in self.ratio)
        ratio = (low + drawn[1] * (high - low)).exp() * images.shape[2] / images.shape[3]
        width, height = ((area * ratio).sqrt().clamp(max=1), (area / ratio).sqrt().clamp(max=1))
        return torch.stack([drawn[2] * (1 - width), drawn[3] * (1 - height), width, height])

    def _jittered(self, views: Tensor, drawn: Tensor) -> Tensor:
        brightness, contrast, saturation = (_each(1 + self.jitter * (2 * of_each - 1)) for of_each in drawn)
        views = (views * brightness).clamp(0, 1)
        mean = grey_of(views).mean((1, 2, 3), keepdim=True)
        views = mean.lerp(views, contrast).clamp(0, 1)
        return grey_of(views).lerp(views, saturation).clamp(0, 1) if views.shape[1] == 3 else views


def _each(drawn: Tensor) -> Tensor:
    return drawn.view(-1, 1, 1, 1)


def cropped(images: Tensor, boxes: Tensor, size: int | torch.Size) -> Tensor:
    """Return a part of each image, bilinear, without antialiasing.

    Args:
        images: float [b, C, H, W].
        boxes: left, top, width and height of the part, float [4, b], as fractions of the image.
        size: height and width of what is returned; a number for both.
    """
    height, width = (size, size) if isinstance(size, int) else size
    left, top, wide, high = boxes
    zero = torch.zeros_like(left)
    moved = torch.stack([wide, zero, 2 * left + wide - 1, zero, high, 2 * top + high - 1], 1).view(-1, 2, 3)
    grid = F.affine_grid(moved, [len(images), images.shape[1], height, width], align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def grey_of(images: Tensor) -> Tensor:
    """Return the luma of colour images, in all three channels; grey images as they are."""
    if images.shape[1] != 3:
        return images
    from torchvision.transforms.v2.functional import rgb_to_grayscale

    return rgb_to_grayscale(images, num_output_channels=3)


def blurred(images: Tensor, sigmas: Tensor) -> Tensor:
    """Return images [b, C, H, W], each under a Gaussian of its own standard deviation in pixels, float [b].

    It reaches over a tenth of the shorter side, an odd number of pixels, at least 3; edges are mirrored.
    """
    half = max(3, min(images.shape[2:]) // 10 | 1) // 2
    half = min(half, min(images.shape[2:]) - 1)
    places = torch.arange(-half, half + 1, device=images.device)
    weights = (-0.5 * (places / sigmas[:, None]).square()).exp()
    weights = weights / weights.sum(1, keepdim=True)
    for axis in (2, 3):
        size = images.shape[axis]
        padded = F.pad(images, [half, half, 0, 0] if axis == 3 else [0, 0, half, half], mode="reflect")
        parts = (padded.narrow(axis, place, size) * _each(weights[:, place]) for place in range(2 * half + 1))
        images = sum(parts)  # type: ignore[assignment]
    return images
