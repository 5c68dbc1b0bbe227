"""The columns of text of a table."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ticketzoo.data.labels import kind_of
from ticketzoo.errors import DataError

if TYPE_CHECKING:
    from datasets import Dataset

_PROBED = 1000
"""Rows looked at to tell numbers from words."""
NUMBER = re.compile(r"[+-]?(0|[1-9]\d*)?(\.\d*)?([eE][+-]?\d+)?")


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
            has = f"its text columns: {', '.join(texts)}" if texts else f"its columns: {_listed(features)}"
            raise DataError(f"{path} has no text column {column!r}; {has}")
    if asked:
        return list(asked)
    if len(texts) > 1 and is_untyped(table):
        texts = [name for name in texts if name == "text" or not _all_numbers(table, name)] or texts
    texts = texts or [name for name, kind in kinds.items() if kind and name == "text"]
    if not texts:
        raise DataError(f"{path} has no text column; its columns: {_listed(features)}")
    return texts


def is_untyped(table: "Dataset") -> bool:
    """Tell whether a table is of CSV, so that its numbers, too, are stored as texts."""
    return bool(table.info.builder_name == "csv")


def is_number(text: str) -> bool:
    """Tell whether a text is a number as programs write them; `007` is none."""
    return NUMBER.fullmatch(text) is not None and any(char.isdigit() for char in text)


def _all_numbers(table: "Dataset", column: str) -> bool:
    cells = table[:_PROBED][column]
    return all(is_number(cell) for cell in cells if cell is not None)


def _listed(features: dict[str, Any]) -> str:
    empty = [name for name, feature in features.items() if getattr(feature, "dtype", None) == "null"]
    return ", ".join(f"{name} (empty)" if name in empty else name for name in features)
