"""Rows of a table by class, divided to train, validate and test on; all with the same classes."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ticketzoo.data.images.config import FoldConfig, ImageDataset
from ticketzoo.data.images.source import ImageTable
from ticketzoo.data.labels import whole_numbers
from ticketzoo.data.splits import balanced_subset, stratified_fold, stratified_share
from ticketzoo.errors import DataError
from ticketzoo.util.text import show_names

TEST_SHARE = 0.2
"""Fraction of the training split that becomes the test split of a data set that has none."""

_log = logging.getLogger("ticketzoo")


@dataclass
class Part:
    """Rows of a table that make a split, and their labels among the classes kept.

    Attributes:
        clean: of labels with noise, those without.
    """

    table: ImageTable
    rows: Tensor
    labels: Tensor
    clean: Tensor | None = None

    def choose(self, chosen: Tensor) -> "Part":
        """Return some of them, by indices or as bool [rows]."""
        clean = None if self.clean is None else self.clean[chosen]
        return Part(self.table, self.rows[chosen], self.labels[chosen], clean)


def places_of(described: str, class_names: Sequence[str], labels: Sequence[int]) -> list[int]:
    """Return the places of labels among the classes: by name where all names are whole numbers, else themselves.

    Raises:
        DataError: there is no such class.
    """
    numbers = whole_numbers(class_names) or list(range(len(class_names)))
    place = {number: index for index, number in enumerate(numbers)}
    if unknown := [label for label in labels if label not in place]:
        counted = sorted(numbers) == list(range(len(numbers)))
        there = f"0 to {len(numbers) - 1}" if counted else show_names(numbers)
        raise DataError(f"{described} has no class {unknown[0]}; its classes are {there}")
    return [place[label] for label in labels]


def of_classes(table: ImageTable, count: int, kept: list[int]) -> Part:
    """Return the rows of a table, of `count` classes, that belong to those kept, relabelled 0, 1, .. in their order."""
    outside = torch.where((table.labels < 0) | (table.labels >= count))[0]
    if len(outside):
        row = int(outside[0])
        raise DataError(
            f"{table.where(row)} has label {int(table.labels[row])}, outside 0 to {count - 1}: "
            "use another split if its labels are withheld, or fix the data"
        )
    new_label = torch.full((count,), -1)
    new_label[kept] = torch.arange(len(kept))
    labels = new_label[table.labels]
    rows = torch.where(labels >= 0)[0]
    return Part(table, rows, labels[rows])


def compare_classes(available: list[Part], class_names: list[str]) -> None:
    """Raise DataError if there are classes to test on that are not trained on; tell of the opposite."""
    if len(available) < 2 or not all(len(part.rows) for part in available):
        return
    train, test = available
    here, there = (set(part.labels.unique().tolist()) for part in available)
    if untrained := sorted(there - here):
        near = [label for label in here if class_names[label].casefold() == class_names[untrained[0]].casefold()]
        has = f"none, only of {_listed(class_names, near)}" if near else "none"
        raise DataError(
            f"{test.table.described} has images of class {_listed(class_names, untrained)}, of which "
            f"{train.table.described} has {has}: both need the same classes (of image folders: the same folder names)"
        )
    if untested := sorted(here - there):
        _log.warning(
            "%s has no images of class %s, which is trained on in %s",
            test.table.described,
            _listed(class_names, untested),
            train.table.described,
        )


def _listed(class_names: list[str], labels: list[int]) -> str:
    """Return the first few names, and how many more there are."""
    more = f" and {len(labels) - 3} more" if len(labels) > 3 else ""
    return ", ".join(repr(class_names[label]) for label in labels[:3]) + more


def divide(dataset: ImageDataset, class_names: Sequence[str], train: Part, test: Part | None = None) -> dict[str, Part]:
    """Return "train", "validation" and "test"; a test split is taken from train if there is none.

    Raises:
        DataError: there are too few images or classes.
    """
    found = len(train.labels.unique())
    if found < 2:
        classes = "" if dataset.classes is None else f" of classes {', '.join(map(str, dataset.classes))}"
        have = "no images" if found == 0 else "images of one class only"
        raise DataError(f"{train.table.described} has {have}{classes}: classification needs two classes or more")
    missing = [label for new, label in enumerate(dataset.classes or ()) if not (train.labels == new).any()]
    if missing:
        raise DataError(f"{train.table.described} has no images of class {missing[0]}: leave it out of classes")
    has = f"{train.table.described} has {len(train.rows):,} images of {found:,} classes"
    if test is None:
        if len(train.rows) < 2 * found:
            needed = "two of each class at least, one to train and one to test on"
            raise DataError(f"{has}, too few to draw a split to test on: it takes {needed}, or a split test")
        shared = stratified_share(train.labels, TEST_SHARE, dataset.split_seed)
        test, train = train.choose(shared), train.choose(~shared)
    if dataset.part is not None:
        train = _fold(train, dataset.part, class_names)
    if len(test.rows) == 0:
        raise DataError(f"nothing to test on: {test.table.described} has no images of the classes trained on")
    chosen = dataset.held_out(dataset.validation, len(train.rows))
    validation, train = train.choose(chosen), train.choose(~chosen)
    if len(train.rows) < found:
        drawn = f"{len(validation.rows):,} to validate on"
        drawn = f"{len(test.rows):,} to test and {drawn}" if test.table is train.table else drawn
        advice = "have more images of each class, or set task.dataset.validation to 0"
        raise DataError(f"{has}: with {drawn} drawn, too few are left to train on each class: {advice}")
    dataset.check_examples(len(train.rows))
    if dataset.examples is not None:
        train = train.choose(balanced_subset(train.labels, dataset.examples, dataset.split_seed))
    if dataset.label_noise is not None:
        noisy = dataset.label_noise.on(train.labels, len(class_names), dataset.split_seed)
        train = Part(train.table, train.rows, noisy, clean=train.labels)
    return {"train": train, "validation": validation, "test": test}


def _fold(train: Part, part: FoldConfig, class_names: Sequence[str]) -> Part:
    """Return a fold of the training split. Raises DataError where it has no image of a class."""
    sizes = train.labels.bincount()
    if few := [label for label, size in enumerate(sizes.tolist()) if 0 < size < part.of]:
        has = f"{int(sizes[few[0]])} images of class {class_names[few[0]]!r}"
        raise DataError(
            f"part: {train.table.described} has {has}, too few for {part.of} folds: lower task.dataset.part.of"
        )
    return train.choose(stratified_fold(train.labels, part.fold, part.of))
