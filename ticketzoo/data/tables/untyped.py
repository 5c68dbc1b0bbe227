"""Labels of CSV, which are all stored as texts, as the numbers, or True and False, that they are."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ticketzoo.data.labels import BEYOND_FLOATS, EXACT
from ticketzoo.data.remarks import Remarks
from ticketzoo.errors import DataError
from ticketzoo.util.text import show_names

if TYPE_CHECKING:
    from datasets import Dataset

_NUMBER = re.compile(r"[+-]?(0|[1-9][0-9]*)?(\.[0-9]*)?([eE][+-]?[0-9]+)?")

_DIGITS = 18
"""Of a whole number that is sure to fit into 64 bits."""

_ADVICE = "make them alike, say which words stand for none (missing), or say labels: classes"


class Rows(Protocol):
    """Rows of a split, of which each can be named."""

    @property
    def table(self) -> "Dataset":
        """The split as it is stored."""

    def where(self, index: int) -> str:
        """Return words that tell a person which row this is."""


def is_untyped(table: "Dataset") -> bool:
    """Tell whether a table is of CSV, so that its numbers, too, are stored as texts."""
    return bool(table.info.builder_name == "csv")


def is_number(text: str) -> bool:
    """Tell whether a text is a number as programs write them, maybe between spaces; `007` is none."""
    number = _NUMBER.fullmatch(text.strip())
    return number is not None and bool(number[1] or (number[2] or ".") != ".")


def typed_labels(
    rows: Mapping[str, Rows],
    values: Mapping[str, np.ndarray],
    told: str | None,
    remarks: Remarks,
    *,
    advice: str | None = None,
) -> dict[str, np.ndarray]:
    """Return the labels of each split, those of CSV as numbers where all are, and as bools where a word is unsteady.

    Args:
        rows: the splits.
        values: their labels.
        told: "classes" or "values" where the recipe says so; for classes numbers may stand among words.
        remarks: gets words that were taken for True and False.
        advice: what to do about labels that are refused; by default what the recipe of a task on texts can say.

    Raises:
        DataError: some are numbers and others are words, or one has more digits than 64 bits hold.
    """
    texts = {name for name, part in values.items() if part.dtype.kind in "OU" and is_untyped(rows[name].table)}
    found = {name: np.unique(values[name]) for name in texts}
    every = sorted({label for part in found.values() for label in part})
    numbers = [label for label in every if is_number(label)]
    words = [label for label in every if not is_number(label)]
    if words and told == "values":
        raise DataError(f"{_place(rows, values, texts, words[0])}, which is not a number to predict")
    if numbers and words and told is None:
        one, other = (_place(rows, values, texts, label) for label in (words[0], numbers[0]))
        raise DataError(f"{one}, no number, but {other}: {advice or _ADVICE}")
    if words:
        typed = any(part.dtype.kind == "b" for part in values.values())
        if not _are_bools(every, typed=typed):
            return dict(values)
        if not typed:
            remarks.add(f"labels {show_names([repr(label) for label in every], 6)} are read as True and False")
        return _as_bools(values, texts, every)
    whole = [label for label in every if label.strip().lstrip("+-").isdigit()]
    if len(whole) < len(every):
        if (wide := [label for label in every if _is_wide(label)]) and told != "values":
            advice = advice or "write names without a point, or say labels: values, to predict them"
            raise DataError(f"{_place(rows, values, texts, wide[0])}, {BEYOND_FLOATS}: {advice}")
        return {name: part.astype(np.float64) if name in texts else part for name, part in values.items()}
    long = [label for label in whole if len(label.strip().lstrip("+-0")) > _DIGITS]
    if long and told == "classes":
        return dict(values)
    if long and told is None:
        advice = advice or "if such numbers are names, say labels: classes"
        raise DataError(f"{_place(rows, values, texts, long[0])}, of more digits than 64 bits hold: {advice}")
    kind = np.float64 if long else np.int64
    return {name: part.astype(kind) if name in texts else part for name, part in values.items()}


def _is_wide(label: str) -> bool:
    """Tell whether a number is a whole one beyond those that floats tell apart."""
    digits, _, fraction = label.strip().lstrip("+-0").partition(".")
    return digits.isdigit() and not fraction.strip("0") and (len(digits) > _DIGITS or int(digits) > EXACT)


def _place(rows: Mapping[str, Rows], values: Mapping[str, np.ndarray], texts: set[str], label: str) -> str:
    """Return in words where a label stands first, and how."""
    for name in (name for name in values if name in texts):
        if len(there := np.flatnonzero(values[name] == label)):
            shown = label if len(label) <= 40 else f"{label[:39]}…"
            return f"{rows[name].where(int(there[0]))} has label {shown!r}"
    raise KeyError(label)


def _are_bools(every: list[str], *, typed: bool) -> bool:
    """Tell whether words are true and false written in several ways, or (`typed`) beside real ones."""
    ways = {label.strip().casefold() for label in every}
    return ways <= {"true", "false"} and (typed or len(every) > len(ways))


def _as_bools(values: Mapping[str, np.ndarray], texts: set[str], every: list[str]) -> dict[str, np.ndarray]:
    true = {label: label.strip().casefold() == "true" for label in every}
    return {
        name: np.array([true[label] for label in part], dtype=bool) if name in texts else part
        for name, part in values.items()
    }
