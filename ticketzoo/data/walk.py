"""The files below a folder, links followed, and what of it is nobody's data."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ticketzoo.errors import DataError

JUNK = (
    *("__macosx", "__pycache__", ".ipynb_checkpoints", ".git", ".svn", ".hg", ".dvc", ".cache", ".appledouble"),
    *(".trashes", ".spotlight-v100", ".fseventsd", ".temporaryitems", ".thumbnails", "@eadir", "@recycle", "#recycle"),
    *("@recently-snapshot", "#snapshot", "$recycle.bin", "system volume information", "lost+found"),
)
"""Folders that systems and tools leave behind, in lower case: not looked into."""
HIDDEN = "hidden files"
HIDDEN_FOLDERS = "files in hidden folders"
TOOLS = "folders of systems and tools"
DEAD_LINKS = "links that lead nowhere"
EMPTY = "empty folders"
SPECIAL = "entries that are no files"


@dataclass
class Found:
    """The files below a folder.

    Attributes:
        files: paths relative to the folder, with `/` between the parts, sorted.
        left_out: reason -> what of the folder was passed over for it.
    """

    files: list[str] = field(default_factory=list)
    left_out: dict[str, list[str]] = field(default_factory=dict)


def walk(root: Path) -> Found:
    """Return the regular files below `root`, links to files and folders followed.

    Raises:
        DataError: a link leads back to a folder that it lies in, or a folder cannot be read.
    """
    found = Found()
    try:
        status = root.stat()
        _enter(root, "", ((status.st_dev, status.st_ino),), found)
    except OSError as error:
        raise DataError(f"{error.filename or root} cannot be read: {error.strerror}") from error
    found.files.sort()
    for names in found.left_out.values():
        names.sort()
    return found


def _enter(root: Path, top: str, above: tuple[tuple[int, int], ...], found: Found) -> None:
    """Add what is below the folder `top` (empty, or ending in `/`); `above` are it and the folders that it lies in."""
    pending: list[tuple[str, tuple[tuple[int, int], ...]]] = [(top, above)]
    while pending:
        top, above = pending.pop()
        entries = list(_entries(root, top, found))
        if top and not entries:
            found.left_out.setdefault(EMPTY, []).append(top)
        for name, status in entries:
            if stat.S_ISDIR(status.st_mode):
                folder = (status.st_dev, status.st_ino)
                if folder in above:
                    raise DataError(f"{root / top / name} is a link to a folder that it lies in: remove it")
                pending.append((f"{top}{name}/", (*above, folder)))
            else:
                found.files.append(top + name)


def _entries(root: Path, top: str, found: Found) -> Iterator[tuple[str, os.stat_result]]:
    """Yield names and (links followed) statuses of the folders and data files in a folder; note the others."""
    with os.scandir(root / top) as entries:
        for entry in entries:
            try:
                status = entry.stat()
            except FileNotFoundError:
                reason: str | None = DEAD_LINKS
            except OSError as error:
                if not entry.is_symlink():
                    raise
                raise DataError(f"the link {entry.path} cannot be followed: {error.strerror}") from error
            else:
                reason = _no_data(entry.name, status.st_mode)
            if reason is None:
                yield entry.name, status
            elif passed_over := _files_in(root, top + entry.name) if reason == HIDDEN_FOLDERS else [top + entry.name]:
                found.left_out.setdefault(reason, []).extend(passed_over)


def _no_data(name: str, mode: int) -> str | None:
    """Return the reason for which an entry of a folder is passed over, if there is one."""
    if stat.S_ISDIR(mode):
        return TOOLS if name.casefold() in JUNK else HIDDEN_FOLDERS if name.startswith(".") else None
    if not stat.S_ISREG(mode):
        return SPECIAL
    return HIDDEN if name.startswith(".") else None


def _files_in(root: Path, folder: str) -> list[str]:
    """Return the files below a folder, no links followed, relative to `root`."""
    return [
        (Path(where) / name).relative_to(root).as_posix()
        for where, _, names in os.walk(root / folder)
        for name in names
    ]
