"""A user's own folder of images: splits and classes as it is laid out, files read as they are."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import torch
from torch import Tensor

from ticketzoo.data.contents import content_key
from ticketzoo.data.folders import IMAGES, NO_CLASS, Layout, resolve_folder
from ticketzoo.data.images.read import is_image, read_images
from ticketzoo.data.inside import read_file
from ticketzoo.data.remarks import Remarks
from ticketzoo.data.stored_folder import holds_metadata, of_hub
from ticketzoo.data.table_files import suffix_of
from ticketzoo.data.walk import walk
from ticketzoo.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

CONTAINERS = (".parquet", ".arrow", ".tar", ".zip")
"""Suffixes of files that may hold many images, with labels."""
_NO_IMAGES = "files that are no images"
_OTHER_KINDS = "images of kinds that are not read (convert them to JPEG or PNG)"
_TOLD_APART = {
    "archives, which are not unpacked": (".zip", ".tar", ".tgz", ".7z", ".rar"),
    _OTHER_KINDS: (
        *(".heic", ".heif", ".jxl", ".svg", ".psd", ".raw", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2"),
        *(".raf", ".dcm", ".nii"),
    ),
}
"""Reason for which a file that is no image is left out -> suffixes."""
_TABLES = (".csv", ".tsv", ".jsonl", ".xlsx")


def image_folder(root: Path) -> Layout | None:
    """Return the layout of a folder of images in class folders; None if it holds data of another form.

    Raises:
        DataError: it can be read in more than one way, or has images but no class folders.
    """
    if of_hub(root):
        return None
    found = walk(root)
    containers = sum(suffix_of(name) in CONTAINERS for name in found.files)
    images = sum(suffix_of(name) in IMAGES for name in found.files)
    if containers > images or holds_metadata(root, found.files):
        return None
    layout = resolve_folder(root, is_image, "images", found=found)
    unlabelled = {split: classes for split, classes in layout.splits.items() if list(classes) == [NO_CLASS]}
    labelled = sum(len(layout.files(split)) for split in layout.splits if split not in unlabelled)
    if containers and containers >= labelled:
        return None
    _tell_apart(layout)
    if not layout.splits:
        if _OTHER_KINDS in layout.left_out and not containers:
            raise DataError(f"{root} holds only {_OTHER_KINDS}: {len(layout.left_out[_OTHER_KINDS]):,}")
        return None
    if not labelled:
        in_all = " and ".join(f"{split!r}" for split in layout.splits)
        advice = f"put those of each class in a folder{_or_a_table(found.files)}"
        raise DataError(f"{root}: the images of {in_all} are in no class folders: {advice}")
    if len(layout.classes) == 1 and (or_a_table := _or_a_table(found.files)):
        raise DataError(f"{root} has one class folder, {layout.classes[0]}/: it takes one for each class{or_a_table}")
    for split, classes in unlabelled.items():
        del layout.splits[split]
        names = [str(file.relative_to(root)) for file in classes[NO_CLASS]]
        layout.leave_out(f"in the split {split}, which has no class folders", names)
    return layout


def _tell_apart(layout: Layout) -> None:
    """Give files that are no images, but may hold some, a reason of their own."""
    for reason, suffixes in _TOLD_APART.items():
        others = layout.left_out.get(_NO_IMAGES, [])
        if found := {name for name in others if suffix_of(name) in suffixes}:
            layout.left_out[_NO_IMAGES] = [name for name in others if name not in found]
            layout.leave_out(reason, found)


def _or_a_table(names: Iterable[str]) -> str:
    """Return advice where labels may be in a table; nothing where there is none."""
    tables = [name for name in names if suffix_of(name) in _TABLES]
    how = "called metadata.csv, beside the images and with a column file_name"
    return f", or let the table that has the labels ({tables[0]}?) be {how}" if tables else ""


class FolderSource:
    """The images of a folder by split.

    Args:
        described: the folder as its user calls it, for messages.
        layout: the splits, all files in classes.
    """

    def __init__(self, described: str, layout: Layout) -> None:
        self.splits = list(layout.splits)
        self.layout = layout
        self.remarks = Remarks.of_layout(layout)
        self._described = described

    def tables(self, splits: list[str]) -> "tuple[list[FolderTable], list[str]]":
        """Return the tables of `splits`, and the names of the classes, which are numbered in sorted order."""
        names = self.layout.classes
        numbers = {name: number for number, name in enumerate(names)}
        return [
            FolderTable(self.layout, split, numbers, f"split {split!r} of {self._described}") for split in splits
        ], names


class FolderTable:
    """The images of one split, in the order of their paths."""

    def __init__(self, layout: Layout, split: str, numbers: dict[str, int], described: str) -> None:
        label = {file: numbers[name] for name, files in layout.splits[split].items() for file in files}
        files = layout.files(split)
        self.described = described
        self.labels: Tensor = torch.tensor([label[file] for file in files], dtype=torch.int64)
        self.identity: str | None = content_key(layout.root, files)
        self._files = pa.array([os.fsencode(file) for file in files], pa.binary())

    def read(self, rows: list[int]) -> "Iterator[Image | DataError]":
        """Yield the images of `rows`, turned upright as their EXIF says."""
        return read_images(self, rows)

    def encoded(self, rows: list[int]) -> Iterator[bytes | DataError]:
        """Yield the contents of the files of `rows`."""
        for row in rows:
            try:
                yield read_file(self.file(row))
            except OSError as error:
                yield DataError(f"{self.where(row)} cannot be read: {error.strerror}")

    def where(self, row: int) -> str:
        """Return row, split, data set and file."""
        return f"image {row} of {self.described} ({self.file(row)})"

    def file(self, row: int) -> Path:
        """Return the file of a row."""
        return Path(os.fsdecode(self._files[row].as_py()))

    def files(self, rows: list[int]) -> list[Path]:
        """Return the files of `rows`."""
        return [self.file(row) for row in rows]
