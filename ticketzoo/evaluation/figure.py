"""A matplotlib figure in the project's look, which notebooks show as it is. Imported where something is drawn."""

import io
from collections.abc import Iterator
from contextlib import contextmanager

import matplotlib
import matplotlib.style
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ticketzoo import __version__

LOOK = {
    "font.size": 11.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.dpi": 120.0,
    "text.parse_math": False,
}

MOST = 256
POINTS = 100
"""A colour of so many points is one that was drawn with and stays what it is; others are edges of lines and letters."""
STEP = 17
"""Values of red, green and blue of the others are multiples of this."""

ROWS, DRAWN_BY = "Rows", "Drawn by"
"""Keys of texts in a PNG file."""


def drawn_by() -> str:
    """Return the versions that decide how a figure looks."""
    return f"ticketzoo {__version__}, matplotlib {matplotlib.__version__}, few colours"


@contextmanager
def look() -> Iterator[None]:
    """Draw in the project's look in this block, whatever the user's settings."""
    with matplotlib.style.context(["default", LOOK]):
        yield


class Plot(Figure):
    """A figure apart from pyplot, whose state is global.

    Attributes:
        rows_sha256: digest of the rows that it was drawn of, by `digest_of_rows`, or of the masks.
        drawn_of: "rows", or "masks".
    """

    rows_sha256: str | None = None
    drawn_of: str = "rows"

    def png(self) -> bytes:
        """Return the figure as a PNG file of few colours without anything that changes from run to run.

        Its texts say of which rows it was drawn, and by what.
        """
        texts = PngInfo()
        if self.rows_sha256:
            texts.add_text(ROWS, self.rows_sha256)
            texts.add_text(DRAWN_BY, drawn_by())
        with look():
            canvas = FigureCanvasAgg(self)
            canvas.draw()
        image = with_few_colours(Image.fromarray(np.asarray(canvas.buffer_rgba())))
        image.save(file := io.BytesIO(), "PNG", optimize=True, dpi=(self.dpi, self.dpi), pnginfo=texts)
        return file.getvalue()

    def _repr_png_(self) -> bytes:
        return self.png()


def with_few_colours(image: Image.Image) -> Image.Image:
    """Return an opaque picture with a palette.

    Colours of at least 100 points are kept, the most frequent first. Other points have each channel rounded to one of
    16 values; where there are more such colours than the palette has room for, the rarest become the nearest that is
    in it. So a point that another processor rounds otherwise changes itself alone, not the palette of all others.
    """
    points = np.asarray(image.convert("RGB"), dtype=np.int32)
    exact = _coded(points)
    frequent = _by_frequency(exact, POINTS)[:MOST]
    codes = np.where(np.isin(exact, frequent), exact, _coded((points + STEP // 2) // STEP * STEP))
    others = _by_frequency(codes, 1)
    palette = np.concatenate([frequent, others[~np.isin(others, frequent)]])[:MOST]
    found, at = np.unique(codes, return_inverse=True)
    apart = ((_channels(found)[:, None] - _channels(palette)) ** 2).sum(-1)
    drawn = Image.fromarray(apart.argmin(1).astype(np.uint8)[at].reshape(codes.shape), "P")
    drawn.putpalette(_channels(palette).astype(np.uint8).tobytes())
    return drawn


def _coded(points: np.ndarray) -> np.ndarray:
    """Return colours [..., 3] as one number each."""
    coded: np.ndarray = points @ np.array([1 << 16, 1 << 8, 1])
    return coded


def _channels(codes: np.ndarray) -> np.ndarray:
    """Return numbers [n] as the colours [n, 3] that they stand for."""
    return np.stack([codes >> 16, codes >> 8 & 255, codes & 255], 1)


def _by_frequency(codes: np.ndarray, least: int) -> np.ndarray:
    """Return the colours of at least so many points, most frequent first, then by their number."""
    found, counts = np.unique(codes, return_counts=True)
    found, counts = found[counts >= least], counts[counts >= least]
    return found[np.argsort(-counts, kind="stable")]
