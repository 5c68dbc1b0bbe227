"""Sentences, or pairs of them, with labels: the data of text classification."""

from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ticketzoo.data import tensor_cache
from ticketzoo.data.labels import LABEL_NAMES, find_label_column, number_classes
from ticketzoo.data.progress_bar import with_progress
from ticketzoo.data.stored import last_part
from ticketzoo.data.text.glue import GLUE, GlueTask, known_columns
from ticketzoo.data.text.rows import TextDataset, TextRows, split_rows, text_columns
from ticketzoo.data.text.sequences import Sequences, sequences_of
from ticketzoo.data.text.tokenizer import Tokenizer
from ticketzoo.errors import DataError

if TYPE_CHECKING:
    from datasets import Dataset

_CACHE_FORMAT = 1
_PART = 2000
"""Rows tokenised at a time."""


class LabelledTextDataset(TextDataset):
    """The `dataset:` section of a recipe for text classification.

    Attributes:
        columns: the one or two columns of text; default those of the GLUE task of that name, or that GLUE's tasks
            have.
        label_column: default the one that looks like it. Floats are values to predict, as of STS-B, not classes.
    """

    columns: tuple[str, ...] | None = None
    label_column: str | None = None

    @property
    def glue(self) -> GlueTask | None:
        """The task of GLUE that this is, if it is one."""
        return GLUE.get(self.name or "") if last_part(self.path) == "glue" else None

    def find_columns(self, features: dict[str, Any], label_column: str) -> list[str]:
        """Return the columns of text.

        Raises:
            DataError: they are not there, or it is not clear which they are.
        """
        if self.columns is not None and len(self.columns) not in (1, 2):
            raise DataError(f"columns: {', '.join(self.columns)} are {len(self.columns)}, but a model reads one or two")
        asked = self.columns or (self.glue.columns if self.glue else None)
        found = text_columns(self.path, {name: features[name] for name in features if name != label_column}, asked)
        if asked or len(found) == 1:
            return found
        known = known_columns(found) or (("text",) if "text" in found else None)
        if known is None:
            raise DataError(f"{self.path} has several text columns, {', '.join(found)}: say which with columns")
        return list(known)

    def find_label_column(self, features: dict[str, Any]) -> tuple[str, bool]:
        """Return the column of labels, and whether they are values to predict.

        Raises:
            DataError: it is not clear.
        """
        floats = [name for name, feature in features.items() if str(getattr(feature, "dtype", "")).startswith("float")]
        likely = [name for name in floats if name in LABEL_NAMES]
        if self.label_column in floats or (self.label_column is None and len(likely) == 1):
            return self.label_column or likely[0], True
        return find_label_column(self.path, features, self.label_column), False


@dataclass(frozen=True)
class LabelledText:
    """The splits: token sequences, and labels of each: int64 [n] class numbers, or float32 [n] values to predict.

    Attributes:
        num_classes: 1 of values.
    """

    sequences: dict[str, Sequences]
    labels: dict[str, Tensor]
    num_classes: int

    @property
    def is_regression(self) -> bool:
        """True if the labels are values."""
        return self.num_classes == 1


def load_labelled_text(dataset: LabelledTextDataset, tokenizer: Tokenizer, max_length: int) -> LabelledText:
    """Return the data that `dataset` names.

    Raises:
        DataError: something is missing or does not fit.
    """
    stored = dataset.load()
    features = next(iter(stored.values())).features
    label_column, is_regression = dataset.find_label_column(features)
    columns = dataset.find_columns(features, label_column)
    rows = split_rows(dataset, stored, lambda table: _withheld(table, label_column))
    values = {name: _label_values(part, label_column) for name, part in rows.items()}
    if is_regression:
        labels, classes = {name: _checked_values(rows[name], part) for name, part in values.items()}, 1
    else:
        labels, classes = _numbered(dataset, rows, features[label_column], label_column, values)
    sequences = {name: tokenize_rows(part, columns, tokenizer, max_length) for name, part in rows.items()}
    return LabelledText(sequences, labels, classes)


def tokenize_rows(rows: TextRows, columns: list[str], tokenizer: Tokenizer, max_length: int) -> Sequences:
    """Return a sequence a row, of the text or pair of texts in `columns`, cut to `max_length` tokens.

    From the cache, or tokenised now.

    Raises:
        DataError: a row without text, and for a column without any.
    """
    import tokenizers

    key = [_CACHE_FORMAT, rows.identity, columns, tokenizer.digest, max_length, tokenizers.__version__]
    stored = tensor_cache.tokens(key, lambda: _tokenize(rows, columns, tokenizer, max_length).tensors)
    return Sequences(**stored, pad=tokenizer.pad)


def _tokenize(rows: TextRows, columns: list[str], tokenizer: Tokenizer, max_length: int) -> Sequences:
    token_lists, segments = [], []
    pairs = len(columns) == 2
    filled = dict.fromkeys(columns, len(rows) == 0)
    for part in with_progress(rows.parts(_PART), -(-len(rows) // _PART), f"tokenising {rows.split}"):
        texts = [part.column(column) for column in columns]
        for column, given in zip(columns, texts, strict=True):
            if None in given:
                raise DataError(f"{part.where(given.index(None))} has no text in column {column!r}")
            filled[column] = filled[column] or any(text.strip() for text in given)
        encodings = tokenizer.encode(list(zip(*texts, strict=True)) if pairs else texts[0], max_length=max_length)
        token_lists += [array("i", encoding.ids) for encoding in encodings]
        if pairs and tokenizer.has_segments:
            segments += [bytes(encoding.type_ids) for encoding in encodings]
    empty = [column for column in columns if not filled[column]]
    if empty:
        raise DataError(f"column {empty[0]!r} of {rows.split} is empty: there is no text to classify")
    return sequences_of(token_lists, tokenizer.pad, segments)


def _withheld(table: "Dataset", label_column: str) -> bool:
    """Tell whether a split has labels in name only: GLUE's test splits say -1 everywhere."""
    labels = table.select_columns([label_column]).with_format("arrow")[:].column(label_column).drop_null().to_numpy()
    return labels.dtype.kind in "if" and bool((labels == -1).all())


def _label_values(rows: TextRows, label_column: str) -> np.ndarray:
    column = rows.arrow(label_column)
    if column.null_count:
        raise DataError(f"{rows.where(column.is_null().index(True).as_py())} has no label in column {label_column!r}")
    values: np.ndarray = column.to_numpy()
    return values


def _checked_values(rows: TextRows, values: np.ndarray) -> Tensor:
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        raise DataError(f"{rows.where(int(wrong[0]))} has label {values[wrong[0]]}, which is not a number to predict")
    return torch.from_numpy(values.astype(np.float32))


def _numbered(
    dataset: LabelledTextDataset,
    rows: dict[str, TextRows],
    feature: Any,
    label_column: str,
    values: dict[str, np.ndarray],
) -> tuple[dict[str, Tensor], int]:
    """Return the labels as class numbers, and how many classes there are."""
    where = f"{dataset.path}, column {label_column!r}"
    numbered, names = number_classes(where, feature, list(values.values()))
    labels = dict(zip(values, numbered, strict=True))
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
    return labels, len(names)
