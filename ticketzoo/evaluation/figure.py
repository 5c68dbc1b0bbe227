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
from ticketzoo.evaluation.few_colours import with_few_colours

LOOK = {
    "font.size": 11.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.dpi": 120.0,
    "text.parse_math": False,
}


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
        rows_sha256: digest of the rows that it was drawn of, by `digest_of_rows`.
    """

    rows_sha256: str | None = None

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
