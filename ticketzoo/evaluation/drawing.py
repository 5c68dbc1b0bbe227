"""What all plots share: the look, the file, names that fit. Without pyplot, whose state is global."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ticketzoo.util.files import write_atomically
from ticketzoo.util.text import for_terminal

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LOOK = {
    "font.size": 11.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.dpi": 120.0,
    "text.parse_math": False,
}


@contextmanager
def figure_of(width: float, height: float, columns: int = 1) -> Iterator[tuple["Figure", Any]]:
    """A figure of that size in inches, in our look whatever the user's settings, and its axes.

    Axes in several `columns` are an array [columns] and share the vertical axis.
    """
    import matplotlib.style
    from matplotlib.figure import Figure

    with matplotlib.style.context(["default", LOOK]):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure, figure.subplots(1, columns, sharey=True)


def write_png(figure: "Figure", path: Path) -> Path:
    """Write the figure, atomically and without anything that changes from run to run."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    image = io.BytesIO()
    FigureCanvasAgg(figure).print_png(image, metadata={"Software": None})
    write_atomically(path, image.getvalue())
    return path


def short_label(text: str) -> str:
    """A name from outside, on one line and no longer than fits."""
    line = for_terminal(text)
    return line if len(line) <= 48 else f"{line[:47]}…"
