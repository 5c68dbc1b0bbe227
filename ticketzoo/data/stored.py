"""Data sets as `datasets.load_dataset` reads them, and what their sections of a recipe have in common."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, Field
from torch import Tensor

from ticketzoo.data.missing import check_there, near
from ticketzoo.data.splits import random_share
from ticketzoo.data.stored_folder import load_folder
from ticketzoo.errors import DataError
from ticketzoo.recipe import Config
from ticketzoo.recipe.local import last_part
from ticketzoo.util.text import one_line

if TYPE_CHECKING:
    from datasets import DatasetDict


def _count_or_fraction(share: int | float) -> int | float:
    if not (0 <= share < 1 or (isinstance(share, int) and share > 0)):
        raise ValueError("a number of examples such as 5000, or a fraction from 0 to below 1")
    return share


_AS_WRITTEN: dict[str, Any] = {"keep_default_na": False, "na_values": [""]}
"""Options of `datasets` for CSV: an empty cell alone is a missing value."""
Share = Annotated[int | float, AfterValidator(_count_or_fraction)]
"""A part of the training split: a number of examples (int) or a fraction (float); 0: none."""


class StoredDataset(Config):
    """The keys that every `dataset:` section has.

    Attributes:
        path: Hub id of the data set, or a folder that `datasets.load_dataset` reads.
        mirror: folder that holds a copy of `path` and is read in its place; not written down with a run. By default
            `path` itself is read.
        name: name of the Hub data set's configuration; needed where it has several.
        revision: commit of the Hub data set; by default its newest.
        train_split: name of the split to train on.
        test_split: name of the split to test on.
        examples: number of training examples to use, drawn after the validation split is held out; by default all.
        split_seed: seed of all that is drawn from the training split: validation, test and subset.
    """

    path: Annotated[str, Field(min_length=1)]
    mirror: Annotated[str | None, Field(exclude=True)] = None
    name: str | None = None
    revision: str | None = None
    train_split: str = "train"
    test_split: str | None = None
    examples: Annotated[int, Field(ge=1)] | None = None
    split_seed: int = 0

    @property
    def id(self) -> str:
        """The name by which a ticket calls the data set: its Hub id, or a folder's name."""
        return last_part(self.path) if Path(self.path).expanduser().is_dir() else self.path

    @property
    def is_users(self) -> bool:
        """True for a folder of the user's own, no copy of a Hub data set."""
        return self.mirror is None and Path(self.path).expanduser().is_dir()

    def splits_in_use(self, splits: Sequence[str], candidates: Sequence[str] = ("test", "validation")) -> list[str]:
        """Return the training split, and the test split if there is one: that asked for, or the first of `candidates`.

        Raises:
            DataError: a split asked for that is not among `splits`.
        """
        asked = [self.train_split] if self.test_split is None else [self.train_split, self.test_split]
        for split in asked:
            if split not in splits:
                key = "train_split" if split == self.train_split else "test_split"
                has = f"its splits: {', '.join(splits)}"
                raise DataError(f"{self.path} has no split {split!r}; {has}: set task.dataset.{key} to one of them")
        if self.test_split is None:
            found = [split for split in candidates if split in splits and split != self.train_split]
            return asked + found[:1]
        if self.test_split == self.train_split:
            raise DataError(f"test_split and train_split of {self.path} are both {self.test_split!r}: name two splits")
        return asked

    def held_out(self, share: int | float, count: int, what: str = "validation") -> Tensor:
        """Return bool [count]: the training examples that `share` holds out for `what`, drawn from the split seed.

        Raises:
            DataError: none is left to train on.
        """
        chosen = share if isinstance(share, int) else max(1, round(share * count)) if share else 0
        if chosen >= count:
            raise DataError(f"{what}: {share} takes all {count} training examples of {self.path}: lower it")
        return random_share(count, chosen, self.split_seed, what)

    def check_examples(self, count: int) -> None:
        """Raise DataError when `examples` asks for more than the `count` that are left to train on."""
        if self.examples is not None and self.examples > count:
            available = f"{self.path} has {count} training examples after validation"
            raise DataError(f"examples: {self.examples} is too many, {available}: lower it")


def load_stored(path: str, name: str | None, revision: str | None) -> "DatasetDict":
    """Return the splits of a Hub data set or of a local folder.

    Raises:
        DataError: they cannot be read.
    """
    check_there(path, revision)
    folder = Path(path).expanduser()
    try:
        with _no_bars_without_a_terminal():
            return load_folder(folder, name) if folder.is_dir() else load_published(path, name, revision)
    except DataError:
        raise
    except Exception as error:  # datasets, huggingface_hub, pyarrow and fsspec raise dozens of unrelated types here
        absent = f"data set {path}: no such folder here{near(folder)}, and on the Hub"
        tried = f"the folder {path}" if folder.is_dir() else absent
        why = "one of its files has no rows" if isinstance(error, StopIteration) else one_line(_cause(error))
        other = (
            f" (its name, {name!r}, is as in the recipe: unset it for a folder without)"
            if folder.is_dir() and name
            else ""
        )
        raise DataError(f"could not load {tried}: {why}{other}") from error


def load_published(path: str, name: str | None, revision: str | None) -> "DatasetDict":
    """Return the splits of a data set as `datasets.load_dataset` does, but no word of its CSV as a missing value."""
    from datasets import load_dataset, load_dataset_builder
    from datasets.packaged_modules.csv.csv import CsvConfig

    try:
        builder = load_dataset_builder(path, name, revision=revision)
    except ValueError:  # offline, what is cached of CSV is found by its options alone; else it is raised again
        return load_dataset(path, name, revision=revision, **_AS_WRITTEN)
    if isinstance(builder.config, CsvConfig):
        return load_dataset(path, name, revision=revision, **_AS_WRITTEN)
    builder.download_and_prepare()
    return builder.as_dataset()


def _cause(error: Exception) -> Exception:
    """Return the error that made `datasets` say that an error occurred."""
    from datasets.exceptions import DatasetGenerationError

    while isinstance(error, DatasetGenerationError) and isinstance(error.__cause__, Exception):
        error = error.__cause__
    return error


@contextmanager
def _no_bars_without_a_terminal() -> Iterator[None]:
    """Keep progress bars of `datasets` out of logs, and leave the process's setting as it was."""
    from datasets.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    if sys.stderr.isatty() or are_progress_bars_disabled():
        yield
        return
    disable_progress_bars()
    try:
        yield
    finally:
        enable_progress_bars()
