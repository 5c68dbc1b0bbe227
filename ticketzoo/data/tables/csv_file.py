"""CSV (RFC 4180) as a table of texts: no cell is taken for a number, no word for a missing value unless it is named."""

import csv
import io
import re
import threading
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any, NamedTuple

from ticketzoo.errors import DataError

_BLOCK = 10_000
"""Rows parsed at a time."""
_SHOWN = 60
"""Characters of a row that a message shows."""
_LONGEST = 2**31 - 1
"""Characters of a cell."""
_LIMIT = threading.Lock()
"""Held by who has changed the csv module's limit."""
_MARKS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
"""What may stand between cells, as tables are usually written."""


class _Record(NamedTuple):
    """A row: the line at which it begins, counted from 1, its cells, and its text as it stands."""

    line: int
    cells: list[str]
    text: str


def read_csv(
    text: str, where: str, *, delimiter: str = ",", missing: Sequence[str] = (), in_recipe: bool = True
) -> tuple[Any, Sequence[int]]:
    """Return the rows as a pyarrow table whose columns, named by the first row, are all texts, and the line of each.

    An empty cell without quotes is a missing value, and so is a cell without quotes that is one of `missing`. A quote
    within a cell that does not begin with one is a letter. Empty lines are no rows; columns without a name are left
    out.

    Args:
        text: the file's content.
        where: the file, for messages.
        delimiter: what stands between two cells.
        missing: words that stand for a missing value.
        in_recipe: a recipe may say the delimiter, as a message advises.

    Raises:
        DataError: a row has more or fewer cells than the first, a quote is not closed or closed within a cell, or two
            columns have one name; the message names the line at which the row begins.
    """
    import pyarrow as pa

    absent = {"", *missing}
    lines, blocks = array("q"), []
    with _cells_of_any_length():
        records = _records(text, where, delimiter)
        header = _checked_header(next(records, None), where, delimiter, in_recipe)
        schema = pa.schema([(name, pa.string()) for name in header if name])
        named = [place for place, name in enumerate(header) if name]
        while block := list(islice(records, _BLOCK)):
            for record in block:
                if len(record.cells) != len(header):
                    raise DataError(_ragged(record, where, header))
            rows = [
                record.cells if absent.isdisjoint(record.cells) else _with_missing(record, delimiter, absent)
                for record in block
            ]
            columns = list(zip(*rows, strict=True))
            blocks.append(pa.table([pa.array(columns[place], pa.string()) for place in named], schema=schema))
            lines.extend(record.line for record in block)
    return pa.concat_tables(blocks) if blocks else schema.empty_table(), lines


def read_lines(text: str) -> tuple[Any, Sequence[int]]:
    """Return a pyarrow table with a row for each line, in the column `text`, and the numbers of the lines."""
    import pyarrow as pa

    lines = [line.removesuffix("\n") for line in io.StringIO(text, newline=None)]
    return pa.table({"text": pa.array(lines, pa.string())}), range(1, len(lines) + 1)


@contextmanager
def _cells_of_any_length() -> Iterator[None]:
    """Lift the limit of the csv module for a while; it is the process's, so one thread does so at a time."""
    with _LIMIT:
        before = csv.field_size_limit(_LONGEST)
        try:
            yield
        finally:
            csv.field_size_limit(before)


def _records(text: str, where: str, delimiter: str) -> Iterator[_Record]:
    taken: list[str] = []

    def lines() -> Iterator[str]:
        for line in io.StringIO(text, newline=""):
            taken.append(line)
            yield line

    reader = csv.reader(lines(), delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + 1
        taken.clear()
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise DataError(f"{where}, line {line}: {_of_quotes(error, line, reader.line_num)}") from None
        if cells is None:
            return
        if cells:
            yield _Record(line, cells, "".join(taken))


def _of_quotes(error: csv.Error, line: int, closed: int) -> str:
    """Return what is wrong with the quotes of the row that begins at `line`, and what to do."""
    if "unexpected end" in str(error):
        return "a quote is opened and never closed: close or double it"
    if "expected after" in str(error):
        there = f" in line {closed}" if closed != line else ""
        return f"a quote is opened and then closed{there} within a cell: quote the whole cell, and double quotes in it"
    return str(error)


def _with_missing(record: _Record, delimiter: str, absent: set[str]) -> list[str | None]:
    """Return the cells of a row, None for those that are `absent` and not in quotes."""
    between = re.escape(delimiter)
    cells = re.finditer(rf'("[^"]*(?:""[^"]*)*"|[^{between}\r\n]*)(?:{between}|\r?\n|\r|$)', record.text)
    quoted = (cell[1].startswith('"') for cell in cells)
    return [
        None if cell in absent and not in_quotes else cell
        for cell, in_quotes in zip(record.cells, quoted, strict=False)
    ]


def _checked_header(record: _Record | None, where: str, delimiter: str, in_recipe: bool) -> list[str]:
    if record is None:
        raise DataError(f"{where} is empty: its first row must name the columns")
    header = record.cells
    for name in header:
        if name and header.count(name) > 1:
            raise DataError(f"{where}, line {record.line}: two columns are called {name!r}: rename one")
    if not any(header):
        raise DataError(f"{where}, line {record.line}: it names no column, but the first row must")
    other = max((mark for mark in _MARKS if mark != delimiter), key=header[0].count)
    if len(header) == 1 and other in header[0]:
        shown, seems = (_MARKS.get(mark, repr(mark)) for mark in (delimiter, other))
        named = "tab" if other == "\t" else repr(other)
        advice = f"set task.dataset.separator to {named}" if in_recipe else f"save it with {shown}"
        raise DataError(
            f"{where}, line {record.line}: no {shown} in {header[0][:_SHOWN]!r}, it seems separated by {seems}: "
            f"{advice}"
        )
    return header


def _ragged(record: _Record, where: str, header: list[str]) -> str:
    text = " ".join(record.text.split())
    shown = text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
    if not text:
        return f"{where}, line {record.line}: spaces only: remove them"
    count = len(record.cells)
    cells = f"{count} cell{'s' * (count != 1)}"
    names = ", ".join(header[:5]) + (", .." if len(header) > 5 else "")
    advice = "put a text with commas or line breaks in double quotes, and close each quote"
    return f"{where}, line {record.line}: {cells}, but the first row names {len(header)} ({names}): {shown!r}; {advice}"
