"""The common part of the `dataset:` sections of text tasks, and the rows of text that they name, split."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import torch
from pydantic import AfterValidator
from torch import Tensor

from ticketzoo.data.splits import random_share
from ticketzoo.data.stored import Share, StoredDataset, load_stored
from ticketzoo.data.tables.files import Reading, Tables
from ticketzoo.data.tables.load import has_names, load_tables
from ticketzoo.data.tables.places import Places
from ticketzoo.errors import DataError
from ticketzoo.recipe.local import last_part

if TYPE_CHECKING:
    from datasets import Dataset

VALIDATION_SHARE = 0.1
"""Fraction of the training split held out where the recipe says nothing and no stored split serves for validation."""
_TEST_SPLITS = ("test", "test_matched", "validation", "validation_matched")


def _known_encoding(name: str | None) -> str | None:
    try:
        "".encode(name or "utf-8")
    except LookupError:
        raise ValueError("no known encoding; such are utf-8, utf-16, latin-1, cp1252") from None
    return name


def _one_character(separator: str | None) -> str | None:
    separator = {"tab": "\t", r"\t": "\t"}.get(separator or "", separator)
    if separator is not None and (len(separator) != 1 or separator in '"\r\n\0'):
        raise ValueError('one character such as ";", or "tab"')
    return separator


class TextDataset(StoredDataset):
    """The keys that the `dataset:` section of every text task has, beside those of every data set.

    Attributes:
        test_split: name of the split to test on; by default the first of "test", "test_matched", "validation" and
            "validation_matched" that is stored and whose labels are not withheld, else `test` examples of the training
            split.
        test: number of examples (1000) or fraction (0.1) of the training split that is tested on where no split is.
        validation: number of examples (1000) or fraction (0.1) of the training split that is held out for validation;
            0: none. By default the split "validation" where it is stored and not tested on, else a tenth.
        encoding: character encoding of files of text, such as latin-1; by default UTF-8, or what the mark at their
            start says.
        missing: words in cells of CSV that stand for no value; by default every word is a word.
        separator: character between two cells of CSV, such as ";" or "tab"; by default a comma, in .tsv a tab.
    """

    test: Share = 0.1
    validation: Share | None = None
    encoding: Annotated[str | None, AfterValidator(_known_encoding)] = None
    missing: tuple[str, ...] = ()
    separator: Annotated[str | None, AfterValidator(_one_character)] = None

    def load(self) -> Tables:
        """Return its splits: of a folder its tables as they are, or what is on the Hub.

        Raises:
            DataError: they cannot be read.
        """
        given = self.mirror or self.path
        where = Path(given).expanduser()
        if not where.is_dir():
            return Tables(load_stored(given, self.name, None if self.mirror else self.revision))
        name = self.name if self.mirror is None or has_names(where) else None
        return load_tables(where, name, Reading(self.encoding, self.missing, self.separator))

    def train_table(self, tables: Tables) -> "Dataset":
        """Return the stored split that is trained on.

        Raises:
            DataError: it is not there, or that to test on is not.
        """
        return tables.splits[self.splits_in_use(list(tables.splits), ())[0]]

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
        places: where the stored rows stand in files, if they do.
    """

    table: "Dataset"
    rows: Tensor
    split: str
    places: Places | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def choose(self, chosen: Tensor) -> "TextRows":
        """Return the rows where `chosen`, bool [n], is True."""
        return replace(self, rows=self.rows[chosen])

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
        return (replace(self, rows=part) for part in self.rows.split(size) if len(part))

    def where(self, index: int) -> str:
        """Return words that tell a person which row this is: file and line, or the row of the split, from 1."""
        row = int(self.rows[index])
        return self.places.of(row) if self.places else f"row {row + 1} of {self.split}"

    @property
    def identity(self) -> list[Any]:
        """Changes when the stored rows or the choice of them do. A JSON value."""
        return [self.table._fingerprint, hashlib.sha256(self.rows.numpy().data).hexdigest()]


def split_rows(
    dataset: TextDataset, tables: Tables, withheld: Callable[["Dataset"], bool] = lambda table: False
) -> dict[str, TextRows]:
    """Return the rows of "train", "validation" (maybe none) and "test" of `tables`, as the recipe says.

    Splits of a user's folder that are not used are remarks of `tables`.

    Args:
        dataset: the recipe's section.
        tables: the data set's splits.
        withheld: whether a stored split has no labels, so that it is not tested on unless the recipe names it.

    Raises:
        DataError: a split is not there, or nothing is left to train on.
    """
    stored = tables.splits
    there = [split for split in _TEST_SPLITS if split in stored and split != dataset.train_split]
    unlabelled = [split for split in there if withheld(stored[split])]
    candidates = [split for split in there if split not in unlabelled]
    used = dataset.splits_in_use(list(stored), candidates)
    train = _all_rows(dataset, tables, used[0])
    if len(used) > 1:
        test = _all_rows(dataset, tables, used[1])
    else:
        test, train = _divide(train, dataset.held_out(dataset.test, len(train), "test"))
    if dataset.validation is None and "validation" in candidates and "validation" not in used:
        used.append("validation")
        validation = _all_rows(dataset, tables, "validation")
    else:
        share = VALIDATION_SHARE if dataset.validation is None else dataset.validation
        validation, train = _divide(train, dataset.held_out(share, len(train)))
    dataset.check_examples(len(train))
    if dataset.examples is not None:
        train = train.choose(random_share(len(train), dataset.examples, dataset.split_seed, "examples"))
    if len(train) == 0 or len(test) == 0:
        raise DataError(f"{dataset.path} has no rows to {'train' if len(train) == 0 else 'test'} on")
    if dataset.is_users:
        for split in (split for split in stored if split not in used):
            tables.remarks.add(f"split {split} {'has no labels, it ' if split in unlabelled else ''}is not used")
    return {"train": train, "validation": validation, "test": test}


def _all_rows(dataset: TextDataset, tables: Tables, split: str) -> TextRows:
    table, described = tables.splits[split], f"split {split!r} of {dataset.path}"
    return TextRows(table, torch.arange(len(table)), described, tables.places.get(split))


def _divide(rows: TextRows, chosen: Tensor) -> tuple[TextRows, TextRows]:
    return rows.choose(chosen), rows.choose(~chosen)
