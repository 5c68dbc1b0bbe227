"""A matplotlib figure in the project's look, which notebooks show as it is. Imported where something is drawn."""

import io
from collections.abc import Iterator
from contextlib import contextmanager

import matplotlib.style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

LOOK = {
    "font.size": 11.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.dpi": 120.0,
    "text.parse_math": False,
}


@contextmanager
def look() -> Iterator[None]:
    """Draw in the project's look in this block, whatever the user's settings."""
    with matplotlib.style.context(["default", LOOK]):
        yield


class Plot(Figure):
    """A figure apart from pyplot, whose state is global."""

    def png(self) -> bytes:
        """Return the figure as a PNG file without anything that changes from run to run."""
        image = io.BytesIO()
        with look():
            FigureCanvasAgg(self).print_png(image, metadata={"Software": None})
        return image.getvalue()

    def _repr_png_(self) -> bytes:
        return self.png()
