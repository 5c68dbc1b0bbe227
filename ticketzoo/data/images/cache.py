"""Images decoded once to a tensor, and remembered on disk so that the next process need not decode them again."""

import hashlib
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from ticketzoo.data.images.decode import Piece, Unreadable, decode_ahead, default_workers
from ticketzoo.data.images.format import ImageFormat
from ticketzoo.data.images.source import ImageTable
from ticketzoo.data.progress_bar import with_progress
from ticketzoo.data.tensor_cache import cache_file, read_cached, write_cached

_CACHE_FORMAT = 1
_WORKERS_WORTH_STARTING = 100_000_000
"""Bytes of pixels from which decoding is shared out to worker processes."""
_PART = 4_000_000
"""Bytes of pixels decoded at a time."""


def decode_all(
    table: ImageTable, rows: Tensor, image_format: ImageFormat, *, unreadable: Unreadable, workers: int | None = None
) -> tuple[Tensor, Tensor]:
    """Return uint8 [n, C, H, W] of the int64 `rows` that can be read, and those rows: from the cache, or decoded now.

    The cache is `images/` in the folder the environment names in TICKETZOO_CACHE (default `~/.cache/ticketzoo`): one
    safetensors file for each table, choice of rows and format, if all can be read. A damaged file is made again; all
    may be deleted.

    Args:
        table: the images.
        rows: int64 [n], those to decode.
        image_format: the form they are brought into.
        unreadable: policy for images that cannot be read.
        workers: processes that decode; default the processors, at most 16.

    Raises:
        DataError: as `decode` does, and for an unreadable image unless `unreadable` skips it.
    """
    cached = cache_of(table, rows, image_format)
    stored = read_cached(cached) if cached else None
    if stored and stored["pixels"].shape == (len(rows), *image_format.shape):
        return stored["pixels"], rows
    pixels, readable = _decode_all(table, rows, image_format, unreadable, workers)
    if cached is not None and len(readable) == len(rows):
        write_cached(cached, {"pixels": pixels})
    return pixels, readable


def _decode_all(
    table: ImageTable, rows: Tensor, image_format: ImageFormat, unreadable: Unreadable, workers: int | None
) -> tuple[Tensor, Tensor]:
    pixels = torch.empty((len(rows), *image_format.shape), dtype=torch.uint8)
    readable = torch.ones(len(rows), dtype=torch.bool)
    done = 0
    for part, lost in decoded_parts(table, rows, image_format, unreadable, workers):
        readable[lost] = False
        pixels[done : done + len(part)] = part
        done += len(part)
    return pixels[:done], rows[readable]


def decoded_parts(
    table: ImageTable, rows: Tensor, image_format: ImageFormat, unreadable: Unreadable, workers: int | None
) -> Iterator[tuple[Tensor, list[int]]]:
    """Yield the images of the int64 `rows` [n] as uint8 [k, C, H, W], part by part, with a progress bar.

    With each part come the places in `rows` of those of its images that cannot be read. Raises as `decode_all` does.
    """
    if len(rows) * image_format.bytes <= _WORKERS_WORTH_STARTING:
        workers = 0
    parts = rows.split(max(1, _PART // image_format.bytes))
    pieces = (Piece(part.tolist()) for part in parts)
    decoded = decode_ahead(table, pieces, image_format, default_workers() if workers is None else workers)
    seen = 0
    for part in with_progress(decoded, len(parts), f"decoding {table.described}"):
        unreadable.meet(part.unreadable.values())
        yield part.pixels, [seen + position for position in part.unreadable]
        seen += len(part.pixels) + len(part.unreadable)


def cache_of(table: ImageTable, rows: Tensor, image_format: ImageFormat) -> Path | None:
    """Return the file that remembers the int64 `rows` in this form; None for a table that cannot be known again."""
    import PIL

    if table.identity is None:
        return None
    chosen = hashlib.sha256(rows.numpy().data).hexdigest()
    made_by = {key: value for key, value in asdict(image_format).items() if value is not None}
    key = [_CACHE_FORMAT, table.identity, chosen, made_by, PIL.__version__]
    return cache_file("images", key)
