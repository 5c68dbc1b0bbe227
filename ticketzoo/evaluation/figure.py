"""A matplotlib figure in the project's look, which notebooks show as it is. Imported where something is drawn."""

import io
from collections.abc import Iterator
from contextlib import contextmanager

import matplotlib
import matplotlib.style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ticketzoo import __version__

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
    return f"ticketzoo {__version__}, matplotlib {matplotlib.__version__}"


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
        """Return the figure as a PNG file without anything that changes from run to run.

        Its texts say of which rows it was drawn, and by what.
        """
        image = io.BytesIO()
        stated = {ROWS: self.rows_sha256, DRAWN_BY: drawn_by()} if self.rows_sha256 else {}
        with look():
            FigureCanvasAgg(self).print_png(image, metadata={"Software": None, **stated})
        return image.getvalue()

    def _repr_png_(self) -> bytes:
        return self.png()
