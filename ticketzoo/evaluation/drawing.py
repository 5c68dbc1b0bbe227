"""Shared parts of all plots: the look of curves, the figure, the file, names that fit."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ticketzoo.util.files import write_atomically
from ticketzoo.util.text import for_terminal

if TYPE_CHECKING:
    from ticketzoo.evaluation.figure import Plot


@dataclass(frozen=True)
class Style:
    """The look of an arm's curve, in matplotlib's terms."""

    colour: str
    marker: str
    line: str = "-"


COLOURS = ("#44AA99", "#AA4499", "#117733", "#CC6677", "#AA7733", "#661100")
"""Colours of arms that state none: further ones that colour-blind readers can tell apart."""

MARKERS = ("P", "X", "<", ">", "p", "h", "*", "d")


def default_style(name: str) -> Style:
    """Return the look of the curve of an arm that states none: it follows from the name."""
    digest = hashlib.sha256(name.encode(errors="replace")).digest()
    return Style(COLOURS[digest[0] % len(COLOURS)], MARKERS[digest[1] % len(MARKERS)], "-.")


def digest_of_rows(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return the sha256 over rows of results.jsonl in any order."""
    lines = sorted(json.dumps(row, sort_keys=True) for row in rows)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


@contextmanager
def figure_of(width: float, height: float, columns: int = 1, *, sharey: bool = True) -> Iterator[tuple["Plot", Any]]:
    """Give a figure of that size in inches, in the project's look, and its axes.

    Axes in several `columns` are an array [columns], and share the vertical axis unless `sharey` is False.
    """
    from ticketzoo.evaluation.figure import Plot, look

    with look():
        figure = Plot(figsize=(width, height), layout="constrained")
        yield figure, figure.subplots(1, columns, sharey=sharey)


def write_png(figure: "Plot", path: Path | str) -> Path:
    """Write the figure atomically and return its path: the same figure gives the same bytes."""
    write_atomically(Path(path), figure.png())
    return Path(path)


def short_label(text: str) -> str:
    """Return a name from outside on one line, no longer than fits."""
    line = for_terminal(text)
    return line if len(line) <= 48 else f"{line[:47]}…"
