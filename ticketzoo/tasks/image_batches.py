"""Images of one split, in memory or decoded by worker processes, and the order in which training sees them."""

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from ticketzoo.seeds import derive_seed
from ticketzoo.tasks.image_decode import ImageFormat, decode, decode_ahead, default_workers
from ticketzoo.tasks.image_source import ImageTable

MEMORY_LIMIT = 2 * 10**9
"""Bytes of pixels that are kept in memory unless the recipe says otherwise."""


class Images(ABC):
    """The images of one split. labels: int64 [n] on the CPU; in_shape: (C, H, W)."""

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
        """`batch` of each of the index tensors of `order`, prepared ahead of time where that helps.

        workers: processes that decode images not held in memory; default the processors, at most 4; 0: this process.
        """


class MemoryImages(Images):
    """All images in one tensor, `pixels` [n, C, H, W]; a batch is one index_select on the device."""

    def __init__(self, pixels: Tensor, labels: Tensor) -> None:
        self.pixels = pixels
        self.labels = labels
        self.in_shape = (pixels.shape[1], pixels.shape[2], pixels.shape[3])
        self._on = {torch.device("cpu"): (pixels, labels)}

    def batch(self, indices: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
        """As `Images.batch`. The first batch for another device copies the whole split there, and it stays."""
        if device not in self._on:
            self._on[device] = (self.pixels.to(device), self.labels.to(device))
        pixels, labels = self._on[device]
        indices = indices.to(device, non_blocking=True)
        return pixels.index_select(0, indices), labels.index_select(0, indices)

    def in_order(
        self, order: Iterable[Tensor], device: torch.device, workers: int | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """As `Images.in_order`; there is nothing for workers to do."""
        return (self.batch(indices, device) for indices in order)


class StreamedImages(Images):
    """Images too large for memory: `rows` int64 [n] of a table, decoded when their batch is due."""

    def __init__(self, table: ImageTable, rows: Tensor, labels: Tensor, image_format: ImageFormat) -> None:
        self.labels = labels
        self.in_shape = image_format.shape
        self._table = table
        self._rows = rows
        self._format = image_format

    def batch(self, indices: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
        """As `Images.batch`, decoded in this process. Raises DataError naming an unreadable image."""
        pixels = decode(self._table, self._rows[indices].tolist(), self._format)
        return pixels.to(device), self.labels[indices].to(device)

    def in_order(
        self, order: Iterable[Tensor], device: torch.device, workers: int | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """As `Images.in_order`; the workers end with the iterator. Raises DataError naming an unreadable image."""
        ahead, due = itertools.tee(order)
        rows = (self._rows[indices].tolist() for indices in ahead)
        workers = default_workers() if workers is None else workers
        pin = device.type == "cuda"
        decoded = decode_ahead(self._table, rows, self._format, workers, pin=pin)
        for pixels, indices in zip(decoded, due, strict=False):
            yield pixels.to(device, non_blocking=pin), self.labels[indices].to(device)


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
    workers: as in `Images.in_order`.
    """
    order = _training_order(len(images), batch_size, seed, start, stop)
    for step, (pixels, labels) in enumerate(images.in_order(order, device, workers), start):
        yield step, pixels, labels


def in_turn(
    images: Images, *, batch_size: int, device: torch.device, workers: int | None = None
) -> Iterator[tuple[Tensor, Tensor]]:
    """(images, labels) of the whole split once, in stored order: for evaluation. workers: as in `Images.in_order`."""
    order = torch.arange(len(images)).split(batch_size) if len(images) else ()
    return images.in_order(order, device, workers)


def _training_order(count: int, batch_size: int, seed: int, start: int, stop: int) -> Iterator[Tensor]:
    steps_per_epoch = math.ceil(count / batch_size)
    drawn, permutation = -1, torch.empty(0)
    for step in range(start, stop):
        epoch, position = divmod(step, steps_per_epoch)
        if epoch != drawn:
            generator = torch.Generator().manual_seed(derive_seed(seed, "order", epoch))
            drawn, permutation = epoch, torch.randperm(count, generator=generator)
        yield permutation[position * batch_size : (position + 1) * batch_size]
