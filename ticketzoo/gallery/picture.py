"""The picture of a ticket's masks that lies beside it, for its page."""

import io
from dataclasses import dataclass

from ticketzoo.evaluation.figure import ROWS
from ticketzoo.evaluation.mask_picture import NAME
from ticketzoo.gallery.exhibit import Exhibit

MOST_BYTES = 2**20
"""A larger file is not shown."""
MOST_PIXELS = 4_000
"""Nor one that is wider or higher."""


@dataclass(frozen=True)
class Picture:
    """A PNG file: its name, content, and width and height in pixels."""

    name: str
    content: bytes
    width: int
    height: int


def mask_picture(exhibit: Exhibit) -> Picture | None:
    """Return masks.png of a ticket; None on the Hub, where there is none, and where it does not say that it is of it.

    It says which masks it was drawn of by their digest; only `ticketzoo verify` draws them again.
    """
    from PIL import Image

    files = exhibit.summary.files
    path = files.folder / NAME
    if files.hub or path.is_symlink() or not path.is_file():
        return None
    try:
        if path.stat().st_size > MOST_BYTES:
            return None
        content = path.read_bytes()
        with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
            (width, height), drawn_of = image.size, image.info.get(ROWS)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None
    of_these = drawn_of == exhibit.config.mask_sha256 and max(width, height) <= MOST_PIXELS
    return Picture(NAME, content, width, height) if of_these else None
