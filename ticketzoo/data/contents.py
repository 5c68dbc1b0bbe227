"""Contents of files: keys for caches that change when they do, and files that are there more than once."""

import hashlib
import os
import time
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ticketzoo.errors import DataError

_DIGESTED = 64 * 10**6
"""Bytes of a set of files up to which all are read for its key."""
_RECENT = 5.0
"""Seconds since a file's last change in which another may leave its times as they are."""
_END = 4096
"""Bytes at either end of files of one size that are compared first."""
_THREADS = 8
_PIECE = 500
"""Files that a thread looks at in a go."""


def content_key(root: Path, files: Sequence[Path]) -> str:
    """Return a key for caches of what was made of `files`, which lie below `root`: it changes when a content does.

    Of the contents, if they are few bytes. Else of each file's size, inode and times of modification and of change (the
    latter cannot be set back), and of the contents of what has changed just now.

    Raises:
        DataError: a file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        found = [(file, file.stat()) for file in files]
        few = sum(status.st_size for _, status in found) <= _DIGESTED
        for file, status in found:
            digest.update(os.fsencode(file.relative_to(root)) + b"\0")
            if few or max(status.st_mtime, status.st_ctime) > time.time() - _RECENT:
                digest.update(_sha256(file))
            else:
                times = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev)
                digest.update(repr(times).encode())
    except OSError as error:
        raise DataError(f"{error.filename} cannot be read: {error.strerror}") from error
    return digest.hexdigest()


def repeated(files: Iterable[Path]) -> list[list[Path]]:
    """Return the files that have a content in common, a list for each such content.

    Files of a size that no other has are not read, and of the others not more than tells them apart.

    Raises:
        DataError: a file cannot be read, or is named twice (by links).
    """
    groups = [list(files)]
    try:
        with ThreadPoolExecutor(_THREADS) as pool:
            groups = _divided(pool, groups, lambda file: file.stat().st_size)
            _check_once(groups)
            groups = _divided(pool, groups, _ends)
            groups = _divided(pool, groups, _sha256)
    except OSError as error:
        raise DataError(f"{error.filename} cannot be read: {error.strerror}") from error
    return groups


def _divided(pool: ThreadPoolExecutor, groups: list[list[Path]], key: Callable[[Path], Hashable]) -> list[list[Path]]:
    """Return the groups divided by `key`, without those of one file."""
    files = [(number, file) for number, group in enumerate(groups) for file in group]
    pieces = [files[start : start + _PIECE] for start in range(0, len(files), _PIECE)]
    keys = pool.map(lambda piece: [(number, key(file)) for number, file in piece], pieces)
    parts: defaultdict[tuple[int, Hashable], list[Path]] = defaultdict(list)
    for piece, found in zip(pieces, keys, strict=True):
        for (_, file), part in zip(piece, found, strict=True):
            parts[part].append(file)
    return [part for part in parts.values() if len(part) > 1]


def _check_once(groups: list[list[Path]]) -> None:
    """Raise DataError if a file is there twice, by a link to it or to a folder it lies in."""
    seen: dict[tuple[int, int], Path] = {}
    for file in (file for group in groups for file in group):
        status = file.stat()
        other = seen.setdefault((status.st_dev, status.st_ino), file)
        if other is not file and os.path.realpath(other) == os.path.realpath(file):
            raise DataError(f"{file} is the same file as {other}, by a link: leave one of them")


def _ends(file: Path) -> bytes:
    with file.open("rb") as opened:
        start = opened.read(_END)
        if len(start) < _END:
            return start
        opened.seek(max(_END, opened.seek(0, os.SEEK_END) - _END))
        return start + opened.read(_END)


def _sha256(file: Path) -> bytes:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").digest()
