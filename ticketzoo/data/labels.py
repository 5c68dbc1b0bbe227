"""The column of a data set that holds labels, and the classes they name."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ticketzoo.errors import DataError

LABEL_NAMES = ("label", "labels", "fine_label", "target", "class", "cls")


def find_label_column(path: str, features: dict[str, Any], asked: str | None) -> str:
    """Return the column asked for, the one ClassLabel, or the one of numbers, words or bools with a label's name.

    Raises:
        DataError: there is no such column, or no clear one; the message lists the columns.
    """
    from datasets import ClassLabel

    labels = [column for column, feature in features.items() if isinstance(feature, ClassLabel)]
    plain = [column for column, feature in features.items() if kind_of(feature)]
    if asked is not None:
        if asked in labels or asked in plain:
            return asked
        there = f" of numbers or words, but of {_type_of(features[asked])}" if asked in features else ""
        listed = what_there_is("label", labels + plain, features)
        raise DataError(f"{path} has no label column {asked!r}{there}; {listed}")
    found = labels or [column for column in plain if column in LABEL_NAMES]
    if len(found) == 1:
        return found[0]
    if found:
        raise DataError(f"{path} has several label columns, {', '.join(found)}: say which with label_column")
    raise DataError(f"{path} has no label column; {what_there_is('label', labels, features)}")


def number_classes(where: str, feature: Any, values: list[np.ndarray]) -> tuple[list[Tensor], list[str]]:
    """Return the labels as int64 class numbers, and the classes' names, from the stored `values` of the splits in use.

    A ClassLabel keeps its numbers and names; words are numbered in sorted order, False and True are 0 and 1; numbers,
    also whole ones written as 0.0 and 1.0, must be 0, 1, .. without a gap.

    Raises:
        DataError: the numbers have gaps or fractions.
    """
    from datasets import ClassLabel

    if isinstance(feature, ClassLabel):
        return [torch.from_numpy(part.astype(np.int64)) for part in values], list(feature.names)
    found = np.unique(np.concatenate(values))
    if found.dtype.kind == "b":
        return [torch.from_numpy(part.astype(np.int64)) for part in values], ["False", "True"]
    if found.dtype.kind not in "iuf":
        return [torch.from_numpy(np.searchsorted(found, part)) for part in values], [str(name) for name in found]
    if not counts_from_0(found):
        listed = ", ".join(map(str, found[:5])) + (", .." if len(found) > 5 else "")
        raise DataError(f"labels of {where} are {listed}: number the classes 0, 1, 2, .. without a gap")
    return [torch.from_numpy(part.astype(np.int64)) for part in values], [str(int(label)) for label in found]


def named(classes: Sequence[str] | None) -> dict[str, list[str]]:
    """Return what a ticket says of its classes: `{"classes": names}`, or nothing where they are numbers from 0 alone.

    Names that are texts rather than names (of over 1,000 characters, or a million together) are left out, too.
    """
    names = list(classes or ())
    too_long = max(map(len, names), default=0) > 1000 or sum(map(len, names)) > 10**6
    return {} if too_long or names == [str(number) for number in range(len(names))] else {"classes": names}


def counts_from_0(found: np.ndarray) -> bool:
    """Tell whether the sorted distinct numbers are 0, 1, .. without a gap."""
    return np.array_equal(found, np.arange(len(found)))


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


def _type_of(feature: Any) -> str:
    from datasets import Value

    return str(feature.dtype) if isinstance(feature, Value) else type(feature).__name__


def what_there_is(kind: str, found: list[str], features: dict[str, Any]) -> str:
    """Return the columns that might have been meant, for messages."""
    return f"its {kind} columns: {', '.join(found)}" if found else f"its columns: {', '.join(features)}"


def find_image_column(path: str, features: dict[str, Any], asked: str | None) -> str:
    """Return the column asked for, or the one Image feature.

    Raises:
        DataError: there is no such column, or no clear one; the message lists the columns.
    """
    from datasets import Image

    images = [column for column, feature in features.items() if isinstance(feature, Image)]
    if asked is not None:
        if asked in images or (asked in features and _holds_encoded_images(features[asked])):
            return asked
        raise DataError(f"{path} has no image column {asked!r}; {what_there_is('image', images, features)}")
    images = images or [column for column, feature in features.items() if _is_image_struct(feature)]
    if len(images) == 1:
        return images[0]
    if images:
        raise DataError(f"{path} has several image columns, {', '.join(images)}: say which with image_column")
    raise DataError(f"{path} has no image column; {what_there_is('image', images, features)}")


def _is_image_struct(feature: Any) -> bool:
    """Tell whether a feature is that of an image column in a parquet file that has lost its Hub metadata."""
    return isinstance(feature, dict) and set(feature) == {"bytes", "path"}


def _holds_encoded_images(feature: Any) -> bool:
    return _is_image_struct(feature) or getattr(feature, "dtype", None) in ("binary", "large_binary")
