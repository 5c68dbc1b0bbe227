"""Images decoded once to a file that is mapped into memory: those of sets too large to be held there."""

import logging
import shutil
from collections.abc import Mapping
from pathlib import Path

import torch
from filelock import FileLock
from torch import Tensor

from ticketzoo.data.images.batches import Images
from ticketzoo.data.images.cache import cache_of, decoded_parts
from ticketzoo.data.images.classes import Part
from ticketzoo.data.images.decode import Unreadable
from ticketzoo.data.images.format import ImageFormat
from ticketzoo.data.images.source import ImageTable
from ticketzoo.data.order import on_device
from ticketzoo.util.files import replacing_file
from ticketzoo.util.os_errors import why

_log = logging.getLogger("ticketzoo")
_SHARE_OF_DISK = 0.5
"""The most of the free disk that decoded images may take."""


class MappedImages(Images):
    """Images in a file: the operating system keeps in memory what there is room for.

    Args:
        pixels: uint8 [m, C, H, W], mapped from the file.
        places: int64 [n], where in `pixels` each image is; -1 for one that cannot be read: it is missing in its batch.
        labels: int64 [n].
    """

    def __init__(self, pixels: Tensor, places: Tensor, labels: Tensor) -> None:
        self.labels = labels
        self.in_shape = (pixels.shape[1], pixels.shape[2], pixels.shape[3])
        self._pixels = pixels
        self._places = places

    def batch(self, indices: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
        """Return the same as `Images.batch`, read from the file."""
        indices = indices[self._places[indices] >= 0]
        pixels = self._pixels.index_select(0, self._places[indices])
        return on_device(pixels, device), on_device(self.labels[indices], device)


def on_disk(
    parts: Mapping[str, Part], image_format: ImageFormat, unreadable: Unreadable, workers: int | None = None
) -> dict[str, MappedImages]:
    """Return the splits of which decoded images are in the cache, or can be put there now: a file for each table.

    The file is `images/*.pixels` in the folder the environment names in TICKETZOO_CACHE (default `~/.cache/ticketzoo`);
    it may be deleted while nothing trains.

    Args:
        parts: by name of the split, its rows of a table.
        image_format: the form the images are brought into.
        unreadable: policy for images that cannot be read.
        workers: processes that decode; default the processors, at most 16.

    Raises:
        DataError: as `decode` does, and for an unreadable image unless `unreadable` skips it.
    """
    splits = {}
    for table in {id(part.table): part.table for part in parts.values()}.values():
        here = {name: part for name, part in parts.items() if part.table is table}
        rows = torch.cat([part.rows for part in here.values()]).unique()
        found = _decoded_file(table, rows, image_format, unreadable, workers)
        if found is None:
            continue
        pixels, readable = found
        for name, part in here.items():
            places = torch.searchsorted(readable, part.rows).clamp(max=len(readable) - 1)
            places[readable[places] != part.rows] = -1
            splits[name] = MappedImages(pixels, places, part.labels)
    return splits


def _decoded_file(
    table: ImageTable, rows: Tensor, image_format: ImageFormat, unreadable: Unreadable, workers: int | None
) -> tuple[Tensor, Tensor] | None:
    """Return uint8 [n, C, H, W] of the ascending `rows` that can be read, mapped from a file, and those rows.

    Another process that decodes the same is waited for. None where the table is not one that can be known again, the
    disk is short of room, or nothing can be read.
    """
    cached = cache_of(table, rows, image_format)
    if cached is None:
        return None
    file = cached.with_suffix(".pixels")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(file.with_suffix(".lock")):
            if (found := _opened(file, rows, image_format)) is not None:
                return found
            size, free = len(rows) * image_format.bytes, shutil.disk_usage(file.parent).free
            if size > _SHARE_OF_DISK * free:
                _say_no(table, f"{size / 1e9:.1f} GB are more than half of what is free in {file.parent}")
                return None
            _log.info("%s: decoded once to %s (%.1f GB)", table.described, file, size / 1e9)
            _write(file, table, rows, image_format, unreadable, workers)
            return _opened(file, rows, image_format)
    except OSError as error:
        _say_no(table, f"{file.parent} cannot be written ({why(error)})")
        return None


def _say_no(table: ImageTable, reason: str) -> None:
    advice = "TICKETZOO_CACHE names another folder"
    _log.warning("%s: images are decoded anew in each batch: %s; %s", table.described, reason, advice)


def _opened(file: Path, rows: Tensor, image_format: ImageFormat) -> tuple[Tensor, Tensor] | None:
    """Return what is in a whole file: pixels, then a byte for each of `rows`, 1 if it could be read; None of another.

    A file that was cut or grew has another length; changed pixels are not noticed.
    """
    length = file.stat().st_size if file.is_file() else 0
    if length < len(rows):
        return None
    with file.open("rb") as stored:
        stored.seek(length - len(rows))
        readable = torch.frombuffer(bytearray(stored.read()), dtype=torch.uint8).bool()
    kept = rows[readable]
    if not len(kept) or len(kept) * image_format.bytes + len(rows) != length:
        return None
    pixels = torch.from_file(str(file), shared=False, size=len(kept) * image_format.bytes, dtype=torch.uint8)
    return pixels.view(len(kept), *image_format.shape), kept


def _write(
    file: Path,
    table: ImageTable,
    rows: Tensor,
    image_format: ImageFormat,
    unreadable: Unreadable,
    workers: int | None,
) -> None:
    readable = torch.ones(len(rows), dtype=torch.uint8)
    with replacing_file(file) as temporary, temporary.open("wb") as out:
        for part, unread in decoded_parts(table, rows, image_format, unreadable, workers):
            out.write(part.numpy().data)
            readable[unread] = 0
        out.write(readable.numpy().data)
