"""A `datasets` data set as tables of images."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from ticketzoo.data.images.read import read_images
from ticketzoo.data.labels import find_image_column, find_label_column, number_classes
from ticketzoo.errors import DataError

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict
    from PIL.Image import Image


class StoredSource:
    """A `datasets` data set with an image and a label column."""

    def __init__(self, path: str, stored: "DatasetDict", image_column: str | None, label_column: str | None) -> None:
        self.splits = list(stored)
        features = next(iter(stored.values())).features
        self._path = path
        self._stored = stored
        self._image_column = find_image_column(path, features, image_column)
        self._label_column = find_label_column(path, features, label_column)
        self._label_feature = features[self._label_column]

    def tables(self, splits: list[str]) -> "tuple[list[StoredTable], list[str]]":
        """Return the same as ImageSource.tables.

        Raises:
            DataError: missing labels, or integers that skip some.
        """
        stored = [self._stored[split].with_format("arrow")[:].column(self._label_column) for split in splits]
        for split, column in zip(splits, stored, strict=True):
            if column.null_count:
                row = column.is_null().index(True).as_py()
                raise DataError(
                    f"image {row} of split {split!r} of {self._path} has no label in column {self._label_column!r}"
                )
        values = [column.to_numpy() for column in stored]
        numbered, names = number_classes(f"{self._path}, column {self._label_column!r}", self._label_feature, values)
        return [
            StoredTable(self._stored[split], self._image_column, labels, f"split {split!r} of {self._path}")
            for split, labels in zip(splits, numbered, strict=True)
        ], names


class StoredTable:
    """A split of a `datasets` data set, its images read as stored bytes and decoded here."""

    def __init__(self, table: "Dataset", image_column: str, labels: Tensor, described: str) -> None:
        from datasets import Image

        self.described = described
        self.labels = labels
        self.identity: str | None = f"{table._fingerprint}/{image_column}"
        self._column = image_column
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
            try:
                stored = Path(cell["path"]).read_bytes() if cell["bytes"] is None else cell["bytes"]
            except OSError as error:
                yield DataError(f"{self.where(row)} cannot be read: {error.strerror}")
            else:
                yield stored

    def files(self, rows: list[int]) -> list[Path] | None:
        """Return the files of `rows`; None where the table holds the images itself, or some are missing."""
        cells = self._cells(rows)
        if not all(cell and cell["bytes"] is None and cell["path"] for cell in cells):
            return None
        return [Path(cell["path"]) for cell in cells if cell]

    def where(self, row: int) -> str:
        """Return row, split and data set, and the file if the image came from one."""
        cell = self._cells([row])[0]
        return f"image {row} of {self.described}" + (f" ({cell['path']})" if cell and cell["path"] else "")

    def _cells(self, rows: list[int]) -> list[dict[str, Any] | None]:
        return self._table[rows].column(self._column).to_pylist()
