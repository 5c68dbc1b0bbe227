"""A user's own folder of images: splits and classes as it is laid out, files read as they are."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import torch
from torch import Tensor

from ticketzoo.data.contents import content_key
from ticketzoo.data.folders import IMAGES, NO_CLASS, Layout, resolve_folder
from ticketzoo.data.images.read import is_image, read_images
from ticketzoo.data.stored_folder import holds_metadata, of_hub
from ticketzoo.data.table_files import suffix_of
from ticketzoo.data.walk import walk
from ticketzoo.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

CONTAINERS = (".parquet", ".arrow", ".tar", ".zip")
"""Suffixes of files that may hold many images, with labels."""
ARCHIVES = (".zip", ".tar", ".tgz", ".7z", ".rar")
_NO_IMAGES = "files that are no images"


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
    if not labelled:
        if not layout.splits:
            return None
        in_all = " and ".join(f"{split!r}" for split in layout.splits)
        raise DataError(f"{root}: the images of {in_all} are in no class folders: put those of each class in a folder")
    for split, classes in unlabelled.items():
        del layout.splits[split]
        names = [str(file.relative_to(root)) for file in classes[NO_CLASS]]
        layout.leave_out(f"in the split {split}, which has no class folders", names)
    others = layout.left_out.get(_NO_IMAGES, [])
    if archives := [name for name in others if suffix_of(name) in ARCHIVES]:
        layout.left_out[_NO_IMAGES] = [name for name in others if name not in archives]
        layout.leave_out("archives, which are not unpacked", archives)
    return layout


class FolderSource:
    """The images of a folder by split.

    Args:
        described: the folder as its user calls it, for messages.
        layout: the splits, all files in classes.
    """

    def __init__(self, described: str, layout: Layout) -> None:
        self.splits = list(layout.splits)
        self.layout = layout
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
                yield self.file(row).read_bytes()
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
