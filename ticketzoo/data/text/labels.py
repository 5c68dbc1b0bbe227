"""The labels of texts: values to predict, or classes by number, word, or True and False."""

import logging
import unicodedata
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor

from ticketzoo.data.labels import counts_from_0, number_classes
from ticketzoo.data.text.columns import is_number, is_untyped
from ticketzoo.data.text.rows import TextRows
from ticketzoo.errors import DataError

if TYPE_CHECKING:
    from datasets import Dataset

_log = logging.getLogger("ticketzoo")
LabelKind = Literal["classes", "values"]
_WORDS = {"i": "a number", "u": "a number", "f": "a number", "b": "true or false", "O": "a text", "U": "a text"}


def is_withheld(table: "Dataset", label_column: str) -> bool:
    """Tell whether a split has labels in name only: GLUE's test splits say -1 everywhere."""
    cells = table.select_columns([label_column]).with_format("arrow")[:].column(label_column).drop_null()
    if is_untyped(table):
        return set(cells.unique().to_pylist()) <= {"-1", "-1.0"}
    labels = cells.to_numpy()
    return labels.dtype.kind in "if" and bool((labels == -1).all())


def read_labels(
    path: str, rows: Mapping[str, TextRows], column: str, told: LabelKind | None
) -> tuple[dict[str, Tensor], list[str] | None]:
    """Return the labels of each split, and the names of the classes; of values to predict no names.

    Class numbers are int64 [n], values float32 [n]. Names that differ by unicode form alone are one class.

    Args:
        path: the data set, for messages.
        rows: the splits.
        column: the column of labels.
        told: what they are; default classes, but for numbers with fractions or, as floats, with gaps.

    Raises:
        DataError: a row has none, or rows have labels of different kinds.
    """
    feature = rows["train"].table.features[column]
    values = {name: _values(part, column) for name, part in rows.items()}
    if any(is_untyped(part.table) for part in rows.values()):
        values = _typed(rows, values, told)
    _check_alike(rows, values)
    found = np.unique(np.concatenate(list(values.values())))
    floats = found.dtype.kind == "f"
    if told == "values" or (told is None and floats and not (len(found) > 1 and counts_from_0(found))):
        return {name: _checked_values(rows[name], part) for name, part in values.items()}, None
    if floats and told is None:
        _log.warning("%s: the labels 0.0, 1.0, .. are taken for classes; labels: values predicts them", path)
    numbered, names = number_classes(f"{path}, column {column!r}", feature, list(values.values()))
    labels = dict(zip(values, numbered, strict=True))
    _check_classes(rows, labels, names)
    return labels, names


def _values(rows: TextRows, column: str) -> np.ndarray:
    cells = rows.arrow(column)
    if cells.null_count:
        raise DataError(f"{rows.where(cells.is_null().index(True).as_py())} has no label in column {column!r}")
    values: np.ndarray = cells.to_numpy()
    if values.dtype.kind == "O":
        composed = {name: unicodedata.normalize("NFC", name) for name in np.unique(values)}
        values = np.array([composed[name] for name in values], dtype=object)
    return values


def _typed(
    rows: Mapping[str, TextRows], values: dict[str, np.ndarray], told: LabelKind | None
) -> dict[str, np.ndarray]:
    """Return the labels of CSV, which are all texts, as the numbers that they are.

    Raises:
        DataError: some are numbers and others are words.
    """
    numbers: tuple[str, Any] | None = None
    words: tuple[str, Any] | None = None
    for name, part in values.items():
        if part.dtype.kind in "OU" and is_untyped(rows[name].table):
            known = {label: is_number(label) for label in np.unique(part)}
            for label, number in known.items():
                place = f"{rows[name].where(int(np.flatnonzero(part == label)[0]))} has label {label!r}"
                numbers, words = (numbers or (place, label), words) if number else (numbers, words or (place, label))
    if numbers and words and told is None:
        advice = "make them alike, say which words stand for none (missing), or say labels: classes"
        raise DataError(f"{words[0]}, no number, but {numbers[0]}: {advice}")
    if words:
        return values
    whole = all(label.lstrip("+-").isdigit() for part in values.values() if part.dtype.kind in "OU" for label in part)
    return {
        name: part.astype(np.int64 if whole else np.float64) if part.dtype.kind in "OU" else part
        for name, part in values.items()
    }


def _check_alike(rows: Mapping[str, TextRows], values: Mapping[str, np.ndarray]) -> None:
    first, *others = (name for name in values if len(values[name]))
    for other in others:
        kinds = [_WORDS.get(values[name].dtype.kind, str(values[name].dtype)) for name in (first, other)]
        if kinds[0] != kinds[1]:
            here, there = (f"{rows[name].where(0)} has {values[name][0]!r}" for name in (other, first))
            raise DataError(f"labels of two kinds: {here}, {kinds[1]}, and {there}, {kinds[0]}: make them alike")


def _checked_values(rows: TextRows, values: np.ndarray) -> Tensor:
    if values.dtype.kind not in "iuf":
        raise DataError(f"{rows.where(0)} has label {str(values[0])!r}, which is not a number to predict")
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        raise DataError(f"{rows.where(int(wrong[0]))} has label {values[wrong[0]]}, which is not a number to predict")
    return torch.from_numpy(values.astype(np.float32))


def _check_classes(rows: Mapping[str, TextRows], labels: Mapping[str, Tensor], names: list[str]) -> None:
    for name, part in labels.items():
        outside = torch.where((part < 0) | (part >= len(names)))[0]
        if len(outside):
            label = int(part[outside[0]])
            raise DataError(
                f"{rows[name].where(int(outside[0]))} has label {label}, outside 0 to {len(names) - 1}: "
                "use another split if its labels are withheld, or fix the data"
            )
    if len(labels["train"].unique()) < 2:
        raise DataError(f"{rows['train'].split} has one class only: classification needs two or more")
