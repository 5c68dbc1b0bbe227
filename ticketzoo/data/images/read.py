"""Stored bytes to an image, upright; and how a file is told to be one."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from ticketzoo.data.folders import IMAGES
from ticketzoo.data.images.format import channels_of
from ticketzoo.errors import DataError
from ticketzoo.util.text import one_line

if TYPE_CHECKING:
    from PIL.Image import Image

_OTHERS = (
    *(".arrow", ".bak", ".cfg", ".cls", ".csv", ".db", ".gz", ".htm", ".html", ".ini", ".json", ".jsonl", ".log"),
    *(".mat", ".md", ".ndjson", ".npy", ".npz", ".parquet", ".pkl", ".pt", ".py", ".rst", ".tar", ".tgz", ".toml"),
    *(".tsv", ".txt", ".xml", ".yaml", ".yml", ".zip"),
)
_TURNS = ("FLIP_LEFT_RIGHT", "ROTATE_180", "FLIP_TOP_BOTTOM", "TRANSPOSE", "ROTATE_270", "TRANSVERSE", "ROTATE_90")
"""By EXIF orientation from 2 on, the transposition that turns an image upright."""


class Stored(Protocol):
    """Rows of stored images, of which each can be named."""

    def encoded(self, rows: list[int]) -> Iterator[bytes | DataError]:
        """Return the images of `rows` as they are stored; for what is not there, a DataError."""

    def where(self, row: int) -> str:
        """Return words that tell a person which image this is."""


def read_images(stored: Stored, rows: list[int]) -> "Iterator[Image | DataError]":
    """Yield the images of `rows`, turned upright as EXIF says; for an unreadable one, an error that names it."""
    for row, content in zip(rows, stored.encoded(rows), strict=True):
        if isinstance(content, DataError):
            yield content
            continue
        try:
            image = upright(content)
        except Exception as error:  # Pillow's decoders raise whatever their format's parser does
            yield DataError(f"{stored.where(row)} cannot be read: {one_line(error)}")
        else:
            yield image


def upright(stored: bytes) -> "Image":
    """Return the image in `stored`, decoded and turned as its EXIF says.

    Raises:
        ValueError: it is no image of a kind that Pillow knows.
        Exception: whatever Pillow raises for a damaged one.
    """
    from PIL import Image

    try:
        image: Image.Image = Image.open(BytesIO(stored))
    except Image.UnidentifiedImageError:
        raise ValueError(_what_else(stored)) from None  # Pillow's message tells a place in memory
    image.load()
    turn = _orientation(image)
    if turn in range(2, 9):
        return image.transpose(getattr(Image.Transpose, _TURNS[turn - 2]))
    return image


class Glance(NamedTuple):
    """An image by its first bytes: its size, upright, its channels (1 or 3), and what of it is not read, in words."""

    width: int
    height: int
    channels: int
    lost: tuple[str, ...]


def glance(stored: bytes) -> Glance | None:
    """Return what an image is by its first bytes; None if they are of none."""
    from PIL import Image

    try:
        with Image.open(BytesIO(stored)) as image:
            width, height = image.size if _orientation(image) < 5 else image.size[::-1]
            return Glance(width, height, channels_of(image), tuple(_lost(image)))
    except Exception:  # whatever a parser of Pillow's raises
        return None


def _lost(image: "Image") -> Iterator[str]:
    """Yield what of an image is not read."""
    if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":  # photographs with a preview
        yield "have several frames or pages: the first is read"
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        yield "have an alpha channel (transparency), which is not read"
    if image.mode.startswith("I;16"):
        yield "have 16 bits a pixel: the upper 8 are read"


def is_image(file: Path) -> bool:
    """Tell whether a file is an image: by its suffix, and by its content if the suffix is none that is known."""
    suffix = file.suffix.lower()
    if suffix in IMAGES or suffix in _OTHERS:
        return suffix in IMAGES
    from PIL import Image

    try:
        with Image.open(file):
            return True
    except PermissionError:
        return True  # it may be: reading it says what is wrong
    except Exception:  # whatever a parser of Pillow's raises for what is none of its files
        return False


def _orientation(image: "Image") -> int:
    """Return the orientation that EXIF states; 1 (upright) if none can be read."""
    from PIL import ExifTags

    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # EXIF is a format of its own, and often damaged where the image is not
        return 1


def _what_else(stored: bytes) -> str:
    if stored.startswith(b"version https://git-lfs"):
        return "it is a pointer of Git LFS, not the image: fetch it with git lfs pull"
    return "it is not an image of a known kind" if stored else "it is empty"
