"""Rows of a split by the files, and the lines in them, where a person finds them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class RowsOfFile:
    """The rows that a file holds.

    Attributes:
        lines: the line at which each begins, counted from 1 as an editor does; None: the file has no lines.
    """

    file: Path
    count: int
    lines: Sequence[int] | None = None


@dataclass(frozen=True)
class Places:
    """The files that hold the rows of a split, one after the other."""

    files: tuple[RowsOfFile, ...]

    def of(self, row: int) -> str:
        """Return file and line of a row, which is counted from 0; of a file without lines the row, from 1."""
        for part in self.files:
            if row < part.count:
                return f"{part.file}, {f'row {row + 1}' if part.lines is None else f'line {part.lines[row]}'}"
            row -= part.count
        raise IndexError(row)
