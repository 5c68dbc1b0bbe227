"""The `dataset:` section of an image-classification recipe, and the images it names, split and ready to be batched."""

import hashlib
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from ticketzoo.errors import DataError
from ticketzoo.recipe import Config
from ticketzoo.tasks.image_batches import ImageFormat, Images, MemoryImages, channels_of, decode
from ticketzoo.tasks.image_batches import batches as batches
from ticketzoo.tasks.image_batches import in_turn as in_turn
from ticketzoo.tasks.image_source import ImageSource, ImageTable, open_source
from ticketzoo.tasks.image_splits import balanced_subset, random_share, stratified_share

MEMORY_LIMIT = 2 * 10**9
"""Bytes of decoded images that are kept in memory unless the recipe says otherwise."""
TEST_SHARE = 0.2
"""Fraction of the training split that becomes the test split of a data set without one."""
_PROBED = 100


class ImageDataset(Config):
    """The `dataset:` section of a recipe: which images, and how they are split.

    path: "digits" (scikit-learn's, embedded), a Hub id, or a folder that `datasets.load_dataset` reads.
    name, revision: the Hub data set's configuration and commit.
    image_column, label_column: found from the features when there is just one of each.
    train_split: the split to train on. test_split: default "test", else "validation", else a stratified fifth of train.
    validation: examples (int) or fraction (float) held out of the training split.
    classes: keep these labels only, relabelled 0, 1, .. in the order given.
    examples: a class-balanced subset of so many training examples, taken after the validation split.
    split_seed: draws validation and examples (and test where train is shared).
    image_size: resize every image to a square of so many pixels; needed when sizes differ.
    channels: 1 or 3; default what the images have.
    in_memory: decode everything once and keep it; default: up to 2 GB of pixels.
    """

    path: str
    name: str | None = None
    revision: str | None = None
    image_column: str | None = None
    label_column: str | None = None
    train_split: str = "train"
    test_split: str | None = None
    validation: Annotated[int, Field(ge=1)] | Annotated[float, Field(gt=0, lt=1)] = 0.1
    classes: tuple[int, ...] | None = None
    examples: int | None = Field(None, ge=1)
    split_seed: int = 0
    image_size: int | None = Field(None, ge=1)
    channels: Literal[1, 3] | None = None
    in_memory: bool | None = None


@dataclass
class ImageSplits:
    """The data a task trains, validates and tests on.

    fingerprint: sha256 over the decoded pixels and labels of the three splits in order, wherever they came from.
    """

    train: Images
    validation: Images
    test: Images
    num_classes: int
    in_shape: tuple[int, int, int]
    class_names: list[str]
    fingerprint: str


def load_images(dataset: ImageDataset) -> ImageSplits:
    """The images `dataset` names. Raises DataError, one line, for whatever is missing or does not fit."""
    source = open_source(dataset.path, dataset.name, dataset.revision, dataset.image_column, dataset.label_column)
    train_table = source.splits[dataset.train_split]
    test_table = _test_table(dataset, source)
    kept = list(dataset.classes or range(len(source.class_names)))
    new_label = torch.full((len(source.class_names),), -1)
    new_label[kept] = torch.arange(len(kept))
    rows = _rows(dataset, new_label[train_table.labels], None if test_table is None else new_label[test_table.labels])
    image_format = _image_format(dataset, train_table, rows["train"])
    splits = {}
    for split, chosen in rows.items():
        table = test_table if split == "test" and test_table is not None else train_table
        splits[split] = MemoryImages(decode(table, chosen.tolist(), image_format), new_label[table.labels[chosen]])
    in_shape = (image_format.channels, image_format.height, image_format.width)
    names = [source.class_names[label] for label in kept]
    return ImageSplits(
        **splits, num_classes=len(names), in_shape=in_shape, class_names=names, fingerprint=_fingerprint(splits)
    )


def _test_table(dataset: ImageDataset, source: ImageSource) -> ImageTable | None:
    if dataset.test_split is not None:
        return source.splits[dataset.test_split]
    return next((source.splits[name] for name in ("test", "validation") if name in source.splits), None)


def _rows(dataset: ImageDataset, train: Tensor, test: Tensor | None) -> dict[str, Tensor]:
    rows = torch.where(train >= 0)[0]
    if test is None:
        shared = stratified_share(train[rows], TEST_SHARE, dataset.split_seed)
        test_rows, rows = rows[shared], rows[~shared]
    else:
        test_rows = torch.where(test >= 0)[0]
    held_out = dataset.validation if isinstance(dataset.validation, int) else round(dataset.validation * len(rows))
    if held_out >= len(rows):
        raise DataError(f"validation takes {held_out} of the {len(rows)} training examples: lower it")
    chosen = random_share(len(rows), held_out, dataset.split_seed)
    validation, rows = rows[chosen], rows[~chosen]
    if dataset.examples is not None:
        if dataset.examples > len(rows):
            raise DataError(f"examples is {dataset.examples}, there are {len(rows)} training examples: lower it")
        rows = rows[balanced_subset(train[rows], dataset.examples, dataset.split_seed)]
    return {"train": rows, "validation": validation, "test": test_rows}


def _image_format(dataset: ImageDataset, table: ImageTable, rows: Tensor) -> ImageFormat:
    sample = rows[torch.linspace(0, len(rows) - 1, min(len(rows), _PROBED)).long()].tolist()
    images = list(table.read(sample))
    width, height = (dataset.image_size,) * 2 if dataset.image_size else images[0].size
    channels = dataset.channels or max(map(channels_of, images))
    return ImageFormat(channels, height, width, dataset.image_size is not None, dataset.channels is not None)


def _fingerprint(splits: dict[str, MemoryImages]) -> str:
    digest = hashlib.sha256()
    for images in splits.values():
        digest.update(str(tuple(images.pixels.shape)).encode())
        digest.update(images.pixels.numpy().data)
        digest.update(images.labels.numpy().data)
    return digest.hexdigest()
