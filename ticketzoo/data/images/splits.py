"""The images that a recipe's `dataset:` section names, split and ready to be batched."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from ticketzoo.data.images.batches import MEMORY_LIMIT, Images, MemoryImages, StreamedImages
from ticketzoo.data.images.batches import batches as batches
from ticketzoo.data.images.batches import in_turn as in_turn
from ticketzoo.data.images.blur import blurred
from ticketzoo.data.images.cache import decode_all
from ticketzoo.data.images.classes import Part, compare_classes, divide, of_classes, places_of
from ticketzoo.data.images.config import ImageDataset as ImageDataset
from ticketzoo.data.images.decode import Unreadable
from ticketzoo.data.images.format import ImageFormat, channels_of
from ticketzoo.data.images.laid_out import remark_on_forms, remark_on_names, remark_on_parts, remark_on_splits
from ticketzoo.data.images.mapped import on_disk
from ticketzoo.data.images.measured import measured_alone, nothing_to_train_on
from ticketzoo.data.images.repeats import Repeats
from ticketzoo.data.images.source import open_source
from ticketzoo.data.splits import evenly_spread
from ticketzoo.data.stored_folder import of_hub
from ticketzoo.errors import DataError

_PROBED = 100
"""Training images looked at to find out size and channels."""
_SAMPLED = 1000
"""Images of each split that the fingerprint of streamed data looks at."""
_OF_SAMPLE = f"all labels and an even sample of {_SAMPLED:,} images of each split"


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
        DataError: something is missing or does not fit, or an image that is tested on is trained on, too.
    """
    with torch.device("cpu"):  # whatever the caller's default device
        return _load(dataset, crop_train=crop_train)


def _load(dataset: ImageDataset, *, crop_train: bool) -> ImageSplits:
    where = dataset.mirror or dataset.path
    skip = dataset.on_error == "skip"
    columns = dataset.image_column, dataset.label_column
    known = dataset.classes is not None
    source = open_source(where, dataset.name, dataset.revision, *columns, may_miss=skip, has_classes=known)
    remarks = source.remarks
    if remarks.odd:
        remarks.log(where)
    if dataset.known is not None and nothing_to_train_on(dataset, source):
        return _of_measured(dataset, measured_alone(dataset, source, dataset.known), dataset.known)
    used = dataset.splits_in_use(source.splits)
    tables, class_names = source.tables(used)
    every = list(range(len(class_names)))
    kept = every if dataset.classes is None else places_of(tables[0].described, class_names, dataset.classes)
    available = [of_classes(table, len(every), kept) for table in tables]
    names = [class_names[label] for label in kept]
    compare_classes(available, names)
    repeats = None
    if dataset.is_users:
        remark_on_splits(remarks, dataset, source, used, available, names)
    if names != [str(number) for number in range(len(names))]:
        remark_on_names(remarks, dataset, names)
    if dataset.is_users:
        repeats = Repeats.find(used, available, remarks)
        repeats.check(dataset.path, remarks, refuse=not of_hub(Path(dataset.path).expanduser()))
    parts = divide(dataset, names, *available)
    if repeats:
        remarks.log(dataset.path)
    unreadable = Unreadable(skip=skip)
    image_format = _image_format(dataset, parts["train"], unreadable)
    splits = _loaded(dataset, available, parts, image_format, unreadable, crop_train)
    in_memory = {name: images for name, images in splits.items() if isinstance(images, MemoryImages)}
    whole = len(in_memory) == len(splits)
    if not whole:
        remarks.facts.append(f"images are not kept in memory: the fingerprint is of {_OF_SAMPLE}")
    if repeats:
        sizes = {name: len(images) for name, images in splits.items()}
        remark_on_parts(remarks, used, available, parts, sizes, names)
        repeats.remark_on_drawn(parts, remarks)
        remark_on_forms(remarks, available, image_format)
    if remarks.facts or remarks.odd:
        remarks.log(dataset.path)
    return ImageSplits(
        **splits,
        num_classes=len(kept),
        in_shape=image_format.shape,
        class_names=names,
        fingerprint=_fingerprint_of_pixels(in_memory) if whole else _fingerprint_of_sample(parts, image_format),
        laid_out=remarks.for_card() if dataset.is_users else [],
        unreadable=unreadable,
    )


def _of_measured(dataset: ImageDataset, parts: dict[str, Part], names: Sequence[str]) -> ImageSplits:
    unreadable = Unreadable(skip=dataset.on_error == "skip")
    image_format = _image_format(dataset, parts["test"], unreadable)
    splits = _loaded(dataset, [parts["test"]], parts, image_format, unreadable, crop_train=False)
    return ImageSplits(
        **splits,
        num_classes=len(names),
        in_shape=image_format.shape,
        class_names=list(names),
        fingerprint=_fingerprint_of_sample(parts, image_format),
        laid_out=[],
        unreadable=unreadable,
    )


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
    """Return the splits, in memory as far as the recipe asks for it or there is room, else on disk or in batches."""
    whole = {name: part for name, part in parts.items() if not (crop_train and name == "train")}
    size = image_format.bytes * sum(len(part.rows) for part in whole.values())
    kept = whole if (size <= MEMORY_LIMIT if dataset.in_memory is None else dataset.in_memory) else {}
    in_memory = _in_memory(available, kept, image_format, unreadable, dataset.workers)
    if dataset.blur is not None:
        if len(in_memory) < len(parts):
            raise DataError(f"{dataset.path}: blur is for images in memory: leave it out, or set in_memory: true")
        in_memory = {
            name: MemoryImages(blurred(images.pixels, dataset.blur), images.labels, images.clean)
            for name, images in in_memory.items()
        }
    larger = {name: part for name, part in whole.items() if name not in in_memory and dataset.in_memory is None}
    mapped = on_disk(larger, image_format, unreadable, dataset.workers) if larger else {}
    streamed = {
        name: StreamedImages(
            part.table, part.rows, part.labels, image_format, unreadable=unreadable, workers=dataset.workers
        )
        for name, part in parts.items()
        if name not in in_memory and name not in mapped
    }
    for name, images in (mapped | streamed).items():
        images.clean = parts[name].clean
    return {**in_memory, **mapped, **streamed}


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
            splits[name] = MemoryImages(
                pixels[torch.searchsorted(rows, readable.rows)], readable.labels, readable.clean
            )
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
