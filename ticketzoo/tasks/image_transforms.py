"""Normalisation and augmentation of batches of images on the training device, as torchvision v2 transforms."""

from typing import Any, Literal

import torch
from pydantic import ConfigDict, Field, PositiveFloat, RootModel
from torch import Tensor
from torchvision.transforms import v2

from ticketzoo.errors import DataError
from ticketzoo.recipe import Config
from ticketzoo.tasks.image_batches import MEMORY_LIMIT, Images, MemoryImages

_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_STATISTICS_IMAGES = 10_000


class Augmentation(Config):
    """The `augmentation:` section of a recipe; every draw is made per image, from torch's global generator.

    crop: zero padding in pixels on each side before cropping back to the image's size at a random place (0: none).
    flip: mirror left-right half of the images.
    """

    crop: int = Field(0, ge=0)
    flip: bool = False

    def build(self) -> v2.Transform | None:
        """Transform uint8 [b, C, H, W] -> the same, or None if there is nothing to do."""
        steps = ([RandomCropPerImage(self.crop)] if self.crop else []) + ([RandomFlipPerImage()] if self.flip else [])
        return v2.Compose(steps) if steps else None


class Normalization(RootModel[Literal["dataset", "imagenet", "unit"] | tuple[Any, Any]]):
    """The `normalize:` value of a recipe: how pixels become float32.

    `[mean, std]` (numbers, or lists of one number per channel; of pixels in [0, 1]), or "dataset" (mean and standard
    deviation per channel of the training images), "imagenet" (torchvision's constants), "unit" (just [0, 1]).
    """

    model_config = ConfigDict(frozen=True)
    root: (
        Literal["dataset", "imagenet", "unit"]
        | tuple[float | tuple[float, ...], PositiveFloat | tuple[PositiveFloat, ...]]
    ) = "dataset"

    def build(self, train: Images) -> "Normalize":
        """The transform for data whose training split is `train`. Raises DataError if it does not fit its channels."""
        channels = train.in_shape[0]
        if self.root == "dataset":
            mean, std = pixel_statistics(train)
        elif self.root == "imagenet":
            mean, std = (torch.tensor(values) for values in _IMAGENET)
        elif self.root == "unit":
            mean, std = torch.zeros(channels), torch.ones(channels)
        else:
            mean, std = (torch.tensor(values, dtype=torch.float32).reshape(-1) for values in self.root)
        for values in (mean, std):
            if len(values) not in (1, channels):
                raise DataError(
                    f"normalize has {len(values)} channels, the images have {channels}: "
                    "change normalize, or the data set's channels"
                )
        return Normalize(mean.expand(channels), std.expand(channels))


class Normalize(v2.Transform):
    """uint8 [b, C, H, W] -> float32 (x / 255 - mean) / std, per channel."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean.float().reshape(-1, 1, 1).contiguous())
        self.register_buffer("std", std.float().reshape(-1, 1, 1).contiguous())

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Normalise one batch; the constants follow it to its device."""
        if self.mean.device != inpt.device:
            self.to(inpt.device)
        return inpt.to(torch.float32).div_(255).sub_(self.mean).div_(self.std)


class RandomCropPerImage(v2.Transform):
    """Pad with zeros by `padding`, then crop each image back to its size at its own uniformly drawn place.

    (`v2.RandomCrop` on a batch draws one place for all its images.)
    """

    def __init__(self, padding: int) -> None:
        super().__init__()
        self.padding = padding

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Draw top and left of each image, int64 [b] in 0..2 * padding, on the CPU: the same on every device."""
        top, left = torch.randint(2 * self.padding + 1, (2, len(flat_inputs[0])))
        return {"top": top, "left": left}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Crop [b, C, H, W]."""
        height, width = inpt.shape[-2:]
        padded = torch.nn.functional.pad(inpt, [self.padding] * 4)
        windows = padded.unfold(2, height, 1).unfold(3, width, 1)  # a view: [b, C, tops, lefts, H, W]
        top, left = (params[side].to(inpt.device, non_blocking=True) for side in ("top", "left"))
        return windows[torch.arange(len(inpt), device=inpt.device), :, top, left]


class RandomFlipPerImage(v2.Transform):
    """Mirror each image left-right with its own fair coin. (`v2.RandomHorizontalFlip` tosses one for the batch.)"""

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Draw bool [b], on the CPU: the same on every device."""
        return {"flip": torch.rand(len(flat_inputs[0])) < 0.5}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Flip [b, C, H, W]."""
        flip = params["flip"].to(inpt.device, non_blocking=True)
        return torch.where(flip[:, None, None, None], inpt.flip(-1), inpt)


def pixel_statistics(images: Images) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel in [0, 1]: float64 [C] each, exact up to rounding.

    Of all images held in memory, else of 10,000 spread evenly. Raises DataError if a channel is constant.
    """
    count = len(images) if isinstance(images, MemoryImages) else min(len(images), _STATISTICS_IMAGES)
    rows = torch.linspace(0, len(images) - 1, count, dtype=torch.float64).long()
    channels = images.in_shape[0]
    histogram = torch.zeros(channels, 256, dtype=torch.int64)
    for pixels, _ in images.in_order(rows.split(1000), torch.device("cpu")):
        for channel in range(channels):
            histogram[channel] += pixels[:, channel].reshape(-1).bincount(minlength=256)
    weight = histogram / histogram.sum(1, keepdim=True).double()
    values = torch.arange(256, dtype=torch.float64) / 255
    mean = weight @ values
    std = ((weight * (values - mean[:, None]) ** 2).sum(1)).sqrt()
    if bool((std == 0).any()):
        raise DataError(f"channel {int(std.argmin())} has one value in every training image: nothing to normalise by")
    return mean, std


def normalized(images: Images, normalize: v2.Transform) -> Images:
    """The split normalised once, its batches float32, if it is in memory and fits there at four times the size.

    For splits that are not augmented. Other splits come back as they are, with batches of uint8.
    """
    if not isinstance(images, MemoryImages) or 4 * images.pixels.numel() > MEMORY_LIMIT:
        return images
    pixels = torch.empty(images.pixels.shape)
    for out, part in zip(pixels.split(1000), images.pixels.split(1000), strict=True):
        out.copy_(normalize(part))
    return MemoryImages(pixels, images.labels)
