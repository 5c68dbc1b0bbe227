"""Rows of a table by class, and the check that training and test images have the same classes."""

import logging
from dataclasses import dataclass

import torch
from torch import Tensor

from ticketzoo.data.images.source import ImageTable
from ticketzoo.errors import DataError

_log = logging.getLogger("ticketzoo")


@dataclass
class Part:
    """Rows of a table that make a split, and their labels among the classes kept."""

    table: ImageTable
    rows: Tensor
    labels: Tensor

    def choose(self, chosen: Tensor) -> "Part":
        """Return some of them, by indices or as bool [rows]."""
        return Part(self.table, self.rows[chosen], self.labels[chosen])


def of_classes(table: ImageTable, class_names: list[str], kept: list[int]) -> Part:
    """Return the rows of a table that belong to the classes kept, relabelled 0, 1, .. in the order of `kept`."""
    count = len(class_names)
    unknown = [label for label in kept if not 0 <= label < count]
    if unknown:
        raise DataError(f"{table.described} has no class {unknown[0]}; its classes are 0 to {count - 1}")
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
        raise DataError(
            f"{test.table.described} has images of class {_listed(class_names, untrained)}, of which "
            f"{train.table.described} has none: both need the same classes (of image folders: the same folder names)"
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
