"""Git LFS pointers: the small texts that a clone made without Git LFS has in place of large files."""

from pathlib import Path

_BEGINNING = b"version https://git-lfs.github.com/spec/"
_MOST_BYTES = 1024
REMEDY = "a Git LFS pointer, not the file itself: run `git lfs pull` in the clone that it comes from"


def is_pointer(path: Path) -> bool:
    """Tell whether a file is a Git LFS pointer."""
    if path.stat().st_size > _MOST_BYTES:
        return False
    with path.open("rb") as file:
        return file.read(len(_BEGINNING)) == _BEGINNING
