"""The `dataset:` section of an image-classification recipe, and the images it names, split and ready to be batched."""

import hashlib
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field, field_validator
from torch import Tensor

from ticketzoo.errors import DataError
from ticketzoo.recipe import Config
from ticketzoo.tasks.image_batches import MEMORY_LIMIT, Images, MemoryImages, StreamedImages
from ticketzoo.tasks.image_batches import batches as batches
from ticketzoo.tasks.image_batches import in_turn as in_turn
from ticketzoo.tasks.image_decode import ImageFormat, channels_of
from ticketzoo.tasks.image_memory import decode_all
from ticketzoo.tasks.image_source import ImageTable, open_source
from ticketzoo.tasks.image_splits import balanced_subset, evenly_spread, random_share, stratified_share

TEST_SHARE = 0.2
"""Fraction of the training split that becomes the test split of a data set that has none."""
_PROBED = 100
"""Training images looked at to find out size and channels."""
_SAMPLED = 1000
"""Images of each split that the fingerprint of streamed data looks at."""


class ImageDataset(Config):
    """The `dataset:` section of a recipe: which images, and how they are split.

    path: "digits" (scikit-learn's, embedded), a Hub id, or a folder that `datasets.load_dataset` reads.
    mirror: a folder that holds a copy of `path` and is read in its place; left out of what is written down of a run.
    name, revision: the Hub data set's configuration and commit.
    image_column, label_column: found from the features when there is just one of each.
    train_split: the split to train on. test_split: default "test", else "validation", else a stratified fifth of train.
    validation: examples (int) or fraction (float) held out of the training split; 0: none.
    classes: keep these labels only, relabelled 0, 1, .. in the order given.
    examples: a class-balanced subset of so many training examples, taken after the validation split.
    split_seed: draws validation and examples, and the test split where there is none.
    image_size: resize every image to a square of so many pixels (bilinear); needed when sizes differ.
    channels: 1 or 3; default what the images have.
    in_memory: decode everything once and keep it, or in each batch anew; default: keep up to 2 GB of pixels.
    """

    path: Annotated[str, Field(min_length=1)]
    mirror: Annotated[str | None, Field(exclude=True)] = None
    name: str | None = None
    revision: str | None = None
    image_column: str | None = None
    label_column: str | None = None
    train_split: str = "train"
    test_split: str | None = None
    validation: int | float = 0.1
    classes: tuple[int, ...] | None = None
    examples: Annotated[int, Field(ge=1)] | None = None
    split_seed: int = 0
    image_size: Annotated[int, Field(ge=1)] | None = None
    channels: Literal[1, 3] | None = None
    in_memory: bool | None = None

    @field_validator("validation")
    @classmethod
    def _count_or_fraction(cls, validation: int | float) -> int | float:
        if not (0 <= validation < 1 or (isinstance(validation, int) and validation > 0)):
            raise ValueError("a number of examples such as 5000, or a fraction from 0 to below 1")
        return validation

    @field_validator("classes")
    @classmethod
    def _each_class_once(cls, classes: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if classes is not None and len(set(classes)) < len(classes):
            raise ValueError("name each class once")
        return classes


@dataclass
class ImageSplits:
    """The data a task trains, validates and tests on. in_shape: (C, H, W).

    fingerprint: sha256 over pixels, labels and order of the three splits, wherever they came from; of images that
    are not kept in memory, over all labels and an even sample of the stored images.
    """

    train: Images
    validation: Images
    test: Images
    num_classes: int
    in_shape: tuple[int, int, int]
    class_names: list[str]
    fingerprint: str


@dataclass
class _Part:
    """Rows of a table that make a split, and their labels among the classes kept."""

    table: ImageTable
    rows: Tensor
    labels: Tensor

    def choose(self, chosen: Tensor) -> "_Part":
        return _Part(self.table, self.rows[chosen], self.labels[chosen])


def load_images(dataset: ImageDataset) -> ImageSplits:
    """The images `dataset` names. Raises DataError, one line, for whatever is missing or does not fit."""
    where = dataset.mirror or dataset.path
    source = open_source(where, dataset.name, dataset.revision, dataset.image_column, dataset.label_column)
    tables, class_names = source.tables(_splits_in_use(dataset, source.splits))
    kept = list(range(len(class_names)) if dataset.classes is None else dataset.classes)
    available = [_of_classes(table, class_names, kept) for table in tables]
    parts = _split(dataset, *available)
    image_format = _image_format(dataset, parts["train"])
    size = image_format.bytes * sum(len(part.rows) for part in parts.values())
    if size <= MEMORY_LIMIT if dataset.in_memory is None else dataset.in_memory:
        in_memory = _in_memory(available, parts, image_format)
        splits: dict[str, Images] = {**in_memory}
        fingerprint = _fingerprint_of_pixels(in_memory)
    else:
        splits = {
            name: StreamedImages(part.table, part.rows, part.labels, image_format) for name, part in parts.items()
        }
        fingerprint = _fingerprint_of_sample(parts, image_format)
    return ImageSplits(
        **splits,
        num_classes=len(kept),
        in_shape=image_format.shape,
        class_names=[class_names[label] for label in kept],
        fingerprint=fingerprint,
    )


def _splits_in_use(dataset: ImageDataset, splits: list[str]) -> list[str]:
    """The training split, and the test split if there is one."""
    asked = [dataset.train_split] if dataset.test_split is None else [dataset.train_split, dataset.test_split]
    for split in asked:
        if split not in splits:
            raise DataError(f"{dataset.path} has no split {split!r}; its splits: {', '.join(splits)}")
    if dataset.test_split is None:
        found = [split for split in ("test", "validation") if split in splits and split != dataset.train_split]
        return asked + found[:1]
    if dataset.test_split == dataset.train_split:
        raise DataError(
            f"test_split and train_split of {dataset.path} are both {dataset.test_split!r}: name two splits"
        )
    return asked


def _of_classes(table: ImageTable, class_names: list[str], kept: list[int]) -> _Part:
    """The rows of a table that belong to the classes kept, relabelled 0, 1, .. in the order of `kept`."""
    count = len(class_names)
    unknown = [label for label in kept if not 0 <= label < count]
    if unknown:
        raise DataError(f"{table.described} has no class {unknown[0]}; its classes are 0 to {count - 1}")
    outside = torch.where((table.labels < 0) | (table.labels >= count))[0]
    if len(outside):
        row = int(outside[0])
        raise DataError(
            f"{table.where(row)} has label {int(table.labels[row])}, outside 0 to {count - 1}: "
            "use another split if its labels are withheld, or mend the data"
        )
    new_label = torch.full((count,), -1)
    new_label[kept] = torch.arange(len(kept))
    labels = new_label[table.labels]
    rows = torch.where(labels >= 0)[0]
    return _Part(table, rows, labels[rows])


def _split(dataset: ImageDataset, train: _Part, test: _Part | None = None) -> dict[str, _Part]:
    """Train, validation and test; a test split is taken from train if there is none."""
    found = len(train.labels.unique())
    if found < 2:
        classes = "" if dataset.classes is None else f" of classes {', '.join(map(str, dataset.classes))}"
        have = "no images" if found == 0 else "images of one class only"
        raise DataError(f"{train.table.described} has {have}{classes}: classification needs two classes or more")
    missing = [label for new, label in enumerate(dataset.classes or ()) if not (train.labels == new).any()]
    if missing:
        raise DataError(f"{train.table.described} has no images of class {missing[0]}: leave it out of classes")
    if test is None:
        shared = stratified_share(train.labels, TEST_SHARE, dataset.split_seed)
        test, train = train.choose(shared), train.choose(~shared)
    if len(test.rows) == 0:
        raise DataError(f"nothing to test on: {test.table.described} has no images of the classes trained on")
    count = len(train.rows)
    wanted = dataset.validation
    held_out = wanted if isinstance(wanted, int) else max(1, round(wanted * count)) if wanted else 0
    if held_out >= count:
        raise DataError(f"validation: {wanted} takes all {count} training examples of {dataset.path}: lower it")
    chosen = random_share(count, held_out, dataset.split_seed)
    validation, train = train.choose(chosen), train.choose(~chosen)
    if dataset.examples is not None:
        if dataset.examples > len(train.rows):
            available = f"{dataset.path} has {len(train.rows)} training examples after validation"
            raise DataError(f"examples: {dataset.examples} is too many, {available}: lower it")
        train = train.choose(balanced_subset(train.labels, dataset.examples, dataset.split_seed))
    return {"train": train, "validation": validation, "test": test}


def _image_format(dataset: ImageDataset, train: _Part) -> ImageFormat:
    """The shape the recipe asks for, or else that of a few training images."""
    sample = train.rows[evenly_spread(len(train.rows), _PROBED)]
    found = [(image.size, channels_of(image)) for image in train.table.read(sample.tolist())]
    width, height = found[0][0] if dataset.image_size is None else (dataset.image_size, dataset.image_size)
    channels = dataset.channels or max(channels for _, channels in found)
    return ImageFormat(channels, height, width, dataset.image_size is not None, dataset.channels is not None)


def _in_memory(available: list[_Part], parts: dict[str, _Part], image_format: ImageFormat) -> dict[str, MemoryImages]:
    """Decode what is available, so that other seeds find it in the cache, or only what is used if that is too much."""
    everything = image_format.bytes * sum(len(part.rows) for part in available) <= MEMORY_LIMIT
    splits = {}
    for whole in available:
        here = {name: part for name, part in parts.items() if part.table is whole.table}
        rows = whole.rows if everything else torch.cat([part.rows for part in here.values()]).unique()
        pixels = decode_all(whole.table, rows, image_format)
        for name, part in here.items():
            splits[name] = MemoryImages(pixels[torch.searchsorted(rows, part.rows)], part.labels)
    return splits


def _fingerprint_of_pixels(splits: dict[str, MemoryImages]) -> str:
    digest = hashlib.sha256()
    for name in ("train", "validation", "test"):
        images = splits[name]
        digest.update(f"{name} {tuple(images.pixels.shape)}".encode())
        digest.update(images.pixels.numpy().data)
        digest.update(images.labels.numpy().data)
    return digest.hexdigest()


def _fingerprint_of_sample(parts: dict[str, _Part], image_format: ImageFormat) -> str:
    digest = hashlib.sha256()
    for name in ("train", "validation", "test"):
        part = parts[name]
        digest.update(f"{name} {len(part.rows)} {image_format.shape}".encode())
        digest.update(part.labels.numpy().data)
        sample = part.rows[evenly_spread(len(part.rows), _SAMPLED)]
        for stored in part.table.encoded(sample.tolist()):
            digest.update(hashlib.sha256(stored).digest())
    return digest.hexdigest()
