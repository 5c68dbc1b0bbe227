"""Images that a network is measured on alone: data with a split to test on and none to train on."""

from collections.abc import Sequence

import torch

from ticketzoo.data.images.classes import Part
from ticketzoo.data.images.config import ImageDataset
from ticketzoo.data.images.source import ImageSource, open_source
from ticketzoo.errors import DataError
from ticketzoo.util.text import show_names


def has_no_training(dataset: ImageDataset) -> bool:
    """Tell whether a folder of the user's has a split to test on and none to train on."""
    if not dataset.is_users:
        return False
    columns = dataset.image_column, dataset.label_column
    return nothing_to_train_on(dataset, open_source(dataset.path, dataset.name, dataset.revision, *columns))


def nothing_to_train_on(dataset: ImageDataset, source: ImageSource) -> bool:
    """Tell whether `source` has a split to test on and none to train on."""
    wanted = ("test", "validation") if dataset.test_split is None else (dataset.test_split,)
    return dataset.train_split not in source.splits and any(split in source.splits for split in wanted)


def measured_alone(dataset: ImageDataset, source: ImageSource, known: Sequence[str]) -> dict[str, Part]:
    """Return the split to test on as `divide` gives it, labelled as the classes `known` are; all others are empty.

    That to train on is the same, for those who look at it for the form of the images.

    Raises:
        DataError: it has a class that is not known.
    """
    split = dataset.test_split or next(split for split in ("test", "validation") if split in source.splits)
    (table,), names = source.tables([split])
    if unknown := [name for name in names if name not in known]:
        knows = f"the network knows {show_names(list(known), 5)}"
        raise DataError(f"{table.described} has a class {unknown[0]!r}, and {knows}: name its folders as these")
    labels = torch.tensor([known.index(name) for name in names])[table.labels]
    part = Part(table, torch.arange(len(labels)), labels)
    return {"train": part, "validation": part.choose(torch.zeros(len(labels), dtype=torch.bool)), "test": part}
