"""The common part of the `dataset:` sections of text tasks, and the rows of text that they name, split."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import torch
from pydantic import AfterValidator
from torch import Tensor

from ticketzoo.data.splits import random_share
from ticketzoo.data.stored import Share, StoredDataset, last_part
from ticketzoo.data.tables.files import Reading
from ticketzoo.data.tables.load import has_names, load_tables
from ticketzoo.errors import DataError

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

VALIDATION_SHARE = 0.1
"""Fraction of the training split held out where the recipe says nothing and no stored split serves for validation."""
_TEST_SPLITS = ("test", "test_matched", "validation", "validation_matched")


def _known_encoding(name: str | None) -> str | None:
    try:
        "".encode(name or "utf-8")
    except LookupError:
        raise ValueError("no known encoding; such are utf-8, utf-16, latin-1, cp1252") from None
    return name


class TextDataset(StoredDataset):
    """The keys that the `dataset:` section of every text task has, beside those of every data set.

    Attributes:
        test_split: default the first of "test", "test_matched", "validation" and "validation_matched" that is
            stored and whose labels are not withheld, else `test` examples of the training split.
        test: how many examples (int) or which fraction (float) of train that is.
        validation: as many held out of the training split; 0: none. Default: the split "validation" where it is
            stored and not tested on, else a tenth.
        encoding: of files of text; default UTF-8, or what the mark at their start says.
        missing: words in cells of CSV that stand for no value; by default every word is a word.
    """

    test: Share = 0.1
    validation: Share | None = None
    encoding: Annotated[str | None, AfterValidator(_known_encoding)] = None
    missing: tuple[str, ...] = ()

    def load(self) -> "DatasetDict":
        """Return its splits: of a folder its tables as they are, or what is on the Hub.

        Raises:
            DataError: they cannot be read.
        """
        where = Path(self.mirror or self.path).expanduser()
        if not where.is_dir():
            return super().load()
        name = self.name if self.mirror is None or has_names(where) else None
        return load_tables(where, name, Reading(self.encoding, self.missing))

    @property
    def short_name(self) -> str:
        """The name of the data where the recipe gives none: `glue-sst2`, `glue-mnli-mismatched`, `wordnet-text`."""
        parts = [last_part(self.path), *([self.name] if self.name else [])]
        parts += ["mismatched"] if self.test_split and self.test_split.endswith("_mismatched") else []
        return "-".join(parts).replace("_", "-").lower()


@dataclass(frozen=True)
class TextRows:
    """Some rows of a stored split.

    Attributes:
        rows: int64 [n], in stored order.
        split: its name and data set's, for messages.
    """

    table: "Dataset"
    rows: Tensor
    split: str

    def __len__(self) -> int:
        return len(self.rows)

    def choose(self, chosen: Tensor) -> "TextRows":
        """Return the rows where `chosen`, bool [n], is True."""
        return TextRows(self.table, self.rows[chosen], self.split)

    def texts(self, name: str) -> list[Any]:
        """Return the texts of a column, numbers and bools as Python writes them; None where there is none."""
        values = self.column(name)
        return [value if value is None or isinstance(value, str) else str(value) for value in values]

    def column(self, name: str) -> list[Any]:
        """Return the values of a column, as Python objects."""
        return self.arrow(name).to_pylist()

    def arrow(self, name: str) -> Any:
        """Return the values of a column, as an arrow array."""
        return self.table.select_columns([name]).with_format("arrow")[self.rows.tolist()].column(name)

    def parts(self, size: int) -> Iterator["TextRows"]:
        """Return the rows in turn, `size` at a time."""
        return (TextRows(self.table, part, self.split) for part in self.rows.split(size) if len(part))

    def where(self, index: int) -> str:
        """Return words that tell a person which row this is."""
        return f"row {int(self.rows[index])} of {self.split}"

    @property
    def identity(self) -> list[Any]:
        """Changes when the stored rows or the choice of them do. A JSON value."""
        return [self.table._fingerprint, hashlib.sha256(self.rows.numpy().data).hexdigest()]


def split_rows(
    dataset: TextDataset, stored: "DatasetDict", withheld: Callable[["Dataset"], bool] = lambda table: False
) -> dict[str, TextRows]:
    """Return the rows of "train", "validation" (maybe none) and "test" of `stored`, as the recipe says.

    Args:
        dataset: the recipe's section.
        stored: the data set's splits.
        withheld: whether a stored split has no labels, so that it is not tested on unless the recipe names it.

    Raises:
        DataError: a split is not there, or nothing is left to train on.
    """
    candidates = [split for split in _TEST_SPLITS if split in stored and not withheld(stored[split])]
    used = dataset.splits_in_use(list(stored), candidates)
    train = _all_rows(dataset, stored, used[0])
    if len(used) > 1:
        test = _all_rows(dataset, stored, used[1])
    else:
        test, train = _divide(train, dataset.held_out(dataset.test, len(train), "test"))
    if dataset.validation is None and "validation" in candidates and "validation" not in used:
        validation = _all_rows(dataset, stored, "validation")
    else:
        share = VALIDATION_SHARE if dataset.validation is None else dataset.validation
        validation, train = _divide(train, dataset.held_out(share, len(train)))
    dataset.check_examples(len(train))
    if dataset.examples is not None:
        train = train.choose(random_share(len(train), dataset.examples, dataset.split_seed, "examples"))
    if len(train) == 0 or len(test) == 0:
        raise DataError(f"{dataset.path} has no rows to {'train' if len(train) == 0 else 'test'} on")
    return {"train": train, "validation": validation, "test": test}


def _all_rows(dataset: TextDataset, stored: "DatasetDict", split: str) -> TextRows:
    return TextRows(stored[split], torch.arange(len(stored[split])), f"split {split!r} of {dataset.path}")


def _divide(rows: TextRows, chosen: Tensor) -> tuple[TextRows, TextRows]:
    return rows.choose(chosen), rows.choose(~chosen)
