"""Writing a ticket into a folder: all of it, or nothing."""

import contextlib
import hashlib
import os
import re
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from ticketzoo.errors import TicketError
from ticketzoo.ticket.config import MASKS_FILE, RECIPE_FILE, RESULTS_FILE, REWIND_FILE, TicketConfig, check_config
from ticketzoo.ticket.folder import CONFIG_FILE, is_ours, replicate_path, replicate_paths
from ticketzoo.ticket.masks_file import mask_pieces
from ticketzoo.ticket.state_file import states_to_bytes
from ticketzoo.ticket.stored import Stored, StoredReplicate
from ticketzoo.util.files import replace_folder


def save(config: TicketConfig, stored: Stored, folder: Path, extras: Mapping[str, bytes]) -> Path:
    """Write the ticket so that `folder` ever holds all of the old one or all of the new. Returns `folder`."""
    for name in extras:
        if not re.fullmatch(r"\w[\w.-]*", name) or is_ours(name):
            raise TicketError(f"{folder}: '{name}' cannot be the name of an extra file of a ticket")
    content = config.model_dump(mode="json")
    with replacing(folder) as new:
        for replicate in content["replicates"]:
            seed = replicate["seed"]
            replicate["files"] = {
                path: write_pieces(new / path, _content(config, stored.replicates[seed], seed, path))
                for path in replicate_paths(config, seed)
            }
        documents = {name: stored.read_document(name) for name in (RECIPE_FILE, RESULTS_FILE, *config.files)}
        held = {name: document for name, document in documents.items() if document is not None}
        content["files"] = {name: write_pieces(new / name, [document]) for name, document in held.items()}
        for name, data in extras.items():
            write_file(new / name, data)
        write_file(new / CONFIG_FILE, check_config(content, str(folder)).to_json().encode())
    return folder


Pieces: TypeAlias = Iterable[bytes | memoryview]
"""The content of a file, in order."""


def _content(config: TicketConfig, replicate: StoredReplicate, seed: int, path: str) -> Pieces:
    if path == replicate_path(seed, MASKS_FILE):
        return mask_pieces(replicate.levels)
    if path == replicate_path(seed, REWIND_FILE):
        return [states_to_bytes(replicate.rewind, config.rewind.kind)]
    return [states_to_bytes(replicate.values, "packed")]


def write_file(path: Path, content: bytes) -> None:
    """Write `content`, onto the disk and not only into its cache."""
    write_pieces(path, [content])


def write_pieces(path: Path, pieces: Pieces) -> dict[str, Any]:
    """Write a file likewise, a piece at a time, and return its size and digest as ticket.json states them."""
    path.parent.mkdir(exist_ok=True)
    size, digest = 0, hashlib.sha256()
    with path.open("xb") as file:
        for piece in pieces:
            file.write(piece)
            digest.update(piece)
            size += len(piece)
        file.flush()
        os.fsync(file.fileno())
    return {"bytes": size, "sha256": digest.hexdigest()}


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
        replace_folder(folder, new, old)
        _sync(folder.parent)
    except OSError as error:
        raise TicketError(f"{folder}: cannot write the ticket: {error.strerror or error}") from error
    finally:
        shutil.rmtree(new, ignore_errors=True)


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
