"""The form of every image of a data set, whatever it is stored as: uint8 of one shape, whole, cut or cropped."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from ticketzoo.seeds import derive_seed

if TYPE_CHECKING:
    from PIL.Image import Image

_GREY_MODES = ("1", "L", "LA", "La", "I", "F", "I;16", "I;16B", "I;16L", "I;16N")


@dataclass(frozen=True)
class RandomCrop:
    """A random part of each image, resized to a square of `side` pixels (Szegedy et al. 2015, section 6).

    Attributes:
        scale: least and most of the image's area.
        ratio: least and most of width / height, drawn evenly in its logarithm.
        seed: with an image's row in its table it decides the part, so that batches can be divided in any way.
    """

    side: int
    scale: tuple[float, float]
    ratio: tuple[float, float]
    seed: int

    def cut(self, image: "Image", row: int) -> "Image":
        """Return the part of the image at `row`, resized once (bilinear). Leaves the global random numbers alone."""
        from PIL.Image import Resampling
        from torchvision.transforms.v2 import RandomResizedCrop

        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(derive_seed(self.seed, row))
            top, left, height, width = RandomResizedCrop.get_params(image, list(self.scale), list(self.ratio))
        part = image.crop((left, top, left + width, top + height))
        return part.resize((self.side, self.side), Resampling.BILINEAR)


@dataclass(frozen=True)
class ImageFormat:
    """The form of every image of a data set: uint8 [channels, height, width].

    Attributes:
        resize: images of other sizes are resized, not refused.
        to_grey: coloured images turn grey, and are not refused.
        shorter: resize images so that their shorter side is so many pixels, then cut out the centre; None: squash
            them.
    """

    channels: int
    height: int
    width: int
    resize: bool
    to_grey: bool
    shorter: int | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return self.channels, self.height, self.width

    @property
    def bytes(self) -> int:
        """Size of one decoded image."""
        return self.channels * self.height * self.width

    def pixels(self, image: "Image", row: int = 0, crop: RandomCrop | None = None) -> np.ndarray:
        """Return uint8 [C, H, W], or [C, side, side] of a random `crop` of the image at `row` of its table.

        Raises:
            ValueError: the image does not fit; the message says what to do.
        """
        if channels_of(image) > self.channels and not self.to_grey:
            raise ValueError("is in colour, others are grey: set channels to 1 or 3")
        image = _with_mode(image, "L" if self.channels == 1 else "RGB")
        image = self._sized(image) if crop is None else crop.cut(image, row)
        return np.asarray(image).reshape(image.height, image.width, self.channels).transpose(2, 0, 1)

    def _sized(self, image: "Image") -> "Image":
        from PIL.Image import Resampling

        if self.shorter is not None:
            from torchvision.transforms.v2.functional import center_crop, resize

            return center_crop(resize(image, [self.shorter]), [self.height, self.width])
        if image.size == (self.width, self.height):
            return image
        if not self.resize:
            size = f"{image.width}x{image.height} pixels, others {self.width}x{self.height}"
            raise ValueError(f"has {size}: set image_size")
        return image.resize((self.width, self.height), Resampling.BILINEAR)


def channels_of(image: "Image") -> int:
    """Return 1 for a grey image, 3 for a coloured one; transparency does not count."""
    return 1 if image.mode in _GREY_MODES else 3


def _with_mode(image: "Image", mode: str) -> "Image":
    from PIL import Image

    if image.mode in ("I", "F"):
        raise ValueError("has 32 bits a pixel: store it with 8")
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    return image if image.mode == mode else image.convert(mode)
