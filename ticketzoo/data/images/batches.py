"""Images of one split, in memory or decoded by worker processes, and the order in which training sees them."""

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from copy import copy
from typing import NamedTuple

import torch
from torch import Tensor

from ticketzoo.data.images.decode import Decoded, Piece, Unreadable, decode, decode_ahead, default_workers
from ticketzoo.data.images.format import ImageFormat, RandomCrop
from ticketzoo.data.images.source import ImageTable
from ticketzoo.data.order import on_device, training_order
from ticketzoo.distributed.processes import Share, mine
from ticketzoo.errors import DataError

MEMORY_LIMIT = 2 * 10**9
"""Bytes of pixels that are kept in memory unless the recipe says otherwise."""
_PIECE = 8_000_000
"""Bytes of pixels, at most, that a worker decodes at a time: batches of large images are shared out among them."""


class Batch(NamedTuple):
    """Images [b, C, H, W] and labels int64 [b], which part of the whole batch they are, and if they are augmented."""

    images: Tensor
    labels: Tensor
    share: Share
    augment: bool = True


class Images(ABC):
    """The images of one split.

    Attributes:
        labels: int64 [n] on the CPU.
        clean: of labels with noise, those without.
        in_shape: (C, H, W).
    """

    labels: Tensor
    clean: Tensor | None = None
    in_shape: tuple[int, int, int]

    def __len__(self) -> int:
        return len(self.labels)

    def labelled(self, labels: Tensor) -> "Images":
        """Return the same images with other labels, [n, ...]: batches have their rows."""
        other = copy(self)
        other.labels = labels
        return other

    @abstractmethod
    def batch(self, indices: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
        """Return images uint8 [b, C, H, W] and labels int64 [b] of int64 `indices` [b], on `device`."""

    def in_order(
        self,
        order: Iterable[Tensor],
        device: torch.device,
        workers: int | None = None,
        crops: Iterable[RandomCrop] | None = None,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield `batch` of each of the index tensors of `order`, in turn.

        Args:
            order: index tensors, int64 [b], one a batch.
            device: where the batches are put.
            workers: processes that decode images not held in memory; default the processors, at most 16; 0: this
                process.
            crops: random crops of each batch's images; only for images that are decoded for their batch.
        """
        assert crops is None, "decoded images have lost what is cropped away"
        return (self.batch(indices, device) for indices in order)


class MemoryImages(Images):
    """All images in one tensor, `pixels` [n, C, H, W]; a batch is one index_select on the device."""

    def __init__(self, pixels: Tensor, labels: Tensor, clean: Tensor | None = None) -> None:
        self.pixels = pixels
        self.labels = labels
        self.clean = clean
        self.in_shape = (pixels.shape[1], pixels.shape[2], pixels.shape[3])
        self._on = {torch.device("cpu"): (pixels, labels)}

    def labelled(self, labels: Tensor) -> Images:
        """Return the same as `Images.labelled`."""
        return MemoryImages(self.pixels, labels)

    def batch(self, indices: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
        """Return the same as `Images.batch`. The first for another device copies the whole split there, to stay."""
        pixels, labels = self.on(device)
        indices = on_device(indices, device)
        return pixels.index_select(0, indices), labels.index_select(0, indices)

    def on(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Return `pixels` and `labels` on `device`, where they stay."""
        if device not in self._on:
            self._on[device] = (self.pixels.to(device), self.labels.to(device))
        return self._on[device]


class StreamedImages(Images):
    """Images too large for memory: `rows` int64 [n] of a table, decoded when their batch is due.

    Args:
        unreadable: what becomes of images that cannot be read; left out, they are missing in their batches.
        workers: default of `in_order`.
    """

    def __init__(
        self,
        table: ImageTable,
        rows: Tensor,
        labels: Tensor,
        image_format: ImageFormat,
        *,
        unreadable: Unreadable | None = None,
        workers: int | None = None,
    ) -> None:
        self.labels = labels
        self.in_shape = image_format.shape
        self._table = table
        self._rows = rows
        self._format = image_format
        self._unreadable = unreadable or Unreadable()
        self._workers = default_workers() if workers is None else workers

    def batch(self, indices: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
        """Return the same as `Images.batch`, decoded in this process.

        Raises:
            DataError: an image cannot be read; the message names it.
        """
        return self._joined(indices, [decode(self._table, Piece(self._rows[indices].tolist()), self._format)], device)

    def in_order(
        self,
        order: Iterable[Tensor],
        device: torch.device,
        workers: int | None = None,
        crops: Iterable[RandomCrop] | None = None,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the same as `Images.in_order`; the workers end with the iterator.

        Raises:
            DataError: an image cannot be read; the message names it.
        """
        workers = self._workers if workers is None else workers
        ahead, due = itertools.tee(order)
        pieces = (
            Piece(self._rows[part].tolist(), crop)
            for indices, crop in zip(ahead, itertools.repeat(None) if crops is None else crops, strict=False)
            for part in self._parts(indices, workers)
        )
        decoded = decode_ahead(self._table, pieces, self._format, workers, pin=device.type == "cuda")
        with closing(decoded):
            for indices in due:
                yield self._joined(indices, [next(decoded) for _ in self._parts(indices, workers)], device)

    def _parts(self, indices: Tensor, workers: int) -> tuple[Tensor, ...]:
        """Return a batch in pieces alike in size: workers take them in turn, and each has as much to do."""
        at_most = max(1, _PIECE // self._format.bytes)
        return indices.tensor_split(max(1, math.ceil(len(indices) / at_most))) if workers else (indices,)

    def _joined(self, indices: Tensor, parts: list[Decoded], device: torch.device) -> tuple[Tensor, Tensor]:
        """Return the batch of `indices` from its decoded parts."""
        lost, start = [], 0
        for part in parts:
            self._unreadable.meet(part.unreadable.values())
            lost += [start + position for position in part.unreadable]
            start += len(part.pixels) + len(part.unreadable)
        if lost:
            kept = torch.ones(len(indices), dtype=torch.bool)
            kept[lost] = False
            indices = indices[kept]
        pixels = [on_device(part.pixels, device) for part in parts]
        return pixels[0] if len(pixels) == 1 else torch.cat(pixels), on_device(self.labels[indices], device)


def batches(
    images: Images,
    *,
    batch_size: int,
    seed: int,
    start: int,
    stop: int,
    device: torch.device,
    workers: int | None = None,
    crop: Callable[[int], RandomCrop] | None = None,
) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Yield (step, images, labels) of steps start..stop-1; the batch of a step depends on `seed` and the step alone.

    Of several processes each gets its share of every batch.
    Every epoch visits each example once, in an order drawn from (seed, epoch); its last batch may be smaller.

    Args:
        images: the split.
        batch_size: examples a step, over all processes.
        seed: of the order.
        start: the first step.
        stop: the step after the last.
        device: where the batches are put.
        workers: as in `Images.in_order`.
        crop: gives the random crops of the images of a step; default none.

    Raises:
        DataError: a batch, or a share of one, of which no image can be read: it has no loss.
    """
    order = training_order(len(images), batch_size, seed, start, stop)
    crops = None if crop is None else map(crop, range(start, stop))
    for step, (pixels, labels) in enumerate(images.in_order(order, device, workers, crops), start):
        if not len(labels):
            raise DataError(f"none of the images to train on in iteration {step} can be read: fix those named above")
        yield step, pixels, labels


def in_turn(
    images: Images, *, batch_size: int, device: torch.device, workers: int | None = None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield (images, labels) of the whole split once, in stored order: for evaluation.

    Of several processes each gets some of the batches. Batches of which no image can be read are left out.

    Args:
        images: the split.
        batch_size: examples a batch.
        device: where the batches are put.
        workers: as in `Images.in_order`.
    """
    order = torch.arange(len(images)).split(batch_size) if len(images) else ()
    return (batch for batch in images.in_order(mine(order), device, workers) if len(batch[1]))
