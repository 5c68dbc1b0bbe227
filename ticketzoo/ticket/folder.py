"""The folder a ticket lives in: which files it has, their sizes and digests, and writing it whole or not at all.

Only files of the closed set of names below are ever opened, and replicates' folders are named by their seeds, numbers.
Links are followed, because caches of downloaded files are made of them.
"""

import contextlib
import hashlib
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ticketzoo.errors import TicketError
from ticketzoo.ticket.config import (
    EXTRA,
    MASKS_FILE,
    MAX_CONFIG_BYTES,
    RECIPE_FILE,
    RESULTS_FILE,
    REWIND_FILE,
    REWINDS,
    VALUES_FILE,
    FileEntry,
    TicketConfig,
    parse_config,
)

CONFIG_FILE = "ticket.json"


def masks_path(seed: int) -> str:
    """Return the path of the masks of the replicate of `seed`, below the ticket's folder."""
    return f"seed-{int(seed)}/{MASKS_FILE}"


def rewind_path(seed: int) -> str:
    """Return the path of the rewind weights of the replicate of `seed`, below the ticket's folder."""
    return f"seed-{int(seed)}/{REWIND_FILE}"


def values_path(seed: int) -> str:
    """Return the path of the trained values of the replicate of `seed`, below the ticket's folder."""
    return f"seed-{int(seed)}/{VALUES_FILE}"


def replicate_paths(config: TicketConfig, seed: int) -> list[str]:
    """Return the files of one replicate, below the ticket's folder."""
    paths = [masks_path(seed)]
    paths += [rewind_path(seed)] if REWINDS[config.rewind.kind].in_file else []
    return paths + ([values_path(seed)] if config.values else [])


def read_config(folder: Path) -> TicketConfig:
    """Read and check ticket.json.

    Raises:
        TicketError: a folder without one, and for whatever it may not say.
    """
    path = folder / CONFIG_FILE
    if not folder.is_dir():
        raise TicketError(f"{folder}: no such ticket folder")
    if not path.is_file():
        raise TicketError(f"{folder}: not a ticket: there is no {CONFIG_FILE} in it")
    try:
        with path.open("rb") as file:
            text = file.read(min(path.stat().st_size, MAX_CONFIG_BYTES) + 1)
    except OSError as error:
        raise TicketError(f"{path}: cannot be read: {error.strerror}") from None
    if len(text) > MAX_CONFIG_BYTES:
        raise TicketError(f"{path}: more than {MAX_CONFIG_BYTES} bytes, too much for a ticket")
    config = parse_config(text, str(path))
    for replicate in config.replicates:
        expected = replicate_paths(config, replicate.seed)
        if sorted(replicate.files) != sorted(expected):
            raise TicketError(f"{path}: replicates: files of seed {replicate.seed} must be {' and '.join(expected)}")
    return config


def is_ours(name: str) -> bool:
    """Tell whether a format gives a meaning to a file or folder of this name."""
    return name in (CONFIG_FILE, RECIPE_FILE, RESULTS_FILE, EXTRA) or re.fullmatch(r"seed-\d+", name) is not None


def file_entries(config: TicketConfig) -> dict[str, FileEntry]:
    """Return the size and digest of every file that ticket.json declares, by path below the ticket's folder."""
    entries = {name: entry for replicate in config.replicates for name, entry in replicate.files.items()}
    return entries | {str(name): entry for name, entry in config.files.items()}


def ticket_files(folder: Path, config: TicketConfig) -> list[Path]:
    """Return ticket.json and every file it declares."""
    return [folder / name for name in (CONFIG_FILE, *file_entries(config))]


def check_file(folder: Path, name: str, entry: FileEntry) -> Path:
    """Return the path of a file whose size and sha256 are as declared.

    Raises:
        TicketError: they are not.
    """
    path = folder / name
    check_size(path, entry)
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise TicketError(f"{path}: cannot be read: {error.strerror}") from None
    if digest != entry.sha256:
        raise TicketError(f"{path}: damaged: its sha256 is {digest}, but ticket.json says {entry.sha256}")
    return path


def entry_of(content: bytes) -> FileEntry:
    """Return the size and digest of a file's content."""
    return FileEntry(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())


def write_file(path: Path, content: bytes) -> None:
    """Write `content`, onto the disk and not only into its cache."""
    path.parent.mkdir(exist_ok=True)
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """Give a new empty folder that replaces the ticket at `folder`, if any, once the block has ended well.

    Until then `folder` stays as it was. Files there that are no part of a ticket (a card, plots) move along unless the
    block has written them anew.

    Raises:
        TicketError: `folder` holds anything but a ticket, or cannot be written.
    """
    folder = folder.resolve()
    token = uuid.uuid4().hex[:8]
    new, old = (folder.with_name(f".{folder.name}.{token}.{state}") for state in ("new", "old"))
    try:
        if folder.exists() and not folder.is_dir():
            raise TicketError(f"{folder}: is a file, not a folder to write a ticket into")
        if folder.is_dir() and any(folder.iterdir()) and not (folder / CONFIG_FILE).is_file():
            raise TicketError(f"{folder}: holds something else than a ticket: choose a new folder, or empty this one")
        new.mkdir(parents=True)
        yield new
        if folder.is_dir():
            _copy_foreign(folder, new)
        for directory in (new, *(path for path in new.iterdir() if path.is_dir())):
            _sync(directory)
        _swap(new, folder, old)
    except OSError as error:
        raise TicketError(f"{folder}: cannot write the ticket: {error.strerror or error}") from error
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _swap(new: Path, folder: Path, old: Path) -> None:
    replaced = folder.exists()
    if replaced:
        folder.rename(old)
    try:
        new.rename(folder)
    except OSError:
        if replaced:
            old.rename(folder)
        raise
    _sync(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def _copy_foreign(folder: Path, new: Path) -> None:
    for path in folder.iterdir():
        if is_ours(path.name) or (new / path.name).exists():
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.copytree(path, new / path.name, symlinks=True)
        else:
            shutil.copy2(path, new / path.name, follow_symlinks=False)


def _sync(directory: Path) -> None:
    with contextlib.suppress(OSError):  # not every system can
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def check_size(path: Path, entry: FileEntry) -> None:
    """Raise TicketError unless the file is there and as long as ticket.json says."""
    if not path.is_file():
        raise TicketError(f"{path}: missing")
    size = path.stat().st_size
    if size != entry.bytes:
        kind = "truncated" if size < entry.bytes else "oversized"
        raise TicketError(f"{path}: {kind}: it has {size} bytes, but ticket.json says {entry.bytes}")
