"""Images a second of batches decoded from a folder of JPEGs, against torchvision's own loader of the same folder."""

import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from measuring import Goal, Report, Row, Stopwatch, arguments, parse, take_turns
from own_caches import own_caches
from PIL import Image
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from ticketzoo.data.images.augment import Augmentation, Normalization, RandomResizedCrop
from ticketzoo.data.images.splits import ImageDataset
from ticketzoo.tasks import create_task
from ticketzoo.tasks.image_classification import ImageClassificationConfig

SIDE = 224
"""Pixels of a training image's side."""
BATCH_SIZE = 64
CLASSES = 10


def main() -> None:
    """Measure both with the same number of worker processes: random crops of ImageNet's size, mirrored, uint8."""
    parser = arguments(__doc__, rounds=5)
    parser.add_argument("--workers", nargs="+", type=int, default=[0, 1, 2], help="processes that decode; 0: this one")
    parser.add_argument("--images", type=int, default=640, help="JPEGs of 500 x 375 pixels in an epoch")
    options = parse(parser)
    rows, facts = [], {}
    with photographs(options.images) as (folder, size):
        for workers in options.workers:
            ways = {
                "ours": partial(ours, folder, options.images, workers),
                "torchvision": partial(torchvisions, folder, options.images, workers),
            }
            samples = take_turns(ways, options.rounds)
            times = {way: [1000 * seconds / options.images for seconds in samples[way]] for way in samples}
            case = f"{workers} worker{'s' * (workers != 1)}"
            rows.append(Row(case, "ms", times["ours"], "DataLoader", times["torchvision"], Goal(1.0, "ratio")))
            speeds = [1000 / statistics.median(times[way]) for way in ways]
            facts[f"images a second, {case}"] = f"{speeds[0]:.0f}; torchvision's loader {speeds[1]:.0f}"
    facts["images"] = f"{options.images:,} made JPEGs of 500 x 375 pixels, {size / 1000:.0f} kB in the mean"
    facts["batches"] = f"{BATCH_SIZE} random parts of images, resized to {SIDE} pixels, half of them mirrored"
    Report("An image decoded for a batch (less is better)", rows, facts).print(options.json)


def ours(folder: Path, images: int, workers: int) -> float:
    """Return the seconds of one epoch's batches of a task as a recipe makes it."""
    crops = Augmentation(flip=True, random_resized_crop=RandomResizedCrop())
    config = ImageClassificationConfig(
        type="image-classification",
        dataset=ImageDataset(path=str(folder), image_size=SIDE, validation=0, workers=workers),
        augment=crops,
        normalize=Normalization("imagenet"),
    )
    task = create_task(config)
    augment = config.augment.build()
    assert augment is not None
    steps = task.steps_per_epoch(BATCH_SIZE)
    with Stopwatch() as watch:
        batches = task.batches(batch_size=BATCH_SIZE, seed=0, start=0, stop=steps, device=torch.device("cpu"))
        seen = sum(len(augment(batch.images)) for batch in batches)
    assert seen == images, seen
    return watch.seconds


def torchvisions(folder: Path, images: int, workers: int) -> float:
    """Return the seconds of one epoch of torchvision's data set and torch's loader."""
    steps = [v2.RandomResizedCrop(SIDE), v2.RandomHorizontalFlip(), v2.PILToTensor()]
    data = ImageFolder(str(folder / "train"), v2.Compose(steps))
    with Stopwatch() as watch:
        loader = DataLoader(data, BATCH_SIZE, shuffle=True, num_workers=workers)
        seen = sum(len(labels) for _, labels in loader)
    assert seen == images, seen
    return watch.seconds


@contextmanager
def photographs(images: int) -> Iterator[tuple[Path, float]]:
    """A folder of made JPEGs, as detailed as photographs are, in ten classes, and the bytes of one in the mean.

    It is removed when the block ends, and with it what ticketzoo's caches have kept of it.
    """
    generator = np.random.default_rng(0)
    with TemporaryDirectory() as name:
        folder = Path(name) / "photographs"
        for split, count in (("train", images), ("test", CLASSES)):
            for number in range(count):
                file = folder / split / str(number % CLASSES) / f"{number:05}.jpg"
                file.parent.mkdir(parents=True, exist_ok=True)
                made(generator).save(file, "jpeg", quality=90)
        files = list((folder / "train").rglob("*.jpg"))
        with own_caches(name):
            yield folder, sum(file.stat().st_size for file in files) / len(files)


def made(generator: np.random.Generator) -> Image.Image:
    """Return an image of 500 x 375 pixels: noise of five sizes, the finer the fainter, as in photographs."""
    pixels = np.zeros((375, 500, 3))
    for side in (4, 16, 64, 128, 256):
        noise = generator.integers(256, size=(side, side, 3), dtype=np.uint8)
        pixels += np.asarray(Image.fromarray(noise).resize((500, 375), Image.Resampling.BICUBIC)) / side**0.5
    return Image.fromarray((pixels * 255 / pixels.max()).astype(np.uint8))


if __name__ == "__main__":
    main()
