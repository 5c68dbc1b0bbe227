"""Stored images to uint8 tensors of one shape, in this process or ahead of time in worker processes."""

import logging
import os
import signal
import threading
from collections.abc import Generator, Iterable
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ticketzoo.data.images.format import ImageFormat, RandomCrop
from ticketzoo.data.images.source import ImageTable
from ticketzoo.errors import DataError

_log = logging.getLogger("ticketzoo")


class Piece(NamedTuple):
    """Rows of a table that are decoded at a time, whole or randomly cropped."""

    rows: list[int]
    crop: RandomCrop | None = None


class Decoded(NamedTuple):
    """A piece's images."""

    pixels: Tensor
    """uint8 [n, C, H, W] of the images that could be read, in the order of the rows."""
    unreadable: dict[int, str]
    """By position in the piece, which image could not be read and why."""


class Unreadable:
    """Policy for images that cannot be read: an error, or with `skip` each is named once, counted and left out."""

    def __init__(self, *, skip: bool = False) -> None:
        self.skip = skip
        self.met: set[str] = set()

    def meet(self, messages: Iterable[str]) -> None:
        """Raise DataError with the first of `messages`, each of which names an image, or tell of them all and go on."""
        for message in messages:
            if not self.skip:
                raise DataError(f"{message}; fix it, or leave such images out with on_error: skip")
            if message not in self.met:
                self.met.add(message)
                _log.warning("%s; skipped (unreadable images so far: %d)", message, len(self.met))


def decode(table: ImageTable, piece: Piece, image_format: ImageFormat) -> Decoded:
    """Return the images of `piece`.

    Raises:
        DataError: image that does not fit the format; the message names it.
    """
    channels, height, width = image_format.shape
    if piece.crop is not None:
        height = width = piece.crop.side
    pixels = np.empty((len(piece.rows), channels, height, width), dtype=np.uint8)
    unreadable: dict[int, str] = {}
    for position, image in enumerate(table.read(piece.rows)):
        row = piece.rows[position]
        if isinstance(image, DataError):
            unreadable[position] = str(image)
            continue
        try:
            pixels[position - len(unreadable)] = image_format.pixels(image, row, piece.crop)
        except ValueError as error:
            raise DataError(f"{table.where(row)} {error}") from error
    return Decoded(torch.from_numpy(pixels[: len(pixels) - len(unreadable)]), unreadable)


def decode_ahead(
    table: ImageTable, pieces: Iterable[Piece], image_format: ImageFormat, workers: int, *, pin: bool = False
) -> Generator[Decoded]:
    """Yield `decode` of each of `pieces`, in order, by worker processes ahead of time.

    The workers end with the iterator. Draws no random numbers.

    Args:
        table: the images.
        pieces: what to decode at a time.
        image_format: the form the images are brought into.
        workers: how many processes decode; 0: this one, when asked for.
        pin: into page-locked memory, for copies to a GPU.

    Raises:
        DataError: as `decode` does, and when a worker dies.
    """
    if workers == 0:
        yield from (decode(table, piece, image_format) for piece in pieces)
        return
    loader: DataLoader[Decoded] = DataLoader(
        _Decoding(table, image_format),
        batch_sampler=cast(Any, pieces),  # it is handed on as it is
        collate_fn=_unchanged,
        num_workers=workers,
        worker_init_fn=_leave_signals_to_the_training,
        pin_memory=pin,
        generator=torch.Generator(),  # else the loader draws its workers' seeds from the global generator
    )
    ready = iter(loader)
    try:
        while True:
            try:
                decoded = next(ready)
            except StopIteration:
                return
            except RuntimeError as error:
                hint = "short of memory or of shared memory (/dev/shm)? fewer workers need less"
                raise DataError(f"a process decoding images of {table.described} died; {hint}") from error
            if isinstance(decoded, DataError):
                raise decoded
            yield decoded
    finally:
        del ready


def default_workers() -> int:
    """Return the processors this process may use, at most 16, shared among the processes of torchrun on a machine."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(16, available // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))))


class _Decoding(Dataset[Decoded]):
    """The work of a worker. An error travels as a value: raised there, it would arrive as a page of traceback."""

    def __init__(self, table: ImageTable, image_format: ImageFormat) -> None:
        self._table = table
        self._format = image_format

    def __getitems__(self, piece: Piece) -> Decoded | DataError:
        try:
            return decode(self._table, piece, self._format)
        except DataError as error:
            return DataError(str(error))


def _leave_signals_to_the_training(worker: int) -> None:
    """Ignore SIGTERM, which clusters send to all processes of a job: the training needs its batch and ends workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):  # not on macOS, where no cluster is
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_end_by_the_training, daemon=True).start()


def _end_by_the_training() -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
        pass
    os._exit(0)


def _unchanged(batch: Any) -> Any:
    return batch
