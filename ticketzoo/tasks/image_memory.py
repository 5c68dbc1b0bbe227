"""Images decoded once to a tensor, and remembered on disk so that the next process need not decode them again."""

import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ticketzoo.escaping import for_terminal
from ticketzoo.tasks.image_decode import Decoded, Piece, Unreadable, decode_ahead, default_workers
from ticketzoo.tasks.image_format import ImageFormat
from ticketzoo.tasks.image_source import ImageTable

_CACHE_FORMAT = 1
_WORKERS_WORTH_STARTING = 100_000_000
"""Bytes of pixels from which decoding is shared out to worker processes."""
_PART = 4_000_000
"""Bytes of pixels decoded at a time."""


def decode_all(
    table: ImageTable, rows: Tensor, image_format: ImageFormat, *, unreadable: Unreadable, workers: int | None = None
) -> tuple[Tensor, Tensor]:
    """uint8 [n, C, H, W] of the int64 `rows` that can be read, and those rows: from the cache, or decoded now.

    workers: processes that decode; default the processors, at most 16. Raises DataError as `decode` does, and for an
    unreadable image unless `unreadable` skips it.

    The cache is `images/` in the folder the environment names in TICKETZOO_CACHE (default `~/.cache/ticketzoo`): one
    safetensors file for each table, choice of rows and format, if all can be read. A damaged file is made again; all
    may be deleted.
    """
    cached = _cache_file(table, rows, image_format)
    shape = (len(rows), *image_format.shape)
    pixels = None if cached is None else _read(cached, shape)
    if pixels is None:
        pixels, rows = _decode_all(table, rows, image_format, unreadable, workers)
        if cached is not None and len(rows) == shape[0]:
            _write(cached, pixels)
    return pixels, rows


def _decode_all(
    table: ImageTable, rows: Tensor, image_format: ImageFormat, unreadable: Unreadable, workers: int | None
) -> tuple[Tensor, Tensor]:
    pixels = torch.empty((len(rows), *image_format.shape), dtype=torch.uint8)
    if pixels.numel() <= _WORKERS_WORTH_STARTING:
        workers = 0
    parts = rows.split(max(1, _PART // image_format.bytes))
    pieces = (Piece(part.tolist()) for part in parts)
    decoded = decode_ahead(table, pieces, image_format, default_workers() if workers is None else workers)
    readable = torch.ones(len(rows), dtype=torch.bool)
    seen = done = 0
    for part in _with_progress(decoded, len(parts), f"decoding {table.described}"):
        unreadable.meet(part.unreadable.values())
        readable[[seen + position for position in part.unreadable]] = False
        pixels[done : done + len(part.pixels)] = part.pixels
        seen += len(part.pixels) + len(part.unreadable)
        done += len(part.pixels)
    return pixels[:done], rows[readable]


def _with_progress(parts: Iterable[Decoded], total: int, what: str) -> Iterator[Decoded]:
    """The same parts, with a bar on standard error once they take over a second, if it is a terminal."""
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import Progress

    if not sys.stderr.isatty():
        yield from parts
        return
    progress = Progress(console=Console(stderr=True), transient=True)
    task = progress.add_task(escape(for_terminal(what)), total=total)
    started, shown = time.monotonic(), False
    with ExitStack() as stack:
        for part in parts:
            yield part
            progress.advance(task)
            if not shown and time.monotonic() - started > 1:
                stack.enter_context(progress)
                shown = True


def _cache_file(table: ImageTable, rows: Tensor, image_format: ImageFormat) -> Path | None:
    import PIL

    if table.identity is None:
        return None
    chosen = hashlib.sha256(rows.numpy().data).hexdigest()
    made_by = {key: value for key, value in asdict(image_format).items() if value is not None}
    key = [_CACHE_FORMAT, table.identity, chosen, made_by, PIL.__version__]
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    folder = Path(os.environ.get("TICKETZOO_CACHE") or "~/.cache/ticketzoo").expanduser()
    return folder / "images" / f"{digest}.safetensors"


def _read(file: Path, shape: tuple[int, ...]) -> Tensor | None:
    """The cached pixels, or None if there are none or they are not what was written."""
    try:
        with safe_open(file, framework="pt") as stored:
            digest = (stored.metadata() or {}).get("sha256")
            pixels: Tensor = stored.get_tensor("pixels")
    except (OSError, SafetensorError):
        return None
    whole = pixels.dtype == torch.uint8 and tuple(pixels.shape) == shape and _sha256(pixels) == digest
    return pixels if whole else None


def _write(file: Path, pixels: Tensor) -> None:
    """Leave the pixels for the next process; a full disk or read-only folder just means there will be no cache."""
    with suppress(OSError, SafetensorError):
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=file.parent) as folder:
            made = Path(folder) / file.name
            save_file({"pixels": pixels}, made, metadata={"sha256": _sha256(pixels)})
            made.replace(file)


def _sha256(pixels: Tensor) -> str:
    return hashlib.sha256(pixels.numpy().data).hexdigest()
