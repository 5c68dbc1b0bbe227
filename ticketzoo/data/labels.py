"""The column of a data set that holds labels, and the classes they name."""

import difflib
import re
import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ticketzoo.errors import DataError
from ticketzoo.util.text import show_names

LABEL_NAMES = ("label", "labels", "fine_label", "target", "class", "cls")
_NEAR = 0.65
"""Likeness of names, from 0 to 1, above which one may have been meant."""
_FEW = 100
"""Most different whole numbers that are taken for classes where some between them are missing."""
EXACT = 2**53
"""Whole numbers up to it are told apart as floats."""
BEYOND_FLOATS = "a whole number beyond 2^53, and other labels are floats, which do not tell such apart"


def find_label_column(path: str, features: dict[str, Any], asked: str | None, *, of_first_row: bool = False) -> str:
    """Return the column asked for, the one ClassLabel, or the one of numbers, words or bools with a label's name.

    Args:
        path: the data set, for messages.
        features: its columns and their types.
        asked: the name of the column, if the recipe has one.
        of_first_row: the columns are named by the first row of a file, which may be none of names.

    Raises:
        DataError: there is no such column, or no clear one; the message lists the columns with their types.
    """
    from datasets import ClassLabel

    labels = [column for column, feature in features.items() if isinstance(feature, ClassLabel)]
    plain = [column for column, feature in features.items() if kind_of(feature)]
    if asked is not None:
        if asked in labels or asked in plain:
            return asked
        _refuse_type(path, features, [asked] if asked in features else [])
        hint = _hint(labels + plain, asked)
        raise DataError(f"{path} has no label column {asked!r}; {what_there_is(features)}: {hint}")
    found = labels or [column for column in plain if column.strip().lower() in LABEL_NAMES]
    if len(found) == 1:
        return found[0]
    if found:
        raise DataError(f"{path} has several label columns, {', '.join(found)}: {_hint(found, found[0])}")
    _refuse_type(path, features, [column for column in features if column.strip().lower() in LABEL_NAMES])
    hint = "the first row must name the columns; if it does, " if of_first_row else ""
    raise DataError(f"{path} has no label column; {what_there_is(features)}: {hint}{_hint(plain, *LABEL_NAMES)}")


def _refuse_type(path: str, features: dict[str, Any], meant: Sequence[str]) -> None:
    """Raise DataError for the first of the columns that are `meant`, whose types are not those of labels."""
    for column in meant[:1]:
        there = f"column {column!r} is {type_of(features[column])}, and labels are numbers, words, or true and false"
        raise DataError(f"{path}: {there}; {what_there_is(features)}: write its cells as such, or name another column")


def _hint(choice: Sequence[str], *names: str) -> str:
    """Return what to set, with the column of `choice` that is nearest to one of `names`, if one is near."""

    def nearness(column: str) -> float:
        return max(difflib.SequenceMatcher(None, column.strip().lower(), name.lower()).ratio() for name in names)

    nearest = max(choice, key=nearness, default="")
    column = nearest if nearest and nearness(nearest) > _NEAR else "COLUMN"
    return f"say which with --set task.dataset.label_column={column}"


def missing_label(cells: Any) -> int | None:
    """Return the first row, of a column as arrow has it, without a label: nothing, no number, or an empty text."""
    from pyarrow import compute, types

    gone = cells.is_null(nan_is_null=True)
    if types.is_string(cells.type) or types.is_large_string(cells.type):
        blank = compute.equal(compute.utf8_length(compute.utf8_trim_whitespace(cells)), 0)
        gone = compute.or_kleene(gone, compute.fill_null(blank, True))
    found = compute.index(gone, True).as_py()
    return None if found < 0 else int(found)


def number_classes(
    where: str, feature: Any, values: Sequence[np.ndarray], *, fractions: bool = False
) -> tuple[list[Tensor], list[str]]:
    """Return the labels as int64 class numbers, and the classes' names, from the stored `values` of the splits in use.

    A ClassLabel keeps its numbers and names. All else is numbered from 0 in sorted order: words (those that differ by
    unicode form alone are one), False and True, whole numbers wherever they begin, also those written as 1.0 and 2.0.

    Args:
        where: data set and column, for messages.
        feature: the column's type as `datasets` has it.
        values: those of each split.
        fractions: numbers with fractions name classes, too.

    Raises:
        DataError: numbers with fractions, or beyond 64 bits.
    """
    from datasets import ClassLabel

    if isinstance(feature, ClassLabel):
        return [torch.from_numpy(part.astype(np.int64)) for part in values], list(feature.names)
    kinds = {"number" if part.dtype.kind in "iuf" else part.dtype.kind for part in values}
    if len(kinds) > 1:
        raise DataError(f"labels of {where} are of different types in different splits: make them alike")
    values = [_composed(signed(where, part)) for part in values]
    _check_exact(where, values)
    found = np.unique(np.concatenate(values))
    if found.dtype.kind == "b":
        return [torch.from_numpy(part.astype(np.int64)) for part in values], ["False", "True"]
    if found.dtype.kind == "f" and not fractions and not all_whole(found):
        odd = next(label for label in found if not all_whole(label))
        raise DataError(f"labels of {where} have fractions, such as {odd}: classes are whole numbers or words")
    names = [str(int(label)) if found.dtype.kind in "if" and all_whole(label) else str(label) for label in found]
    return [torch.from_numpy(np.searchsorted(found, part).astype(np.int64)) for part in values], names


def _check_exact(where: str, values: Sequence[np.ndarray]) -> None:
    """Raise DataError for whole numbers that would be rounded beside floats of another split."""
    ends = [int(end) for part in values if part.dtype.kind == "i" and len(part) for end in (part.min(), part.max())]
    widest = max(ends, key=abs, default=0)
    if abs(widest) > EXACT and any(part.dtype.kind == "f" for part in values):
        raise DataError(f"labels of {where} have {widest}, {BEYOND_FLOATS}: make them alike")


def all_whole(numbers: Any) -> bool:
    """Tell whether numbers, or one, have no fractions."""
    return bool(np.all(np.isfinite(numbers))) and bool(np.all(np.mod(numbers, 1) == 0))


def _composed(values: np.ndarray) -> np.ndarray:
    """Return texts in unicode's composed form (NFC), numbers as they are."""
    if values.dtype.kind != "O":
        return values
    composed = {name: unicodedata.normalize("NFC", name) for name in np.unique(values)}
    return np.array([composed[name] for name in values], dtype=object)


def signed(where: str, values: np.ndarray) -> np.ndarray:
    """Return numbers without a sign as int64, others as they are. Raises DataError for those beyond 63 bits."""
    if values.dtype.kind != "u":
        return values
    if len(values) and values.max() > np.iinfo(np.int64).max:
        raise DataError(f"labels of {where} go up to {values.max()}, beyond 63 bits: write them as texts")
    return values.astype(np.int64)


def check_few(where: str, found: np.ndarray, advice: str) -> None:
    """Raise DataError, with `advice`, where different whole numbers, in order, are many and have gaps between them."""
    if int(found[-1]) - int(found[0]) >= len(found) > _FEW:
        numbers = f"{len(found):,} different whole numbers from {found[0]:g} to {found[-1]:g}"
        raise DataError(f"labels of {where} are {numbers}: {advice}")


def whole_numbers(names: Sequence[str]) -> list[int] | None:
    """Return the whole numbers that the names of classes are; None where one is none."""
    numbers = [int(name) for name in names if re.fullmatch(r"0|-?[1-9][0-9]{0,18}", name)]
    return numbers if len(numbers) == len(names) else None


def check_same_names(where: str, features: Sequence[Any]) -> None:
    """Raise DataError where the classes of one split have other names, or the same in another order, than another's."""
    named_classes = [feature.names for feature in features if hasattr(feature, "names")]
    if named_classes and len(named_classes) != len(features):
        raise DataError(f"labels of {where} have names of classes in some splits only: give all the same")
    for names in named_classes:
        if names != named_classes[0]:
            first, other = (show_names(one, 5) for one in (named_classes[0], names))
            raise DataError(
                f"labels of {where} are numbered otherwise in another split ({first}; {other}): make them alike"
            )


def named(classes: Sequence[str] | None) -> dict[str, list[str]]:
    """Return what a ticket says of its classes: `{"classes": names}`, or nothing where they are numbers from 0 alone.

    Names that are texts rather than names (of over 1,000 characters, or a million together) are left out, too.
    """
    names = list(classes or ())
    too_long = max(map(len, names), default=0) > 1000 or sum(map(len, names)) > 10**6
    return {} if too_long or names == [str(number) for number in range(len(names))] else {"classes": names}


def kind_of(feature: Any) -> str | None:
    """Return the kind of a column's values: "int", "float", "bool" or "text"; None if it is none of them."""
    from datasets import Value

    if not isinstance(feature, Value):
        return None
    if feature.dtype.startswith(("int", "uint")):
        return "int"
    if feature.dtype.startswith("float"):
        return "float"
    return {"bool": "bool", "string": "text", "large_string": "text", "string_view": "text"}.get(feature.dtype)


def type_of(feature: Any) -> str:
    """Return the type of a column in a word or two, for messages."""
    from datasets import Value

    words = {"int": "whole numbers", "float": "numbers", "bool": "true or false", "text": "text"}
    if kind := kind_of(feature):
        return words[kind]
    return type(feature).__name__ if not isinstance(feature, Value) else str(feature.dtype).replace("null", "empty")


def what_there_is(features: dict[str, Any]) -> str:
    """Return the columns and their types, for messages."""
    columns = [
        f"{repr(name) if name != name.strip() else name} ({type_of(feature)})" for name, feature in features.items()
    ]
    return f"its columns: {show_names(columns) or 'none'}"


def find_image_column(path: str, features: dict[str, Any], asked: str | None) -> str:
    """Return the column asked for, or the one of images, or else of encoded images, with their paths or as bytes alone.

    Raises:
        DataError: there is no such column, or no clear one; the message lists the columns.
    """
    from datasets import Image

    images = [column for column, feature in features.items() if isinstance(feature, Image)]
    if asked is not None:
        if asked in images or (asked in features and _holds_encoded_images(features[asked])):
            return asked
        raise DataError(f"{path} has no image column {asked!r}; {what_there_is(features)}")
    images = images or [column for column, feature in features.items() if _is_image_struct(feature)]
    images = images or [column for column, feature in features.items() if _holds_encoded_images(feature)]
    if len(images) == 1:
        return images[0]
    if images:
        raise DataError(f"{path} has several image columns, {', '.join(images)}: say which with image_column")
    needed = "there are neither image files in it nor a column of images or of their bytes (PNG, JPEG)"
    raise DataError(f"{path} holds no images: {needed}; {what_there_is(features)}")


def _is_image_struct(feature: Any) -> bool:
    """Tell whether a feature is that of an image column in a parquet file that has lost its Hub metadata."""
    return isinstance(feature, dict) and set(feature) == {"bytes", "path"}


def _holds_encoded_images(feature: Any) -> bool:
    return _is_image_struct(feature) or getattr(feature, "dtype", None) in ("binary", "large_binary")
