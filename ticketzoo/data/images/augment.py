"""The `normalize:` and `augment:` sections of a recipe, and the torchvision v2 transforms they ask for."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import torch
from pydantic import (
    ConfigDict,
    Field,
    FiniteFloat,
    ModelWrapValidatorHandler,
    PositiveFloat,
    RootModel,
    ValidationError,
    model_validator,
)
from torch import Tensor

from ticketzoo.data.images.batches import MEMORY_LIMIT, Images, MemoryImages
from ticketzoo.data.images.format import RandomCrop
from ticketzoo.data.splits import evenly_spread
from ticketzoo.errors import DataError
from ticketzoo.recipe import Config, Steps
from ticketzoo.seeds import derive_seed

if TYPE_CHECKING:
    from torchvision.transforms import v2

_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_STATISTICS_IMAGES = 10_000

_Range = tuple[PositiveFloat, PositiveFloat]
_PerChannel = FiniteFloat | Annotated[tuple[FiniteFloat, ...], Field(min_length=1)]


class RandomResizedCrop(Config):
    """Train on random parts of the images, cut from them at the size they are stored in and then resized.

    Attributes:
        scale: smallest and largest part, a fraction of the image's area.
        ratio: smallest and largest width divided by height.
        sizes: progressive resizing: the side in pixels of training images from each of these points of training on,
            such as {0ep: 128, 10ep: 160}; default: the data set's image_size throughout.
    """

    scale: _Range = (0.08, 1.0)
    ratio: _Range = (3 / 4, 4 / 3)
    sizes: dict[Steps, Annotated[int, Field(ge=1, le=1024)]] = Field(default={})

    @model_validator(mode="after")
    def _ranges_and_beginning(self) -> "RandomResizedCrop":
        for key in ("scale", "ratio"):
            least, most = getattr(self, key)
            if least > most or (key == "scale" and most > 1):
                raise ValueError(f"{key}: write [least, most]" + (", as fractions of the area" * (key == "scale")))
        if self.sizes and not any(point.count == 0 for point in self.sizes):
            raise ValueError("sizes: say what to begin with, as in {0ep: 128, 10ep: 160}")
        return self

    def at(self, step: int, *, seed: int, steps_per_epoch: int, image_size: int) -> RandomCrop:
        """Return the crops of the images of iteration `step`."""
        passed = {point.iterations(steps_per_epoch): side for point, side in self.sizes.items()}
        side = passed[max(start for start in passed if start <= step)] if passed else image_size
        return RandomCrop(side, self.scale, self.ratio, derive_seed(seed, "crop", step))


class Augmentation(Config):
    """The `augment:` section of a recipe; every draw is made per image.

    Attributes:
        crop: width in pixels of the zero padding on each side before cropping back to the image's size at a random
            place (0: none).
        flip: true mirrors each image left to right with probability one half.
        random_resized_crop: random parts of the images that are trained on; `{}` for torchvision's settings. By default
            whole images.
    """

    crop: Annotated[int, Field(ge=0)] = 0
    flip: bool = False
    random_resized_crop: RandomResizedCrop | None = None

    def build(self) -> "v2.Transform | None":
        """Transform [b, C, H, W] -> the same shape and dtype, or None if there is nothing to do.

        It draws from torch's global generator. random_resized_crop is no part of it: that is done where images are
        decoded.
        """
        from torchvision.transforms import v2

        from ticketzoo.data.images.operations import RandomCropPerImage, RandomFlipPerImage

        steps = ([RandomCropPerImage(self.crop)] if self.crop else []) + ([RandomFlipPerImage()] if self.flip else [])
        return v2.Compose(steps) if steps else None


class Normalization(RootModel[Literal["dataset", "imagenet", "unit"] | tuple[_PerChannel, _PerChannel]]):
    """The `normalize:` value of a recipe: how pixels become float32.

    `[mean, std]` (numbers, or lists of one number per channel; of pixels in [0, 1]), or "dataset" (mean and standard
    deviation per channel of the training images), "imagenet" (torchvision's constants), "unit" (just [0, 1]).
    """

    model_config = ConfigDict(frozen=True)

    @model_validator(mode="wrap")
    @classmethod
    def _explain(cls, value: Any, check: ModelWrapValidatorHandler["Normalization"]) -> "Normalization":
        try:
            checked = check(value)
        except ValidationError:
            checked = None
        if checked is None or (not isinstance(checked.root, str) and min(_listed(checked.root[1])) <= 0):
            raise ValueError(
                'write "dataset", "imagenet", "unit" or [mean, std], with std above 0, as of pixels in 0..1'
            )
        return checked

    def build(self, train: Images) -> "v2.Transform":
        """Return a module that makes of uint8 [b, C, H, W] float32, for data whose training split is `train`.

        Raises:
            DataError: it does not fit the channels, or the training images are all of one colour.
        """
        from ticketzoo.data.images.operations import Normalize

        channels = train.in_shape[0]
        if self.root == "dataset":
            mean, std = pixel_statistics(train)
        elif self.root == "imagenet":
            mean, std = (torch.tensor(values) for values in _IMAGENET)
        elif self.root == "unit":
            mean, std = torch.zeros(channels), torch.ones(channels)
        else:
            mean, std = (torch.tensor(_listed(values)) for values in self.root)
        for values in (mean, std):
            if len(values) not in (1, channels):
                raise DataError(
                    f"normalize has {len(values)} channels, the images have {channels}: "
                    "change normalize, or the data set's channels"
                )
        return Normalize(mean.expand(channels), std.expand(channels))


def _listed(values: _PerChannel) -> tuple[float, ...]:
    return values if isinstance(values, tuple) else (values,)


def pixel_statistics(images: Images) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of each channel, of pixels in [0, 1]: float64 [C] each, from exact sums.

    Of all images held in memory, else of 10,000 spread evenly.

    Raises:
        DataError: a channel is constant.
    """
    rows = evenly_spread(len(images), len(images) if isinstance(images, MemoryImages) else _STATISTICS_IMAGES)
    histograms = torch.zeros(images.in_shape[0], 256, dtype=torch.int64)
    for pixels, _ in images.in_order(rows.split(1000), torch.device("cpu")):
        for histogram, channel in zip(histograms, pixels.unbind(1), strict=True):
            histogram += channel.reshape(-1).bincount(minlength=256)
    means, deviations = [], []
    for number, histogram in enumerate(histograms.tolist()):
        count = sum(histogram)
        total = sum(value * times for value, times in enumerate(histogram))
        squares = sum(value * value * times for value, times in enumerate(histogram))
        if count * squares == total * total:
            raise DataError(f"channel {number} has one value in all training images: nothing to normalise by")
        means.append(total / (255 * count))
        deviations.append(math.sqrt(count * squares - total * total) / (255 * count))
    return torch.tensor(means, dtype=torch.float64), torch.tensor(deviations, dtype=torch.float64)


def normalized(images: Images, normalize: "v2.Transform") -> Images:
    """Return the split normalised once, its batches float32, if it is in memory and fits there at four times the size.

    For splits that are not augmented. Other splits come back as they are, with batches of uint8.
    """
    if not isinstance(images, MemoryImages) or 4 * images.pixels.numel() > MEMORY_LIMIT:
        return images
    pixels = torch.empty(images.pixels.shape)
    for out, part in zip(pixels.split(1000), images.pixels.split(1000), strict=True):
        out.copy_(normalize(part))
    return MemoryImages(pixels, images.labels)


class DrawnApart:
    """The steps of `Augmentation.build` in two parts: what is drawn for each image, and the change of images by it."""

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
