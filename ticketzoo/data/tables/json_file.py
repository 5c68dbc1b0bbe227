"""JSON as a table: an object a line, or one list of objects."""

import json
from collections.abc import Iterator
from typing import Any

from ticketzoo.data.tables.csv_file import one_line
from ticketzoo.errors import DataError

_KINDS = {bool: "true or false", int: "a number", float: "a number", str: "a text", list: "a list", dict: "an object"}


def read_json(content: bytes, where: str) -> Any:
    """Return the objects as a pyarrow table, a row each; what a row does not have is missing there.

    Args:
        content: UTF-8.
        where: the file, for messages.

    Raises:
        DataError: something is no JSON, no object, or a column holds values of two kinds; the message names the row,
            counted from 1, and for an object a line that line.
    """
    import pyarrow as pa

    rows, unit = _rows(content, where)
    columns: dict[str, list[Any]] = {}
    for count, (number, row) in enumerate(rows):
        if not isinstance(row, dict):
            raise DataError(f"{where}, {unit} {number}: {_kind(row)}, but a row is an object: {{column: value, ..}}")
        for name, value in row.items():
            columns.setdefault(name, [None] * count).append(value)
        for values in columns.values():
            if len(values) <= count:
                values.append(None)
    arrays = {}
    for name, values in columns.items():
        _check_kinds(f"{where}, {unit}", name, values, [number for number, _ in rows])
        try:
            arrays[name] = pa.array(values)
        except UnicodeEncodeError:
            raise DataError(f"{where}: column {name!r} holds half a character (\\ud800 to \\udfff alone)") from None
        except (pa.ArrowException, OverflowError) as error:
            raise DataError(f"{where}: column {name!r} holds values of several kinds: {one_line(error)}") from None
    try:
        return pa.table(arrays)
    except UnicodeEncodeError:
        raise DataError(f"{where}: the name of a column holds half a character (\\ud800 to \\udfff alone)") from None


def _rows(content: bytes, where: str) -> tuple[list[tuple[int, Any]], str]:
    """Return the rows with their numbers, and what the numbers count."""
    if not content.lstrip().startswith(b"["):
        return list(_lines(content, where)), "line"
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: {one_line(error)}") from None
    return list(enumerate(found, 1)), "row"


def _lines(content: bytes, where: str) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(content.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            yield number, json.loads(line)
        except (ValueError, RecursionError) as error:
            what = "a file is an object a line, or one list of objects" if number == 1 else one_line(error)
            raise DataError(f"{where}, line {number}: no JSON object: {what}") from None


def _check_kinds(where: str, column: str, values: list[Any], numbers: list[int]) -> None:
    """Refuse a column of two kinds of values, such as numbers and texts."""
    seen: dict[str, int] = {}
    for number, value in zip(numbers, values, strict=True):
        if value is not None:
            seen.setdefault(_kind(value), number)
    if len(seen) > 1:
        (one, at), (other, there) = list(seen.items())[:2]
        raise DataError(f"{where} {there}: column {column!r} holds {other} there, and {one} at {at}: make them alike")


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), "null")
