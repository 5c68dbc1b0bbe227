"""Stored images to uint8 tensors of one shape, in this process or ahead of time in worker processes."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ticketzoo.errors import DataError
from ticketzoo.tasks.image_source import ImageTable

if TYPE_CHECKING:
    from PIL.Image import Image

_GREY_MODES = ("1", "L", "LA", "La", "I", "F", "I;16", "I;16B", "I;16L", "I;16N")


@dataclass(frozen=True)
class ImageFormat:
    """What every image of a data set becomes: uint8 [channels, height, width].

    resize: images of other sizes are resized, not refused. to_grey: coloured images turn grey, and are not refused.
    """

    channels: int
    height: int
    width: int
    resize: bool
    to_grey: bool

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return self.channels, self.height, self.width

    @property
    def bytes(self) -> int:
        """Size of one decoded image."""
        return self.channels * self.height * self.width

    def pixels(self, image: "Image") -> np.ndarray:
        """uint8 [C, H, W]. Raises ValueError, saying what to do, for an image that does not fit."""
        from PIL.Image import Resampling

        if channels_of(image) > self.channels and not self.to_grey:
            raise ValueError("is in colour, others are grey: set channels to 1 or 3")
        image = _with_mode(image, "L" if self.channels == 1 else "RGB")
        if image.size != (self.width, self.height):
            if not self.resize:
                size = f"{image.width}x{image.height} pixels, others {self.width}x{self.height}"
                raise ValueError(f"has {size}: set image_size")
            image = image.resize((self.width, self.height), Resampling.BILINEAR)
        return np.asarray(image).reshape(self.height, self.width, self.channels).transpose(2, 0, 1)


def channels_of(image: "Image") -> int:
    """1 for a grey image, 3 for a coloured one; transparency does not count."""
    return 1 if image.mode in _GREY_MODES else 3


def _with_mode(image: "Image", mode: str) -> "Image":
    from PIL import Image

    if image.mode in ("I", "F"):
        raise ValueError("has 32 bits a pixel: store it with 8")
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    return image if image.mode == mode else image.convert(mode)


def decode(table: ImageTable, rows: list[int], image_format: ImageFormat) -> Tensor:
    """uint8 [rows, C, H, W]. Raises DataError naming an image that cannot be read or does not fit."""
    decoded = np.empty((len(rows), *image_format.shape), dtype=np.uint8)
    for position, image in enumerate(table.read(rows)):
        try:
            decoded[position] = image_format.pixels(image)
        except ValueError as error:
            raise DataError(f"{table.where(rows[position])} {error}") from error
    return torch.from_numpy(decoded)


def decode_ahead(
    table: ImageTable, batches: Iterable[list[int]], image_format: ImageFormat, workers: int, *, pin: bool = False
) -> Iterator[Tensor]:
    """`decode` of each of `batches` of rows, in order, by `workers` processes ahead of time (0: here, when asked for).

    pin: into page-locked memory, for copies to a GPU. The workers end with the iterator. Draws no random numbers.
    Raises DataError as `decode` does, and when a worker dies.
    """
    if workers == 0:
        yield from (decode(table, rows, image_format) for rows in batches)
        return
    loader: DataLoader[Tensor] = DataLoader(
        _Decoding(table, image_format),
        batch_sampler=batches,
        collate_fn=_unchanged,
        num_workers=workers,
        pin_memory=pin,
        generator=torch.Generator(),  # else the loader draws its workers' seeds from the global generator
    )
    decoded = iter(loader)
    try:
        while True:
            try:
                pixels = next(decoded)
            except StopIteration:
                return
            except RuntimeError as error:
                hint = "short of memory or of shared memory (/dev/shm)? fewer workers or smaller batches need less"
                raise DataError(f"a process decoding images of {table.described} died; {hint}") from error
            if isinstance(pixels, DataError):
                raise pixels
            yield pixels
    finally:
        del decoded


def default_workers() -> int:
    """The processors this process may use, at most 4."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(4, available)


class _Decoding(Dataset[Tensor]):
    """What a worker does. An error travels as a value: raised there, it would arrive as a page of traceback."""

    def __init__(self, table: ImageTable, image_format: ImageFormat) -> None:
        self._table = table
        self._format = image_format

    def __getitems__(self, rows: list[int]) -> Tensor | DataError:
        try:
            return decode(self._table, rows, self._format)
        except DataError as error:
            return DataError(str(error))


def _unchanged(batch: Any) -> Any:
    return batch
