"""Contents of files: keys for caches that change when they do, and files that are there more than once."""

import hashlib
import os
import re
import time
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ticketzoo.errors import DataError

_DIGESTED = 64 * 10**6
"""Bytes of a set of files up to which all are read for its key."""
_RECENT = 5.0
"""Seconds since a file's last change in which another may leave its times as they are."""
_END = 4096
"""Bytes at either end of files of one size that are compared first."""
_ADDRESS = re.compile(r"(.*--)?[0-9a-f]{30,64}(\.\w+)?")
"""Name of a file in a store where files are called by their digests: links of several files lead to one there."""
_THREADS = 8
_PIECE = 500
"""Files that a thread looks at in a go."""


def content_key(root: Path, files: Sequence[Path]) -> str:
    """Return a key for caches of what was made of `files`, which lie below `root`: it changes when a content does.

    Of the contents, if they are few bytes. Else of each file's size, inode and times of modification and of change (the
    latter cannot be set back), and of the contents of what has changed just now. Of a file that cannot be read, its
    name.
    """
    digest = hashlib.sha256()
    found = [(file, _status(file)) for file in files]
    few = sum(status.st_size for _, status in found if status) <= _DIGESTED
    for file, status in found:
        digest.update(os.fsencode(file.relative_to(root)) + b"\0")
        if status and (few or max(status.st_mtime, status.st_ctime) > time.time() - _RECENT):
            digest.update(_read(file, _sha256) or b"unreadable")
        elif status:
            times = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev)
            digest.update(repr(times).encode())
    return digest.hexdigest()


def repeated(files: Sequence[Path]) -> list[list[int]]:
    """Return the positions of the files that have a content in common, a list for each such content.

    Files of a size that no other has are not read, and of the others not more than tells them apart. Those that cannot
    be read are not among them.

    Raises:
        DataError: a file is there twice, by a link or as it is.
    """
    groups = [list(range(len(files)))]
    with ThreadPoolExecutor(_THREADS) as pool:
        groups = _divided(pool, files, groups, lambda file: status.st_size if (status := _status(file)) else None)
        _check_once([files[at] for group in groups for at in group])
        groups = _divided(pool, files, groups, lambda file: _read(file, _ends))
        return _divided(pool, files, groups, lambda file: _read(file, _sha256))


def _divided(
    pool: ThreadPoolExecutor, files: Sequence[Path], groups: list[list[int]], key: Callable[[Path], Hashable]
) -> list[list[int]]:
    """Return the groups divided by `key`, without those of one file, and without files whose key is None."""
    asked = [(number, at) for number, group in enumerate(groups) for at in group]
    pieces = [asked[start : start + _PIECE] for start in range(0, len(asked), _PIECE)]
    keys = pool.map(lambda piece: [(number, key(files[at])) for number, at in piece], pieces)
    parts: defaultdict[tuple[int, Hashable], list[int]] = defaultdict(list)
    for piece, of_piece in zip(pieces, keys, strict=True):
        for (_, at), part in zip(piece, of_piece, strict=True):
            parts[part].append(at)
    return [part for (_, found), part in parts.items() if len(part) > 1 and found is not None]


def _check_once(files: Sequence[Path]) -> None:
    """Raise DataError if a file is there twice, by a link to it or to a folder it lies in, or as it is."""
    seen: dict[str, Path] = {}
    for file in files:
        real = os.path.realpath(file)
        other = seen.setdefault(real, file)
        if other is not file and not _ADDRESS.fullmatch(Path(real).name):
            if other == file:
                raise DataError(f"{file} is named twice: name each image once, in one split")
            raise DataError(f"{file} is the same file as {other}, by a link: leave one of them")


def _status(file: Path) -> os.stat_result | None:
    try:
        return file.stat()
    except OSError:
        return None


def _read(file: Path, part: Callable[[Path], bytes]) -> bytes | None:
    try:
        return part(file)
    except OSError:
        return None


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
