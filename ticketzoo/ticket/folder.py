"""The folder a ticket lives in: its files, their sizes and digests.

Only files of the closed set of names below are ever opened, and replicates' folders are named by their seeds, numbers.
Links are followed, because caches of downloaded files are made of them.
"""

import hashlib
import re
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
from ticketzoo.util import lfs

CONFIG_FILE = "ticket.json"


def replicate_path(seed: int, file: str) -> str:
    """Return the path of a file of the replicate of `seed`, such as MASKS_FILE, below the ticket's folder."""
    return f"seed-{int(seed)}/{file}"


def replicate_paths(config: TicketConfig, seed: int) -> list[str]:
    """Return the paths of all files of one replicate."""
    files = [MASKS_FILE, *([REWIND_FILE] if REWINDS[config.rewind.kind].in_file else [])]
    return [replicate_path(seed, file) for file in (*files, *([VALUES_FILE] if config.values else []))]


def read_config(folder: Path) -> TicketConfig:
    """Read and check ticket.json.

    Raises:
        TicketError: a folder without one, and for whatever it may not say.
    """
    path = folder / CONFIG_FILE
    if not folder.is_dir():
        raise TicketError(f"{folder}: no such ticket folder")
    if path.exists() and not path.is_file():
        raise TicketError(f"{path}: is {_kind(path)}, not a file: put the ticket's file there")
    if not path.is_file():
        raise TicketError(f"{folder}: not a ticket: there is no {CONFIG_FILE} in it")
    try:
        if lfs.is_pointer(path):
            raise TicketError(f"{path}: is {lfs.REMEDY}")
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


def _kind(path: Path) -> str:
    return "a folder" if path.is_dir() else "a FIFO" if path.is_fifo() else "a device or socket"


def check_size(path: Path, entry: FileEntry) -> None:
    """Raise TicketError unless the file is there and as long as ticket.json says."""
    if path.exists() and not path.is_file():
        raise TicketError(f"{path}: is {_kind(path)}, not a file: put the ticket's file there")
    if not path.is_file():
        raise TicketError(f"{path}: missing")
    size = path.stat().st_size
    if size != entry.bytes and lfs.is_pointer(path):
        raise TicketError(f"{path}: is {lfs.REMEDY}")
    if size != entry.bytes:
        kind = "truncated" if size < entry.bytes else "oversized"
        raise TicketError(f"{path}: {kind}: it has {size} bytes, but ticket.json says {entry.bytes}")


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
