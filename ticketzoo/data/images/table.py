"""A `datasets` data set as tables of images."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from torch import Tensor

from ticketzoo.data.images.read import read_images
from ticketzoo.data.inside import is_inside, read_file
from ticketzoo.data.labels import (
    all_whole,
    check_few,
    check_same_names,
    find_image_column,
    find_label_column,
    missing_label,
    number_classes,
    what_there_is,
)
from ticketzoo.data.tables.files import Tables
from ticketzoo.data.tables.untyped import is_untyped, typed_labels
from ticketzoo.errors import DataError

if TYPE_CHECKING:
    from datasets import Dataset
    from PIL.Image import Image


_ADVICE = "if they are classes, name all of them with letters, such as class-1"


class StoredSource:
    """A `datasets` data set with an image and a label column.

    Args:
        path: the data set, for messages.
        tables: its splits.
        image_column: that of the images; by default the only one.
        label_column: that of the labels; by default the only one.
        has_classes: numbers in it are known to be classes, so that those of CSV are not doubted.
    """

    def __init__(
        self,
        path: str,
        tables: Tables,
        image_column: str | None,
        label_column: str | None,
        *,
        has_classes: bool = False,
    ) -> None:
        stored = tables.splits
        self.splits = list(stored)
        self.remarks = tables.remarks
        self._places = tables.places
        features = next(iter(stored.values())).features
        self._path = path
        self._has_classes = has_classes
        self._stored = stored
        self._image_column = find_image_column(path, features, image_column)
        self._label_column = find_label_column(path, features, label_column)

    def tables(self, splits: list[str]) -> "tuple[list[StoredTable], list[str]]":
        """Return the same as ImageSource.tables.

        Raises:
            DataError: missing labels, or numbers with fractions.
        """
        where = f"{self._path}, column {self._label_column!r}"
        values = self._labels(where, splits)
        features = [self._stored[split].features[self._label_column] for split in splits]
        check_same_names(where, features)
        numbered, names = number_classes(where, features[0], values)
        return [
            StoredTable(
                self._stored[split],
                self._image_column,
                labels,
                f"split {split!r} of {self._path}",
                _folders(self._path),
            )
            for split, labels in zip(splits, numbered, strict=True)
        ], names

    def _labels(self, where: str, splits: list[str]) -> list[np.ndarray]:
        """Return the labels of each split; those of CSV, which are texts, as the numbers that they are."""
        values = {split: self._stored_labels(split) for split in splits}
        untyped = [split for split in splits if is_untyped(self._stored[split])]
        if not untyped:
            return list(values.values())
        rows = {split: _Rows(self._stored[split], partial(self._where, split)) for split in splits}
        told = "classes" if self._has_classes else None
        values = typed_labels(rows, values, told, self.remarks, advice=_ADVICE)
        if not self._has_classes and all(values[split].dtype.kind in "if" for split in untyped):
            found = np.unique(np.concatenate([values[split] for split in untyped]))
            if len(found) and all_whole(found):
                check_few(where, found, _ADVICE)
        return list(values.values())

    def _stored_labels(self, split: str) -> np.ndarray:
        """Return the labels of a split as they are stored."""
        table = self._stored[split]
        for column in (self._image_column, self._label_column):
            if column not in table.features:
                raise DataError(
                    f"split {split!r} of {self._path} has no column {column!r}; {what_there_is(table.features)}"
                )
        cells = table.with_format("arrow")[:].column(self._label_column)
        if (row := missing_label(cells)) is not None:
            missing = f"has no label in column {self._label_column!r}: give it one, or leave the row out"
            raise DataError(f"{self._where(split, row)} {missing}")
        values: np.ndarray = cells.to_numpy()
        return values

    def _where(self, split: str, row: int) -> str:
        """Return file and line of a row of a table beside images, or which image of its split it is."""
        places = self._places.get(split)
        return places.of(row) if places else f"image {row} of split {split!r} of {self._path}"


class _Rows(NamedTuple):
    """A split of which each row can be named."""

    table: "Dataset"
    where: Callable[[int], str]


def _folders(path: str) -> list[Path]:
    """Return the folders whose files a data set may name: its own, and where `datasets` leaves what it unpacks."""
    import datasets.config
    from huggingface_hub.constants import HF_HUB_CACHE

    caches = (datasets.config.HF_DATASETS_CACHE, datasets.config.DOWNLOADED_DATASETS_PATH, HF_HUB_CACHE)
    folder = Path(path).expanduser()
    return [Path(place).absolute() for place in (*([folder] if folder.is_dir() else []), *caches)]


def _is_special(file: Path) -> bool:
    return file.exists() and not file.is_file()


class StoredTable:
    """A split of a `datasets` data set, its images read as stored bytes and decoded here.

    Args:
        table: the split.
        image_column: that of the images.
        labels: int64 [rows].
        described: the split and data set, for messages.
        folders: where files lie that it may name.
    """

    def __init__(
        self, table: "Dataset", image_column: str, labels: Tensor, described: str, folders: Sequence[Path] = ()
    ) -> None:
        from datasets import Image

        self.described = described
        self.labels = labels
        self.identity: str | None = f"{table._fingerprint}/{image_column}"
        self._column = image_column
        self._folders = folders
        images = table.select_columns([image_column]).cast_column(image_column, Image(decode=False))
        self._table = images.with_format("arrow")

    def read(self, rows: list[int]) -> Iterator["Image | DataError"]:
        """Yield the images of `rows`, turned upright as their EXIF says."""
        return read_images(self, rows)

    def encoded(self, rows: list[int]) -> Iterator[bytes | DataError]:
        """Yield the stored bytes of `rows`."""
        for row, cell in zip(rows, self._cells(rows), strict=True):
            if cell is None or (cell["bytes"] is None and cell["path"] is None):
                yield DataError(f"{self.where(row)} is missing: its cell is empty")
                continue
            if cell["bytes"] is not None:
                yield cell["bytes"]
            elif not self._holds(file := Path(cell["path"])):
                yield DataError(f"{self.where(row)} is a file outside the data set: put it into its folder")
            else:
                try:
                    yield read_file(file)
                except OSError as error:
                    yield DataError(f"{self.where(row)} cannot be read: {error.strerror}")

    def files(self, rows: list[int]) -> list[Path] | None:
        """Return the files of `rows`; None where the table holds the images itself, or some cannot be read."""
        cells = self._cells(rows)
        if not all(cell and cell["bytes"] is None and cell["path"] for cell in cells):
            return None
        files = [Path(cell["path"]) for cell in cells if cell]
        return files if all(self._holds(file) and not _is_special(file) for file in files) else None

    def _holds(self, file: Path) -> bool:
        return any(is_inside(folder, file) for folder in self._folders)

    def where(self, row: int) -> str:
        """Return row, split and data set, and the file if the image came from one."""
        cell = self._cells([row])[0]
        return f"image {row} of {self.described}" + (f" ({cell['path']})" if cell and cell["path"] else "")

    def _cells(self, rows: list[int]) -> list[dict[str, Any] | None]:
        return self._table[rows].column(self._column).to_pylist()
