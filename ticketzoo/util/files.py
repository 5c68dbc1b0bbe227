"""Write files so that a crash leaves the old file or the new one, and folders as a whole or not at all."""

import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from ticketzoo.errors import RunError
from ticketzoo.util.os_errors import remedy, why


@contextmanager
def writing_into(folder: Path) -> Iterator[None]:
    """Raise RunError for an OSError in the block, which writes into `folder` and does nothing else."""
    try:
        yield
    except OSError as error:
        raise RunError(f"{folder}: cannot be written ({why(error)}); {remedy(error)} and run again") from None


def sync_folder(folder: Path) -> None:
    """Have the disk remember which files are in `folder`, also if the power fails."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def replacing_file(path: Path) -> Iterator[Path]:
    """Give a temporary path whose file replaces `path` after the block: `path` is ever the old file or the new.

    It is the same in every process, so that the next one replaces what a killed one had not finished. The file has the
    mode that the umask gives, whatever the library that writes it does.
    """
    temporary = path.with_name(f".{path.name}.new")
    try:
        temporary.unlink(missing_ok=True)
        temporary.touch()
        mode = temporary.stat().st_mode & 0o777
        yield temporary
        temporary.chmod(mode)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        error.filename = error.filename or str(path)  # a disk that is full names no file
        raise
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def making_folder(folder: Path) -> Iterator[Path]:
    """Give a new folder beside `folder` that becomes it after the block: all that is written there is there, or none.

    Each call has a folder of its own, so that two at once do not mix. Raises OSError where `folder` holds something
    already.
    """
    place = folder.resolve()
    temporary = place.with_name(f".{place.name}.{uuid.uuid4().hex[:8]}.new")
    try:
        temporary.mkdir(parents=True)
        yield temporary
        sync_folder(temporary)
        temporary.rename(folder)
        sync_folder(place.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def replace_folder(folder: Path, new: Path, old: Path) -> None:
    """Put the folder `new` in the place of `folder`, which is moved to `old` and removed. Raises OSError.

    All three are on one file system. Where `new` cannot be moved, `folder` is what it was.
    """
    replaced = folder.exists()
    if replaced:
        shutil.rmtree(old, ignore_errors=True)
        folder.rename(old)
    try:
        new.rename(folder)
    except OSError:
        if replaced:
            old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def write_atomically(path: Path, content: bytes) -> None:
    """Write `content` so that after any crash `path` is either the old file or the whole new one. Raises OSError."""
    with replacing_file(path) as temporary:
        temporary.write_bytes(content)


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Write a safetensors file as `write_atomically` does, without a copy of it in memory. Raises OSError."""
    with replacing_file(path) as temporary:
        try:
            save_file(tensors, temporary, metadata=metadata)
        except SafetensorError as error:  # it states the system's error by number alone
            number = re.search(r"\(os error (\d+)\)", str(error))
            raise OSError(*((int(number[1]), os.strerror(int(number[1]))) if number else (str(error),))) from error
