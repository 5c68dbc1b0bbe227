"""Sources of images: scikit-learn's digits, or what `datasets.load_dataset` reads, as tables of images."""

import logging
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor

from ticketzoo.data.labels import find_image_column, find_label_column, number_classes
from ticketzoo.data.stored import load_stored, one_line
from ticketzoo.errors import DataError

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict
    from PIL.Image import Image

_log = logging.getLogger("ticketzoo")


class ImageTable(Protocol):
    """One split as it is stored, rows in their stored order."""

    described: str
    """The split and data set, for messages."""
    labels: Tensor
    """int64 [rows], an index into the source's class names (or not: checked by who uses the table)."""
    identity: str | None
    """Changes when the stored images do. None: too cheap to read to be worth remembering."""

    def read(self, rows: list[int]) -> Iterator["Image | DataError"]:
        """Return the images of `rows`, decoded; for an unreadable one, a DataError that names its row (and file)."""

    def encoded(self, rows: list[int]) -> Iterator[bytes | DataError]:
        """Return the images of `rows` as they are stored; for what is not there, a DataError."""

    def where(self, row: int) -> str:
        """Return words that tell a person which image this is."""


class ImageSource(Protocol):
    """A data set: the names of its splits, and their tables when asked for."""

    splits: list[str]

    def tables(self, splits: list[str]) -> tuple[list[ImageTable], list[str]]:
        """Return the tables of `splits`, and the names of the classes their labels number."""


def open_source(
    path: str, name: str | None, revision: str | None, image_column: str | None, label_column: str | None
) -> ImageSource:
    """Open "digits", a Hub data set or a local folder.

    Raises:
        DataError: missing, no images, no or ambiguous labels.
    """
    if path == "digits":
        if Path(path).is_dir():
            _log.warning("digits is read from scikit-learn; for the folder of that name write ./digits")
        return Digits()
    return StoredSource(path, load_stored(path, name, revision), image_column, label_column)


class Digits:
    """scikit-learn's 1,797 digits, 8x8, their 17 grey levels stretched to 0..255: a source with one split."""

    splits: list[str]
    described = "digits"
    identity: str | None = None

    def __init__(self) -> None:
        from sklearn.datasets import load_digits

        digits = load_digits()
        self.splits = ["train"]
        self.labels = torch.from_numpy(digits.target).long()
        self._images = (digits.images * 255 / 16).round().astype(np.uint8)

    def tables(self, splits: list[str]) -> tuple[list[ImageTable], list[str]]:
        """Return the one table, as often as asked for."""
        return [self for _ in splits], [str(digit) for digit in range(10)]

    def read(self, rows: list[int]) -> Iterator["Image | DataError"]:
        """Return the images of `rows`."""
        from PIL import Image

        return (Image.fromarray(self._images[row]) for row in rows)

    def encoded(self, rows: list[int]) -> Iterator[bytes | DataError]:
        """Return the raw pixels of `rows`."""
        return (self._images[row].tobytes() for row in rows)

    def where(self, row: int) -> str:
        """Return the row in scikit-learn's table."""
        return f"image {row} of digits"


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

    def tables(self, splits: list[str]) -> tuple[list[ImageTable], list[str]]:
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
        for row, stored in zip(rows, self.encoded(rows), strict=True):
            if isinstance(stored, DataError):
                yield stored
                continue
            try:
                image = _upright(stored)
            except Exception as error:  # Pillow's decoders raise whatever their format's parser does
                yield DataError(f"{self.where(row)} cannot be read: {one_line(error)}")
            else:
                yield image

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

    def where(self, row: int) -> str:
        """Return row, split and data set, and the file if the image came from one."""
        cell = self._cells([row])[0]
        return f"image {row} of {self.described}" + (f" ({cell['path']})" if cell and cell["path"] else "")

    def _cells(self, rows: list[int]) -> list[dict[str, Any] | None]:
        return self._table[rows].column(self._column).to_pylist()


def _upright(stored: bytes) -> "Image":
    from PIL import ExifTags, Image, ImageOps

    try:
        image: Image.Image = Image.open(BytesIO(stored))
    except Image.UnidentifiedImageError:
        raise ValueError("it is not an image of a known kind") from None  # Pillow's message tells a place in memory
    image.load()
    return image if image.getexif().get(ExifTags.Base.Orientation) is None else ImageOps.exif_transpose(image)
