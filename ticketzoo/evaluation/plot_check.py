"""A plot beside a ticket, held against what it is drawn of: drawn again, where the same library is there to draw it."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ticketzoo.util.text import for_terminal

if TYPE_CHECKING:
    from ticketzoo.evaluation.figure import Plot

APART = 8
"""Two values of a colour or of alpha, of 255, are that far apart where a point differs."""
MOST_APART = 0.0001
"""The fraction of points that may differ: processors round the edges of lines in their own ways."""
MOST_MEAN = 0.002
"""The mean difference, of 255, that all values together may have: many points may not differ by a little either."""


@dataclass(frozen=True)
class PlotCheck:
    """A plot that is as its rows give it, one of which that is not known, or one that shows something else."""

    state: Literal["holds", "unknown", "differs"]
    words: str


def check_plot(content: bytes, draw: "Callable[[], Plot]") -> PlotCheck:
    """Compare a PNG file with what `draw` gives. Raises what that does."""
    from PIL import Image

    from ticketzoo.evaluation.figure import DRAWN_BY, ROWS, drawn_by

    figure = draw()
    ours = figure.png()
    holds = PlotCheck("holds", f"the picture that its {figure.drawn_of} give")
    if content == ours:
        return holds
    try:
        with Image.open(io.BytesIO(content), formats=["PNG"]) as image, Image.open(io.BytesIO(ours)) as expected:
            if getattr(image, "n_frames", 1) != 1:
                return PlotCheck("differs", "has several frames")
            stated, by = image.info.get(ROWS), image.info.get(DRAWN_BY)
            if stated is None:
                return PlotCheck("unknown", f"does not say which {figure.drawn_of} it was drawn of")
            if stated != figure.rows_sha256:
                here = "those of results.jsonl" if figure.drawn_of == "rows" else "the ticket's"
                return PlotCheck("differs", f"was drawn of other {figure.drawn_of} than {here}")
            if by != drawn_by():
                drawn = f"drawn of these {figure.drawn_of}, as it says, by {for_terminal(by)[:100]}"
                return PlotCheck("unknown", f"{drawn}; {drawn_by()} is here, so that the picture was not compared")
            same = image.size == expected.size and _is_same(image, expected)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return PlotCheck("differs", "is no PNG file that can be read")
    return holds if same else PlotCheck("differs", "shows something else")


def _is_same(one: Any, other: Any) -> bool:
    """Return True for two pictures of the same size that differ by rounding alone, alpha included."""
    first, second = (np.asarray(image.convert("RGBA"), dtype=np.int16) for image in (one, other))
    apart = abs(first - second)
    return bool((apart >= APART).any(axis=-1).mean() <= MOST_APART and apart.mean() <= MOST_MEAN)
