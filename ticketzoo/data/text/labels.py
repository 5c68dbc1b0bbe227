"""The labels of texts: values to predict, or classes by number, word, or True and False."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from ticketzoo.data.labels import (
    all_whole,
    check_few,
    check_same_names,
    kind_of,
    missing_label,
    number_classes,
    signed,
    type_of,
)
from ticketzoo.data.remarks import Remarks, alike_words, numbering_words
from ticketzoo.data.tables.untyped import is_untyped, typed_labels
from ticketzoo.data.text.rows import TextRows
from ticketzoo.errors import DataError

if TYPE_CHECKING:
    from datasets import Dataset

LabelKind = Literal["classes", "values"]
_WORDS = {"i": "a number", "u": "a number", "f": "a number", "b": "true or false", "O": "a text", "U": "a text"}
_WITHHELD = {"-1", "-1.0"}


def is_withheld(table: "Dataset", train: "Dataset", label_column: str) -> bool:
    """Tell whether a split has no labels, or in name only: GLUE's test splits say -1 everywhere.

    Where the stored split `train` has -1, too, it is a label.
    """
    if label_column not in table.features:
        return True
    found = _different(table, label_column)
    return not found or (found <= _WITHHELD and not _WITHHELD & _different(train, label_column))


def _different(table: "Dataset", column: str) -> set[str]:
    """Return the different labels of a split as texts; of a column of lists, say, just its type."""
    from datasets import ClassLabel

    feature = table.features[column]
    cells = table.select_columns([column]).with_format("arrow")[:].column(column).drop_null()
    if len(cells) and not (kind_of(feature) or isinstance(feature, ClassLabel)):
        return {type_of(feature)}
    return {str(label).strip() for label in cells.unique().to_pylist()}


def read_labels(
    path: str, rows: Mapping[str, TextRows], column: str, told: LabelKind | None, remarks: Remarks
) -> tuple[dict[str, Tensor], list[str] | None]:
    """Return the labels of each split, and the names of the classes; of values to predict no names.

    Class numbers are int64 [n], values float32 [n]. Names that differ by unicode form alone are one class.

    Args:
        path: the data set, for messages.
        rows: the splits.
        column: the column of labels, which each split has.
        told: what they are; default classes, but values for numbers with fractions.
        remarks: gets what the labels were taken for, where that is not plain.

    Raises:
        DataError: a row has none, rows have labels of different kinds, or it is not clear what whole numbers are.
    """
    where = f"{path}, column {column!r}"
    features = [part.table.features[column] for part in rows.values()]
    values = {name: signed(where, _values(part, column)) for name, part in rows.items()}
    if any(is_untyped(part.table) for part in rows.values()):
        values = typed_labels(rows, values, told, remarks)
    _check_alike(rows, values)
    _check_withheld(rows, column)
    check_same_names(where, features)
    found = np.unique(np.concatenate(list(values.values())))
    if (told or _kind_of(where, found, remarks)) == "values":
        checked = {name: _checked_values(rows[name], part) for name, part in values.items()}
        if len(only := checked["train"].unique()) == 1:
            raise DataError(f"{rows['train'].split} has label {float(only):g} throughout: there is nothing to predict")
        remarks.facts.append(f"labels are values to predict, from {found[0]:g} to {found[-1]:g}")
        return checked, None
    numbered, names = number_classes(where, features[0], list(values.values()), fractions=True)
    labels = dict(zip(values, numbered, strict=True))
    _check_classes(rows, labels, names)
    if numbering := numbering_words(names):
        remarks.facts.append(numbering)
    if alike := alike_words(names):
        remarks.add(alike)
    return labels, names


def _kind_of(where: str, found: np.ndarray, remarks: Remarks) -> LabelKind:
    """Return what labels are of which the recipe does not say it, from the different ones in order."""
    if found.dtype.kind not in "iuf":
        return "classes"
    if found.dtype.kind == "f" and not all_whole(found):
        return "values"
    check_few(where, found, "say which with --set task.dataset.labels=classes or =values")
    if found.dtype.kind == "f":
        shown = ", ".join(map(str, found[:2]))
        remarks.add(f"the labels {shown}, .. are taken for classes; labels: values predicts them")
    return "classes"


def _values(rows: TextRows, column: str) -> np.ndarray:
    cells = rows.arrow(column)
    if (missing := missing_label(cells)) is not None:
        raise DataError(f"{rows.where(missing)} has no label in column {column!r}: give it one, or leave the row out")
    values: np.ndarray = cells.to_numpy()
    return values


def _check_alike(rows: Mapping[str, TextRows], values: Mapping[str, np.ndarray]) -> None:
    first, *others = (name for name in values if len(values[name]))
    for other in others:
        kinds = [_WORDS.get(values[name].dtype.kind, str(values[name].dtype)) for name in (first, other)]
        if kinds[0] != kinds[1]:
            here, there = (f"{rows[name].where(0)} has {str(values[name][0])!r}" for name in (other, first))
            raise DataError(f"labels of two kinds: {here}, {kinds[1]}, and {there}, {kinds[0]}: make them alike")


def _checked_values(rows: TextRows, values: np.ndarray) -> Tensor:
    if values.dtype.kind not in "iuf":
        raise DataError(f"{rows.where(0)} has label {str(values[0])!r}, which is not a number to predict")
    wrong = np.flatnonzero(~(np.abs(values) <= np.finfo(np.float32).max))
    if len(wrong):
        where = rows.where(int(wrong[0]))
        raise DataError(f"{where} has label {values[wrong[0]]}, which is not a number to predict in 32 bits")
    return torch.from_numpy(values.astype(np.float32))


def _check_withheld(rows: Mapping[str, TextRows], column: str) -> None:
    """Raise DataError for a split that the recipe names though its labels are withheld."""
    for part in rows.values():
        if len(part) and is_withheld(part.table, rows["train"].table, column):
            raise DataError(f"{part.split} has labels -1 only, they seem withheld: use another split")


def _check_classes(rows: Mapping[str, TextRows], labels: Mapping[str, Tensor], names: list[str]) -> None:
    for name, part in labels.items():
        outside = torch.where((part < 0) | (part >= len(names)))[0]
        if len(outside):
            label = int(part[outside[0]])
            raise DataError(
                f"{rows[name].where(int(outside[0]))} has label {label}, outside 0 to {len(names) - 1}: "
                "use another split if its labels are withheld, or fix the data"
            )
    found = labels["train"].unique()
    if len(found) < 2:
        only = names[int(found[0])][:100]
        has = "has one class only" if len(names) == 1 else "is left with one class to train on"
        raise DataError(f"{rows['train'].split} {has}, {only!r}: classification needs two or more")
