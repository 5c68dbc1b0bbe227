"""Sources of images, as tables: scikit-learn's digits, a user's folder, or what `datasets` reads."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from torch import Tensor

from ticketzoo.data.images.described import described_images
from ticketzoo.data.images.folder import FolderSource, image_folder
from ticketzoo.data.images.table import StoredSource
from ticketzoo.data.remarks import Remarks
from ticketzoo.data.stored import load_stored
from ticketzoo.data.stored_folder import of_hub
from ticketzoo.data.tables.files import Tables
from ticketzoo.errors import DataError

if TYPE_CHECKING:
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

    def files(self, rows: list[int]) -> list[Path] | None:
        """Return the files of `rows`; None where images are in no files of their own."""

    def where(self, row: int) -> str:
        """Return words that tell a person which image this is."""


class ImageSource(Protocol):
    """A data set: the names of its splits, what there is to say of its files, and its tables when asked for."""

    splits: list[str]
    remarks: Remarks

    def tables(self, splits: list[str]) -> tuple[Sequence[ImageTable], list[str]]:
        """Return the tables of `splits`, and the names of the classes their labels number."""


def open_source(
    path: str,
    name: str | None,
    revision: str | None,
    image_column: str | None,
    label_column: str | None,
    *,
    may_miss: bool = False,
    has_classes: bool = False,
) -> ImageSource:
    """Open "digits", a Hub data set or a local folder.

    Args:
        path: one of them.
        name: of the Hub data set's configuration, if it has several.
        revision: of the Hub data set.
        image_column: that of the images; by default the only one.
        label_column: that of the labels; by default the only one.
        may_miss: tables of a folder may name files that are not there.
        has_classes: numbers in the label column are known to be classes; those of the Hub's data sets are.

    Raises:
        DataError: missing, no images, no or ambiguous labels.
    """
    if path == "digits":
        if Path(path).is_dir():
            _log.warning("digits is read from scikit-learn; for the folder of that name write ./digits")
        return Digits()
    folder = Path(path).expanduser().absolute()
    if folder.is_dir() and name is None:
        if (layout := image_folder(folder)) is not None:
            return FolderSource(path, layout)
        if (described := described_images(folder, may_miss=may_miss)) is not None:
            return StoredSource(path, described, image_column, label_column, has_classes=has_classes)
    has_classes = has_classes or not folder.is_dir() or of_hub(folder)
    stored = Tables(load_stored(path, name, revision))
    return StoredSource(path, stored, image_column, label_column, has_classes=has_classes)


class Digits:
    """scikit-learn's 1,797 digits, 8x8, their 17 grey levels stretched to 0..255: a source with one split."""

    splits: list[str]
    remarks: Remarks
    described = "digits"
    identity: str | None = None

    def __init__(self) -> None:
        from sklearn.datasets import load_digits

        digits = load_digits()
        self.splits = ["train"]
        self.remarks = Remarks()
        self.labels = torch.from_numpy(digits.target).long()
        self._images = (digits.images * 255 / 16).round().astype(np.uint8)

    def tables(self, splits: list[str]) -> tuple[Sequence[ImageTable], list[str]]:
        """Return the one table, as often as asked for."""
        return [self for _ in splits], [str(digit) for digit in range(10)]

    def read(self, rows: list[int]) -> Iterator["Image | DataError"]:
        """Return the images of `rows`."""
        from PIL import Image

        return (Image.fromarray(self._images[row]) for row in rows)

    def encoded(self, rows: list[int]) -> Iterator[bytes | DataError]:
        """Return the raw pixels of `rows`."""
        return (self._images[row].tobytes() for row in rows)

    def files(self, rows: list[int]) -> list[Path] | None:
        """Return None: they are in no files."""
        return None

    def where(self, row: int) -> str:
        """Return the row in scikit-learn's table."""
        return f"image {row} of digits"
