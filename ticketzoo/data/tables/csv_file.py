"""CSV as a table of texts: no cell is taken for a number, and no word for a missing value unless it is named."""

import csv
import io
from collections.abc import Sequence
from typing import Any

from ticketzoo.errors import DataError

_BLOCK = 2**30
"""Most bytes parsed at a time; a row must fit."""
_SHOWN = 60
"""Characters of a row that a message shows."""


def read_csv(content: bytes, where: str, *, delimiter: str = ",", missing: Sequence[str] = ()) -> Any:
    """Return the rows as a pyarrow table whose columns, named by the first row, are all texts.

    An empty cell without quotes is a missing value, and so is a cell that is one of `missing`.

    Args:
        content: UTF-8.
        where: the file, for messages.
        delimiter: what stands between two cells.
        missing: words that stand for a missing value.

    Raises:
        DataError: a row has more or fewer cells than the first, a quote is not closed, or two columns have one name;
            rows are counted from 1.
    """
    import pyarrow as pa
    from pyarrow import csv as arrow

    header = _header(content, where, delimiter)
    odd: list[Any] = []

    def refuse(row: Any) -> str:
        odd.append(row)
        return "error"

    try:
        table = arrow.read_csv(
            pa.BufferReader(content),
            arrow.ReadOptions(use_threads=False, block_size=min(max(len(content), 2**20), _BLOCK)),
            arrow.ParseOptions(delimiter=delimiter, newlines_in_values=True, invalid_row_handler=refuse),
            arrow.ConvertOptions(
                column_types=dict.fromkeys(header, pa.string()),
                null_values=["", *missing],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid as error:
        raise DataError(_ragged(odd[0], where, header) if odd else f"{where}: {one_line(error)}") from None
    if content.count(b'"') % 2 and len(table) and "\n" in (table[table.num_columns - 1][-1].as_py() or ""):
        raise DataError(f"{where}, row {len(table) + 1}: a quote is opened and never closed: close or double it")
    return table.select([name for name in header if name])


def read_lines(content: bytes) -> Any:
    """Return a pyarrow table with a row for each line, in the column `text`."""
    import pyarrow as pa

    return pa.table({"text": pa.array(content.decode().splitlines(), pa.string())})


def place_of(text: str, delimiter: str = ",") -> str:
    """Return the row, and the column, at which the CSV `text` ends."""
    rows = list(csv.reader(io.StringIO(text), delimiter=delimiter))
    column = f", column {rows[0][len(rows[-1]) - 1]!r}" if len(rows) > 1 and len(rows[-1]) <= len(rows[0]) else ""
    return f"row {max(len(rows), 1)}{column}"


def one_line(error: Exception) -> str:
    """Return a library's error message without its line breaks."""
    return " ".join(str(error).split()) or type(error).__name__


def _header(content: bytes, where: str, delimiter: str) -> list[str]:
    lines = io.TextIOWrapper(io.BytesIO(content), "utf-8", newline="")
    try:
        header = next((row for row in csv.reader(lines, delimiter=delimiter) if row), [])
    except csv.Error as error:
        raise DataError(f"{where}, row 1: {error}: it must name the columns") from None
    if not header:
        raise DataError(f"{where} is empty: its first row must name the columns")
    for name in header:
        if name and header.count(name) > 1:
            raise DataError(f"{where}, row 1: two columns are called {name!r}: rename one")
    other = next((mark for mark in ";\t|" if mark != delimiter and mark in header[0]), None)
    if len(header) == 1 and other:
        shown = {",": "commas", "\t": "tabs"}.get(delimiter, delimiter)
        advice = "end its name in .tsv" if other == "\t" else "separate cells by commas"
        raise DataError(
            f"{where}, row 1: no {shown} in {header[0][:_SHOWN]!r}, it seems separated by {other!r}: {advice}"
        )
    return header


def _ragged(row: Any, where: str, header: list[str]) -> str:
    number = "a row" if row.number is None else f"row {row.number}"
    text = " ".join(row.text.split())
    shown = text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
    cells = f"{row.actual_columns} cell{'s' * (row.actual_columns != 1)}"
    names = ", ".join(header[:5]) + (", .." if len(header) > 5 else "")
    advice = "put a text with commas or line breaks in double quotes, and close each quote"
    return f"{where}, {number}: {cells}, but row 1 names {len(header)} ({names}): {shown!r}; {advice}"
