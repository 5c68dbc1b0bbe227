"""Where images come from: scikit-learn's digits, or whatever `datasets.load_dataset` reads, as tables of images and labels."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from ticketzoo.errors import DataError

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict
    from PIL.Image import Image

_LABEL_NAMES = ("label", "labels", "fine_label", "target", "class")


class ImageTable(Protocol):
    """One split as it is stored. Rows keep their stored order."""

    labels: Tensor
    """int64 [rows], an index into the source's class names."""
    identity: str | None
    """Changes when the stored data does; None: too cheap to decode to be worth remembering."""

    def read(self, rows: list[int]) -> Iterator["Image"]:
        """The images of `rows`, decoded. Raises DataError naming the row (and file) of an unreadable one."""

    def encoded(self, rows: list[int]) -> Iterator[bytes]:
        """The images of `rows` as they are stored."""

    def where(self, row: int) -> str:
        """How to tell a person which image this is."""


@dataclass
class ImageSource:
    """The splits of a data set by name, and the names of its classes."""

    splits: dict[str, ImageTable]
    class_names: list[str]


def open_source(
    path: str, name: str | None, revision: str | None, image_column: str | None, label_column: str | None
) -> ImageSource:
    """Open "digits", a Hub data set or a local folder. Raises DataError: missing, no images, no or ambiguous labels."""
    if path == "digits":
        return _digits()
    stored = _load_dataset(path, name, revision)
    features = next(iter(stored.values())).features
    image_column = _image_column(path, features, image_column)
    label_column = _label_column(path, features, label_column)
    labels = {split: _read_labels(table, label_column, path, split) for split, table in stored.items()}
    class_names = _class_names(path, features[label_column], label_column, labels)
    splits: dict[str, ImageTable] = {
        split: StoredTable(table, image_column, labels[split], f"split {split!r} of {path}")
        for split, table in stored.items()
    }
    return ImageSource(splits, class_names)


class DigitsTable:
    """scikit-learn's 1,797 digits, 8x8, their 17 grey levels stretched to 0..255."""

    identity = None

    def __init__(self) -> None:
        from sklearn.datasets import load_digits

        digits = load_digits()
        self.labels = torch.from_numpy(digits.target).long()
        self._images = (digits.images * 255 / 16).round().astype("uint8")

    def read(self, rows: list[int]) -> Iterator["Image"]:
        """The images of `rows`."""
        from PIL import Image

        return (Image.fromarray(self._images[row]) for row in rows)

    def encoded(self, rows: list[int]) -> Iterator[bytes]:
        """The raw pixels of `rows`."""
        return (self._images[row].tobytes() for row in rows)

    def where(self, row: int) -> str:
        """Row of scikit-learn's table."""
        return f"image {row} of digits"


class StoredTable:
    """A split of a `datasets` data set, its images read as stored bytes and decoded here."""

    def __init__(self, table: "Dataset", image_column: str, labels: Tensor, described: str) -> None:
        from datasets import Image

        self.labels = labels
        self.identity: str | None = f"{table._fingerprint}/{image_column}"
        self._column = image_column
        images = table.select_columns([image_column]).cast_column(image_column, Image(decode=False))
        self._table = images.with_format("arrow")
        self._described = described

    def _stored(self, rows: list[int]) -> list[dict[str, Any] | None]:
        return self._table[rows].column(self._column).to_pylist()

    def read(self, rows: list[int]) -> Iterator["Image"]:
        """The images of `rows`, turned upright as their EXIF says."""
        for row, stored in zip(rows, self._stored(rows), strict=True):
            try:
                yield _decode(stored)
            except (OSError, ValueError, SyntaxError) as error:
                problem = " ".join(str(error).split()) or type(error).__name__
                raise DataError(f"{self.where(row)} cannot be read: {problem}") from error

    def encoded(self, rows: list[int]) -> Iterator[bytes]:
        """The stored bytes of `rows`."""
        for stored in self._stored(rows):
            yield _bytes_of(stored)

    def where(self, row: int) -> str:
        """Row, split and data set, and the file if the image came from one."""
        stored = self._stored([row])[0]
        file = f" ({stored['path']})" if stored and stored.get("path") else ""
        return f"image {row} of {self._described}{file}"


def _bytes_of(stored: dict[str, Any] | None) -> bytes:
    if stored is None:
        raise ValueError("the cell is empty")
    return stored["bytes"] if stored["bytes"] is not None else Path(stored["path"]).read_bytes()


def _decode(stored: dict[str, Any] | None) -> "Image":
    from PIL import ExifTags, Image, ImageOps

    image: Image.Image = Image.open(BytesIO(_bytes_of(stored)))
    image.load()
    if image.format != "PNG" and image.getexif().get(ExifTags.Base.Orientation) is not None:
        image = ImageOps.exif_transpose(image)
    return image


def _digits() -> ImageSource:
    return ImageSource({"train": DigitsTable()}, [str(digit) for digit in range(10)])


def _load_dataset(path: str, name: str | None, revision: str | None) -> "DatasetDict":
    from datasets import load_dataset

    folder = Path(path).expanduser()
    if path.startswith((".", "/", "~")) and not folder.is_dir():
        raise DataError(f"no data set at {path}: there is no such folder")
    try:
        with _no_bars_without_a_terminal():
            return load_dataset(str(folder) if folder.is_dir() else path, name, revision=revision)
    except Exception as error:  # datasets, huggingface_hub, pyarrow and fsspec raise dozens of unrelated types here
        tried = f"read the folder {path}" if folder.is_dir() else f"load {path!r}, neither a folder here nor on the Hub"
        problem = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"could not {tried}: {problem}") from error


@contextmanager
def _no_bars_without_a_terminal() -> Iterator[None]:
    """Keep `datasets` progress bars out of logs; leaves the process as it was."""
    from datasets.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    if sys.stderr.isatty() or are_progress_bars_disabled():
        yield
        return
    disable_progress_bars()
    try:
        yield
    finally:
        enable_progress_bars()


def _image_column(path: str, features: dict[str, Any], asked: str | None) -> str:
    from datasets import Image

    images = [column for column, feature in features.items() if isinstance(feature, Image)]
    if asked is not None:
        if asked in images:
            return asked
        raise DataError(f"{path} has no image column {asked!r}; {_listed('image columns', images, features)}")
    if len(images) == 1:
        return images[0]
    if images:
        raise DataError(f"{path} has several image columns, {', '.join(images)}: say which with image_column")
    raise DataError(f"{path} has no image column; {_listed('image columns', images, features)}")


def _label_column(path: str, features: dict[str, Any], asked: str | None) -> str:
    from datasets import ClassLabel

    labels = [column for column, feature in features.items() if isinstance(feature, ClassLabel)]
    integers = [column for column, feature in features.items() if str(getattr(feature, "dtype", "")).startswith("int")]
    if asked is not None:
        if asked in labels or asked in integers:
            return asked
        raise DataError(f"{path} has no label column {asked!r}; {_listed('label columns', labels, features)}")
    found = labels or [column for column in integers if column in _LABEL_NAMES]
    if len(found) == 1:
        return found[0]
    if found:
        raise DataError(f"{path} has several label columns, {', '.join(found)}: say which with label_column")
    raise DataError(f"{path} has no label column; {_listed('label columns', labels, features)}")


def _listed(kind: str, found: list[str], features: dict[str, Any]) -> str:
    return f"its {kind}: {', '.join(found)}" if found else f"its columns: {', '.join(features)}"


def _read_labels(table: "Dataset", column: str, path: str, split: str) -> Tensor:
    stored = table.with_format("arrow")[:].column(column) if len(table) else None
    if stored is None:
        return torch.empty(0, dtype=torch.int64)
    if stored.null_count:
        row = stored.is_null().index(True).as_py()
        raise DataError(f"image {row} of split {split!r} of {path} has no label in column {column!r}")
    return torch.from_numpy(stored.to_numpy().astype("int64"))


def _class_names(path: str, feature: Any, column: str, labels: dict[str, Tensor]) -> list[str]:
    """Names from the ClassLabel feature; plain integers must number the classes 0, 1, .. without a gap."""
    from datasets import ClassLabel

    if isinstance(feature, ClassLabel):
        return list(feature.names)
    found = torch.cat(list(labels.values())).unique().tolist()
    if found and found[0] < 0:
        return [str(label) for label in range(found[-1] + 1)]
    return [str(label) for label in range(found[-1] + 1)] if found else []
