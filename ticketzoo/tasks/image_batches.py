"""Images of one split, in memory or decoded by worker processes, and the order in which training sees them."""

import math
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ticketzoo.errors import DataError
from ticketzoo.seeds import derive_seed
from ticketzoo.tasks.image_source import ImageTable

if TYPE_CHECKING:
    from PIL.Image import Image

_COLOURLESS = ("1", "L", "LA", "La", "I;16", "I;16B", "I;16L", "I;16N")


@dataclass(frozen=True)
class ImageFormat:
    """What every image of a data set becomes: uint8 [channels, height, width].

    resize: other sizes are resized, not refused. grey: colour images are turned grey, not refused.
    """

    channels: int
    height: int
    width: int
    resize: bool
    grey: bool

    def pixels(self, image: "Image") -> Tensor:
        """uint8 [C, H, W]. Raises ValueError, saying what to set, for an image that does not fit."""
        if channels_of(image) > self.channels and not self.grey:
            raise ValueError("is in colour, others are grey: set channels to 1 or 3")
        image = _to_mode(image, "L" if self.channels == 1 else "RGB")
        if image.size != (self.width, self.height):
            if not self.resize:
                found = f"{image.width}x{image.height} pixels, others {self.width}x{self.height}"
                raise ValueError(f"has {found}: set image_size")
            image = image.resize((self.width, self.height), resample=2)  # bilinear, antialiased
        pixels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
        return pixels.view(self.height, self.width, self.channels).permute(2, 0, 1)


def channels_of(image: "Image") -> int:
    """1 for a grey image, 3 for a coloured one; transparency doesn't count."""
    return 1 if image.mode in _COLOURLESS else 3


def _to_mode(image: "Image", mode: str) -> "Image":
    if image.mode in ("I", "F"):
        raise ValueError(f"has {image.mode!r} pixels (32 bits): store it with 8 bits a channel")
    if image.mode.startswith("I;16"):
        image = image.point(lambda value: value / 256).convert("L")
    return image if image.mode == mode else image.convert(mode)


def decode(table: ImageTable, rows: list[int], image_format: ImageFormat) -> Tensor:
    """uint8 [rows, C, H, W]. Raises DataError naming the image that cannot be read or does not fit."""
    shape = (len(rows), image_format.channels, image_format.height, image_format.width)
    decoded = torch.empty(shape, dtype=torch.uint8)
    for position, image in enumerate(table.read(rows)):
        try:
            decoded[position] = image_format.pixels(image)
        except ValueError as error:
            raise DataError(f"{table.where(rows[position])} {error}") from error
    return decoded


class Images(ABC):
    """The images of one split. labels: int64 [n]; in_shape: (C, H, W)."""

    labels: Tensor
    in_shape: tuple[int, int, int]

    def __len__(self) -> int:
        return len(self.labels)

    @abstractmethod
    def batch(self, indices: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
        """Images uint8 [b, C, H, W] and labels int64 [b] of int64 `indices` [b], on `device`."""

    @abstractmethod
    def in_order(
        self, order: Iterable[Tensor], device: torch.device, workers: int | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """`batch` of each of the index tensors in `order`, prepared ahead of time where that helps."""


class MemoryImages(Images):
    """All images in one tensor, `pixels` [n, C, H, W]; a batch is one index_select on the device."""

    def __init__(self, pixels: Tensor, labels: Tensor) -> None:
        self.pixels = pixels
        self.labels = labels
        self.in_shape = (pixels.shape[1], pixels.shape[2], pixels.shape[3])
        self._there = (pixels, labels)

    def batch(self, indices: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
        """As Images.batch. The first batch on another device moves the whole split there, and it stays."""
        if self._there[0].device != device:
            self._there = (self.pixels.to(device), self.labels.to(device))
        pixels, labels = self._there
        indices = indices.to(pixels.device, non_blocking=True)
        return pixels.index_select(0, indices), labels.index_select(0, indices)

    def in_order(
        self, order: Iterable[Tensor], device: torch.device, workers: int | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """As Images.in_order; no workers are needed."""
        return (self.batch(indices, device) for indices in order)


def batches(
    images: Images,
    *,
    batch_size: int,
    seed: int,
    start: int,
    stop: int,
    device: torch.device,
    workers: int | None = None,
) -> Iterator[tuple[int, Tensor, Tensor]]:
    """(step, images, labels) of global steps start..stop-1; the batch of a step depends on `seed` and the step alone.

    Every epoch visits each example once, in an order drawn from (seed, epoch); its last batch may be smaller.
    workers: processes that decode images not held in memory (default: the processors, at most 4; 0: this process).
    """
    order = _training_order(len(images), batch_size, seed, start, stop)
    for step, (pixels, labels) in zip(range(start, stop), images.in_order(order, device, workers), strict=True):
        yield step, pixels, labels


def _training_order(count: int, batch_size: int, seed: int, start: int, stop: int) -> Iterator[Tensor]:
    steps_per_epoch = math.ceil(count / batch_size)
    drawn, permutation = -1, torch.empty(0)
    for step in range(start, stop):
        epoch, position = divmod(step, steps_per_epoch)
        if epoch != drawn:
            generator = torch.Generator().manual_seed(derive_seed(seed, "order", epoch))
            drawn, permutation = epoch, torch.randperm(count, generator=generator)
        yield permutation[position * batch_size : (position + 1) * batch_size]


def in_turn(
    images: Images, *, batch_size: int, device: torch.device, workers: int | None = None
) -> Iterator[tuple[Tensor, Tensor]]:
    """(images, labels) of the whole split once, in stored order: for evaluation."""
    return images.in_order(torch.arange(len(images)).split(batch_size), device, workers)


def default_workers() -> int:
    """Processors this process may use, at most 4."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(4, available)
