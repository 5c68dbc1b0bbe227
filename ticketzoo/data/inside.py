"""Files that data name: those in its folder alone, and what `save_to_disk` of `datasets` has left there."""

import json
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from ticketzoo.data.folders import TRAIN
from ticketzoo.errors import DataError


def is_inside(folder: Path, file: Path) -> bool:
    """Tell whether a file is in an absolute folder by its path, `..` resolved; links in it may lead anywhere."""
    return Path(os.path.normpath(file.absolute())).is_relative_to(os.path.normpath(folder))


def refuse_outside(base: Path, names: Iterable[str], where: str = "its card") -> None:
    """Raise DataError where one of `names`, that `where` gives, is of a file that is not in `base`."""
    if outside := [name for name in names if ".." in Path(name).parts or Path(name).is_absolute()]:
        raise DataError(f"{base}: {where} names files outside, {outside[0]!r}: name files in the folder")


def read_file(file: Path) -> bytes:
    """Return the content of a regular file; OSError for anything else, which reading may never end."""
    if not stat.S_ISREG(file.stat().st_mode):
        raise OSError(0, "it is no regular file")
    return file.read_bytes()


def saved_to_disk(root: Path) -> dict[str, list[Path]] | None:
    """Return the files that `save_to_disk` of a data set, or of a dict of them, left in a folder, by split.

    None where it left none.

    Raises:
        DataError: they are not whole, or lie outside the folder.
    """
    try:
        if (root / "state.json").is_file():
            return {TRAIN: _of_state(root)}
        if (root / "dataset_dict.json").is_file():
            names = [str(name) for name in json.loads((root / "dataset_dict.json").read_bytes())["splits"]]
            refuse_outside(root, names, "dataset_dict.json")
            return {name: _of_state(root / name) for name in names}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{root} was saved by save_to_disk, but is not whole: {error}") from error
    return None


def _of_state(folder: Path) -> list[Path]:
    names = [str(file["filename"]) for file in json.loads(read_file(folder / "state.json"))["_data_files"]]
    refuse_outside(folder, names, "state.json")
    if odd := [name for name in names if not (folder / name).is_file()]:
        raise FileNotFoundError(0, "no such file", str(folder / odd[0]))
    return [folder / name for name in names]
