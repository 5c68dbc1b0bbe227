"""Images that a table beside them describes, `metadata.csv` and the like, which is read as tables of texts are."""

import difflib
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ticketzoo.data.contents import content_key
from ticketzoo.data.folders import IMAGES, Layout, resolve_folder
from ticketzoo.data.remarks import Remarks
from ticketzoo.data.stored_folder import METADATA, holds_metadata, of_hub
from ticketzoo.data.tables.files import Reading, Tables, as_split, read_table
from ticketzoo.data.tables.places import Places, RowsOfFile
from ticketzoo.data.walk import walk
from ticketzoo.errors import DataError
from ticketzoo.util.text import show_names

_COLUMN = "file_name"
_READING = Reading(in_recipe=False)


def described_images(root: Path, *, may_miss: bool = False) -> Tables | None:
    """Return the images of a folder whose splits have a `metadata.csv`, .jsonl or .parquet; None for others.

    The column `file_name` becomes the column `image` of files, and `<name>_file_name` the column `<name>`. Images that
    no row names are a remark.

    Args:
        root: the folder.
        may_miss: rows may name files that are not there, as what reads them leaves them out.

    Raises:
        DataError: a split has none, or a row names no file of it; the message names file and line.
    """
    if of_hub(root):
        return None
    found = walk(root)
    if not holds_metadata(root, found.files):
        return None
    layout = resolve_folder(root, _is_taken, "images", with_classes=False, found=found)
    if beside := [name for names in layout.left_out.values() for name in names if Path(name).name in METADATA]:
        advice = "put one into each of them, with file names as from there"
        raise DataError(f"{root / beside[0]} lies beside the folders of splits: {advice}")
    tables = {split: [file for file in layout.files(split) if file.name in METADATA] for split in layout.splits}
    has = next(files[0] for files in tables.values() if files)
    for split, files in tables.items():
        if not files:
            folder = root / layout.folders.get(split, "")
            raise DataError(f"{folder}/ has no {has.name}, but {has} is there: write one in each split's folder")
    key = content_key(root, [file for split in layout.splits for file in layout.files(split)])
    splits, places = {}, {}
    for split, files in tables.items():
        rows, places[split] = _read(layout, split, files, may_miss)
        fingerprint = hashlib.sha256(f"{key} {split}".encode()).hexdigest()[:16]
        splits[split] = _with_images(as_split(rows, files, [file.suffix for file in files], fingerprint), fingerprint)
    return Tables(splits, places, Remarks.of_layout(layout))


def _is_taken(file: Path) -> bool:
    return file.suffix.lower() in IMAGES or file.name in METADATA


def _read(layout: Layout, split: str, tables: Sequence[Path], may_miss: bool) -> tuple[list[Any], Places]:
    """Return the rows of each table of a split, with columns of files, and note the images that none names."""
    images = {str(file) for file in layout.files(split)} - {str(file) for file in tables}
    read, rows, named = [], [], set[str]()
    for file in tables:
        table, lines = read_table(file, _READING)
        rows.append(RowsOfFile(file, len(table), lines))
        columns = [name for name in table.column_names if name == _COLUMN or name.endswith(f"_{_COLUMN}")]
        if not columns:
            raise DataError(_no_column(file, table.column_names))
        for column in columns:
            files = _files_of(rows[-1], column, table.column(column).to_pylist(), None if may_miss else images)
            named.update(files)
            place = table.column_names.index(column)
            table = table.set_column(place, column.removesuffix(_COLUMN).removesuffix("_") or "image", _stored(files))
        read.append(table)
    if not any(part.count for part in rows):
        raise DataError(f"split {split!r} has no rows: {show_names(tables, 3)}")
    unnamed = [os.path.relpath(file, layout.root) for file in images - named]
    layout.leave_out(f"images that {tables[0].name} does not name", unnamed)
    return read, Places(tuple(rows))


def _no_column(file: Path, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(_COLUMN, names, n=1, cutoff=0.6)
    advice = f"rename {near[0]!r} to {_COLUMN}" if near else f"call that of the images' files {_COLUMN}"
    return f"{file} has no column {_COLUMN}; its columns: {show_names(names)}: {advice}"


def _files_of(rows: RowsOfFile, column: str, names: Sequence[Any], images: set[str] | None) -> list[str]:
    """Return the files that a column names, below the folder of its table; each one of `images`, or else there."""
    folder, places = rows.file.parent, Places((rows,))
    files = []
    for row, name in enumerate(names):
        if not isinstance(name, str) or not name.strip():
            advice = "name one, or leave the row out"
            raise DataError(f"{places.of(row)}: column {column!r} names no file: {advice}")
        below = os.path.normpath(name.replace("\\", "/"))
        if "://" in name or Path(below).is_absolute() or below.split("/")[0] == "..":
            advice = "name files in it, as from there"
            raise DataError(f"{places.of(row)}: {name!r} is outside the folder of {rows.file.name}: {advice}")
        file = str(folder / below)
        if images is not None and file not in images and not Path(file).is_file():
            advice = "correct the name, or leave the row out"
            raise DataError(f"{places.of(row)}: there is no file {name!r} in {folder}/: {advice}")
        files.append(file)
    return files


def _stored(files: Sequence[str]) -> Any:
    """Return a column of images as `datasets` stores them: no bytes, and where they are."""
    import pyarrow as pa

    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    return pa.array([{"bytes": None, "path": file} for file in files], kind)


def _with_images(table: Any, fingerprint: str) -> Any:
    """Return a split whose columns of files are columns of images."""
    from datasets import Image

    for column, feature in table.features.items():
        if isinstance(feature, dict) and set(feature) == {"bytes", "path"}:
            table = table.cast_column(column, Image())
    table._fingerprint = fingerprint
    return table
