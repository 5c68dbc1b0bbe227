"""JSON as a table: an object a line, or one list of objects."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from ticketzoo.errors import DataError
from ticketzoo.util.text import one_line

_KINDS = {bool: "true or false", int: "a number", float: "a number", str: "a text", list: "a list", dict: "an object"}
_LEAST, _MOST = -(2**63), 2**63 - 1
"""Of a whole number in a column."""


def read_json(content: str, where: str) -> tuple[Any, Sequence[int] | None]:
    """Return the objects as a pyarrow table, a row each, and for an object a line the numbers of the lines.

    What a row does not have is missing there.

    Args:
        content: the file's content.
        where: the file, for messages.

    Raises:
        DataError: something is no JSON, no object, an object names a column twice, or a column holds values of two
            kinds or a number beyond 64 bits; the message names the row, counted from 1, and for an object a line that
            line.
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
    numbers = [number for number, _ in rows]
    arrays = {}
    for name, values in columns.items():
        _check_kinds(f"{where}, {unit}", name, values, numbers)
        try:
            arrays[name] = pa.array(values)
        except UnicodeEncodeError:
            raise DataError(f"{where}: column {name!r} holds half a character (\\ud800 to \\udfff alone)") from None
        except (pa.ArrowException, OverflowError) as error:
            number = _first_odd(values, numbers)
            what = "a number beyond 64 bits" if isinstance(error, OverflowError) else "a value of another kind"
            raise DataError(f"{where}, {unit} {number}: column {name!r} holds {what}: {one_line(error)}") from None
    try:
        return pa.table(arrays), numbers if unit == "line" else None
    except UnicodeEncodeError:
        raise DataError(f"{where}: the name of a column holds half a character (\\ud800 to \\udfff alone)") from None


def _rows(content: str, where: str) -> tuple[list[tuple[int, Any]], str]:
    """Return the rows with their numbers, and what the numbers count."""
    if not content.lstrip().startswith("["):
        return list(_lines(content, where)), "line"
    try:
        found = json.loads(content, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: {one_line(error)}") from None
    return list(enumerate(found, 1)), "row"


def _lines(content: str, where: str) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(content.split("\n"), 1):
        if not line.strip():
            continue
        try:
            yield number, json.loads(line, object_pairs_hook=_once)
        except (ValueError, RecursionError) as error:
            is_object = number > 1 or isinstance(error, _TwiceError)
            what = one_line(error) if is_object else "a file is an object a line, or one list of objects"
            raise DataError(f"{where}, line {number}: no JSON object: {what}") from None


class _TwiceError(ValueError):
    """A key stands twice in an object."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _TwiceError(f"{twice!r} stands in it twice")
    return made


def _check_kinds(where: str, column: str, values: list[Any], numbers: list[int]) -> None:
    """Refuse a column of two kinds of values, such as numbers and texts, and numbers that no column takes."""
    seen: dict[str, int] = {}
    for number, value in zip(numbers, values, strict=True):
        if value is not None:
            seen.setdefault(_kind(value), number)
            if isinstance(value, int) and not _LEAST <= value <= _MOST:
                what = "a whole number beyond 64 bits"
                raise DataError(f"{where} {number}: column {column!r} holds {what}: write it as a text")
    if len(seen) > 1:
        (one, at), (other, there) = list(seen.items())[:2]
        raise DataError(f"{where} {there}: column {column!r} holds {other} there, and {one} at {at}: make them alike")


def _first_odd(values: list[Any], numbers: list[int]) -> int:
    """Return the number of the first row whose value does not go with the first value."""
    import pyarrow as pa

    first = next(value for value in values if value is not None)
    for number, value in zip(numbers, values, strict=True):
        try:
            pa.array([first, value])
        except (pa.ArrowException, OverflowError):
            return number
    return numbers[-1]


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), "null")
