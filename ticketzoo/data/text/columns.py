"""The columns of text of a table."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ticketzoo.data.labels import kind_of, type_of, what_there_is
from ticketzoo.data.tables.untyped import is_number, is_untyped
from ticketzoo.data.text.rows import TextRows
from ticketzoo.errors import DataError

if TYPE_CHECKING:
    from datasets import Dataset

_PROBED = 1000
"""Rows looked at to tell numbers from words."""


def text_columns(path: str, table: "Dataset", asked: Sequence[str] | None = None, *, leave: str = "") -> list[str]:
    """Return the columns of text: those asked for, or all but `leave`.

    A column of numbers is one where it is asked for or called "text"; of CSV also where no other is left.

    Raises:
        DataError: one that isn't there or holds no text.
    """
    features = {name: feature for name, feature in table.features.items() if name != leave}
    kinds = {name: kind_of(feature) for name, feature in features.items()}
    texts = [name for name, kind in kinds.items() if kind == "text"]
    for column in asked or ():
        if not kinds.get(column):
            raise DataError(f"{path} has no text column {column!r}; {what_there_is(features)}")
    if asked:
        return list(asked)
    if len(texts) > 1 and is_untyped(table):
        texts = [name for name in texts if name == "text" or not _all_numbers(table, name)] or texts
    texts = texts or [name for name, kind in kinds.items() if kind and name == "text"]
    if not texts:
        raise DataError(f"{path} has no text column; {what_there_is(features)}")
    return texts


def check_columns(rows: Mapping[str, TextRows], columns: Sequence[str]) -> None:
    """Raise DataError if a split lacks one of `columns`, which that to train on has, or has it in another form."""
    train = rows["train"].table.features
    for part in rows.values():
        features = part.table.features
        for column in columns:
            if column not in features:
                other = f"as {rows['train'].split} has"
                raise DataError(f"{part.split} has no column {column!r}, {other}; {what_there_is(features)}")
            if not kind_of(features[column]) and kind_of(train[column]):
                kinds = (type_of(features[column]), type_of(train[column]))
                raise DataError(
                    f"{part.split}: column {column!r} is {kinds[0]}, but {kinds[1]} in {rows['train'].split}"
                )


def _all_numbers(table: "Dataset", column: str) -> bool:
    cells = table[:_PROBED][column]
    return all(is_number(cell) for cell in cells if cell is not None)
