"""The images that a recipe's `dataset:` section names, split and ready to be batched."""

import hashlib
from dataclasses import dataclass

import torch

from ticketzoo.data.images.batches import MEMORY_LIMIT, Images, MemoryImages, StreamedImages
from ticketzoo.data.images.batches import batches as batches
from ticketzoo.data.images.batches import in_turn as in_turn
from ticketzoo.data.images.cache import decode_all
from ticketzoo.data.images.classes import Part, compare_classes, of_classes
from ticketzoo.data.images.config import ImageDataset as ImageDataset
from ticketzoo.data.images.decode import Unreadable
from ticketzoo.data.images.folder import FolderSource
from ticketzoo.data.images.format import ImageFormat, channels_of
from ticketzoo.data.images.laid_out import remark_on_forms, remark_on_splits
from ticketzoo.data.images.source import open_source
from ticketzoo.data.remarks import Remarks
from ticketzoo.data.splits import balanced_subset, evenly_spread, stratified_share
from ticketzoo.errors import DataError

TEST_SHARE = 0.2
"""Fraction of the training split that becomes the test split of a data set that has none."""
_PROBED = 100
"""Training images looked at to find out size and channels."""
_SAMPLED = 1000
"""Images of each split that the fingerprint of streamed data looks at."""


@dataclass
class ImageSplits:
    """The data a task trains, validates and tests on.

    Attributes:
        in_shape: (C, H, W).
        fingerprint: sha256 over pixels, labels and order of the three splits, wherever they came from; of images
            that are not kept in memory, over all labels and an even sample of the stored images.
        laid_out: of a folder of the user's: its splits and classes, and what is odd about them, a sentence each.
        unreadable: the images met so far that cannot be read.
    """

    train: Images
    validation: Images
    test: Images
    num_classes: int
    in_shape: tuple[int, int, int]
    class_names: list[str]
    fingerprint: str
    laid_out: list[str]
    unreadable: Unreadable


def load_images(dataset: ImageDataset, *, crop_train: bool = False) -> ImageSplits:
    """Return the images `dataset` names.

    Args:
        dataset: the recipe's section.
        crop_train: the training images will be cropped at random from their own size, so they are not kept in
            memory.

    Raises:
        DataError: something is missing or does not fit.
    """
    where = dataset.mirror or dataset.path
    source = open_source(where, dataset.name, dataset.revision, dataset.image_column, dataset.label_column)
    if isinstance(source, FolderSource) and not {dataset.train_split, dataset.test_split or "train"} <= {
        *source.splits
    }:
        Remarks.of_layout(source.layout).log(where)
    used = dataset.splits_in_use(source.splits)
    tables, class_names = source.tables(used)
    kept = list(range(len(class_names)) if dataset.classes is None else dataset.classes)
    available = [of_classes(table, class_names, kept) for table in tables]
    names = [class_names[label] for label in kept]
    compare_classes(available, names)
    remarks = remark_on_splits(dataset, source, used, available, names) if dataset.is_users else None
    parts = _split(dataset, *available)
    unreadable = Unreadable(skip=dataset.on_error == "skip")
    image_format = _image_format(dataset, parts["train"], unreadable)
    if remarks:
        remark_on_forms(remarks, available, image_format)
        remarks.log(dataset.path)
    elif isinstance(source, FolderSource):
        Remarks.of_layout(source.layout).log(where)
    splits = _loaded(dataset, available, parts, image_format, unreadable, crop_train)
    in_memory = {name: images for name, images in splits.items() if isinstance(images, MemoryImages)}
    whole = len(in_memory) == len(splits)
    return ImageSplits(
        **splits,
        num_classes=len(kept),
        in_shape=image_format.shape,
        class_names=names,
        fingerprint=_fingerprint_of_pixels(in_memory) if whole else _fingerprint_of_sample(parts, image_format),
        laid_out=remarks.for_card() if remarks else [],
        unreadable=unreadable,
    )


def _split(dataset: ImageDataset, train: Part, test: Part | None = None) -> dict[str, Part]:
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
    chosen = dataset.held_out(dataset.validation, len(train.rows))
    validation, train = train.choose(chosen), train.choose(~chosen)
    dataset.check_examples(len(train.rows))
    if dataset.examples is not None:
        train = train.choose(balanced_subset(train.labels, dataset.examples, dataset.split_seed))
    return {"train": train, "validation": validation, "test": test}


def _image_format(dataset: ImageDataset, train: Part, unreadable: Unreadable) -> ImageFormat:
    """Return the shape the recipe asks for, or else that of a few training images."""
    sample = train.rows[evenly_spread(len(train.rows), _PROBED)]
    found = []
    for image in train.table.read(sample.tolist()):
        if isinstance(image, DataError):
            unreadable.meet([str(image)])
        else:
            found.append((image.size, channels_of(image)))
    if not found:
        raise DataError(f"{train.table.described}: none of {len(sample)} images looked at can be read")
    width, height = found[0][0] if dataset.image_size is None else (dataset.image_size, dataset.image_size)
    channels = dataset.channels or max(channels for _, channels in found)
    resize, to_grey = dataset.image_size is not None, dataset.channels is not None
    return ImageFormat(channels, height, width, resize, to_grey, dataset.resize)


def _loaded(
    dataset: ImageDataset,
    available: list[Part],
    parts: dict[str, Part],
    image_format: ImageFormat,
    unreadable: Unreadable,
    crop_train: bool,
) -> dict[str, Images]:
    """Return the splits, in memory as far as the recipe asks for it or there is room."""
    kept = {name: part for name, part in parts.items() if not (crop_train and name == "train")}
    size = image_format.bytes * sum(len(part.rows) for part in kept.values())
    if not (size <= MEMORY_LIMIT if dataset.in_memory is None else dataset.in_memory):
        kept = {}
    in_memory = _in_memory(available, kept, image_format, unreadable, dataset.workers)
    streamed = {
        name: StreamedImages(
            part.table, part.rows, part.labels, image_format, unreadable=unreadable, workers=dataset.workers
        )
        for name, part in parts.items()
        if name not in in_memory
    }
    return {**in_memory, **streamed}


def _in_memory(
    available: list[Part],
    parts: dict[str, Part],
    image_format: ImageFormat,
    unreadable: Unreadable,
    workers: int | None,
) -> dict[str, MemoryImages]:
    """Decode what is available, so that other seeds find it in the cache, or only what is used if that is too much."""
    size = image_format.bytes * sum(len(part.rows) for part in available)
    everything = "train" in parts and size <= MEMORY_LIMIT
    splits = {}
    for whole in available:
        here = {name: part for name, part in parts.items() if part.table is whole.table}
        if not here:
            continue
        rows = whole.rows if everything else torch.cat([part.rows for part in here.values()]).unique()
        pixels, rows = decode_all(whole.table, rows, image_format, unreadable=unreadable, workers=workers)
        for name, part in here.items():
            readable = part.choose(torch.isin(part.rows, rows))
            splits[name] = MemoryImages(pixels[torch.searchsorted(rows, readable.rows)], readable.labels)
    return splits


def _fingerprint_of_pixels(splits: dict[str, MemoryImages]) -> str:
    digest = hashlib.sha256()
    for name in ("train", "validation", "test"):
        images = splits[name]
        digest.update(f"{name} {tuple(images.pixels.shape)}".encode())
        digest.update(images.pixels.numpy().data)
        digest.update(images.labels.numpy().data)
    return digest.hexdigest()


def _fingerprint_of_sample(parts: dict[str, Part], image_format: ImageFormat) -> str:
    digest = hashlib.sha256()
    for name in ("train", "validation", "test"):
        part = parts[name]
        resized = "" if image_format.shorter is None else f" {image_format.shorter}"
        digest.update(f"{name} {len(part.rows)} {image_format.shape}{resized}".encode())
        digest.update(part.labels.numpy().data)
        sample = part.rows[evenly_spread(len(part.rows), _SAMPLED)]
        for stored in part.table.encoded(sample.tolist()):
            digest.update(hashlib.sha256(b"" if isinstance(stored, DataError) else stored).digest())
    return digest.hexdigest()
