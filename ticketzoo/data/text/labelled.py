"""Sentences, or pairs of them, with labels: the data of text classification."""

from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor

from ticketzoo.data import tensor_cache
from ticketzoo.data.labels import find_label_column
from ticketzoo.data.progress_bar import with_progress
from ticketzoo.data.remarks import Remarks
from ticketzoo.data.tables.untyped import is_untyped
from ticketzoo.data.text.columns import check_columns, text_columns
from ticketzoo.data.text.glue import GLUE, GlueTask, known_columns
from ticketzoo.data.text.labels import LabelKind, is_withheld, read_labels
from ticketzoo.data.text.remarks import remark_on_texts
from ticketzoo.data.text.rows import TextDataset, TextRows, split_rows
from ticketzoo.data.text.sequences import Sequences, sequences_of
from ticketzoo.data.text.tokenizer import Tokenizer
from ticketzoo.errors import DataError
from ticketzoo.recipe.local import last_part

if TYPE_CHECKING:
    from datasets import Dataset

_CACHE_FORMAT = 1
_PART = 2000
"""Rows tokenised at a time."""


class LabelledTextDataset(TextDataset):
    """The `dataset:` section of a recipe for text classification.

    Attributes:
        columns: names of the one or two columns of text; by default those of the GLUE task of that name, or that GLUE's
            tasks have.
        label_column: name of the column of labels; by default the one that is named or typed like one.
        labels: kind of labels to predict, "classes" or "values". By default values for STS-B and for numbers with
            fractions, else classes; over a hundred whole numbers with gaps between them have to be told.
    """

    columns: tuple[str, ...] | None = None
    label_column: str | None = None
    labels: LabelKind | None = None

    @property
    def glue(self) -> GlueTask | None:
        """The task of GLUE that this is, if it is one."""
        return GLUE.get(self.name or "") if last_part(self.path) == "glue" else None

    def find_columns(self, table: "Dataset", label_column: str) -> list[str]:
        """Return the columns of text.

        Raises:
            DataError: they are not there, or it is not clear which they are.
        """
        if self.columns is not None and len(self.columns) not in (1, 2):
            raise DataError(f"columns: {', '.join(self.columns)} are {len(self.columns)}, but a model reads one or two")
        asked = self.columns or (self.glue.columns if self.glue else None)
        found = text_columns(self.path, table, asked, leave=label_column)
        if asked or len(found) == 1:
            return found
        known = known_columns(found) or (("text",) if "text" in found else None)
        if known is None:
            raise DataError(f"{self.path} has several text columns, {', '.join(found)}: say which with columns")
        return list(known)


@dataclass(frozen=True)
class LabelledText:
    """The splits: token sequences, and labels of each: int64 [n] class numbers, or float32 [n] values to predict.

    Attributes:
        class_names: None of values.
        laid_out: what a ticket says of a folder of the user's.
    """

    sequences: dict[str, Sequences]
    labels: dict[str, Tensor]
    class_names: list[str] | None
    laid_out: dict[str, list[str]]

    @property
    def num_classes(self) -> int:
        """The number of classes; 1 of values."""
        return 1 if self.class_names is None else len(self.class_names)

    @property
    def is_regression(self) -> bool:
        """True if the labels are values."""
        return self.class_names is None


class _Read(NamedTuple):
    """Rows by split, the columns of their texts, their labels, the names of classes, and what is told of the data."""

    rows: dict[str, TextRows]
    columns: list[str]
    label_column: str
    labels: dict[str, Tensor]
    names: list[str] | None
    remarks: Remarks


def load_labelled_text(dataset: LabelledTextDataset, tokenizer: Tokenizer, max_length: int) -> LabelledText:
    """Return the data that `dataset` names.

    Raises:
        DataError: something is missing or does not fit.
    """
    read = _read(dataset)
    rows, columns = read.rows, read.columns
    laid_out = remark_on_texts(
        dataset, rows, columns, read.remarks, beside=[read.label_column], labels=read.labels, names=read.names
    )
    sequences = {name: tokenize_rows(part, columns, tokenizer, max_length) for name, part in rows.items()}
    return LabelledText(sequences, read.labels, read.names, laid_out)


def check_labelled_text(dataset: LabelledTextDataset) -> None:
    """Raise DataError where the data that `dataset` names do not fit, before a tokenizer is looked for."""
    _read(dataset)


def _read(dataset: LabelledTextDataset) -> _Read:
    tables = dataset.load()
    table = dataset.train_table(tables)
    label_column = find_label_column(dataset.path, table.features, dataset.label_column, of_first_row=is_untyped(table))
    columns = dataset.find_columns(table, label_column)
    rows = split_rows(dataset, tables, lambda stored: is_withheld(stored, table, label_column))
    check_columns(rows, [*columns, label_column])
    told = dataset.labels or ("values" if dataset.glue and dataset.glue.metric == "pearson" else None)
    labels, names = read_labels(dataset.path, rows, label_column, told, tables.remarks)
    return _Read(rows, columns, label_column, labels, names, tables.remarks)


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
        texts = [part.texts(column) for column in columns]
        for column, given in zip(columns, texts, strict=True):
            if None in given:
                where = part.where(given.index(None))
                raise DataError(f"{where} has no text in column {column!r}: give it one, or leave the row out")
            filled[column] = filled[column] or any(text.strip() for text in given)
        encodings = tokenizer.encode(list(zip(*texts, strict=True)) if pairs else texts[0], max_length=max_length)
        token_lists += [array("i", encoding.ids) for encoding in encodings]
        if pairs and tokenizer.has_segments:
            segments += [bytes(encoding.type_ids) for encoding in encodings]
    empty = [column for column in columns if not filled[column]]
    if empty:
        raise DataError(f"column {empty[0]!r} of {rows.split} is empty: there is no text to classify")
    return sequences_of(token_lists, tokenizer.pad, segments)
