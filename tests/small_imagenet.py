"""The ImageNet recipes made small: photographs in folders as ImageNet's lie, and the settings that fit them."""

from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("n01440764", "n01443537", "n01484850", "n01491361")
SMALL = (  # of 33 pixels or more: on CPUs, bf16 gradients of a strided convolution of one pixel are undefined
    "task.dataset.image_size=48",
    "task.dataset.resize=54",
    "task.dataset.workers=1",
    "training.batch_size=8",
    "training.optimizer.lr=0.01",
    "finder.levels=1",
    "arms=[ticket, dense, random_mask]",
    "arm_levels=[1]",
    "seeds=[0]",
)
"""Overrides for every shipped ImageNet recipe; what is smaller still, a test adds."""


def write_photos(root: Path, *, classes: int = 4, train: int = 60, val: int = 15) -> Path:
    """JPEGs of 24 to 80 pixels a side, so many of each class and split, each class of its own brightness: 300."""
    generator = np.random.default_rng(0)
    for split, count in (("train", train), ("val", val)):
        for number, name in enumerate(CLASSES[:classes]):
            folder = root / split / name
            folder.mkdir(parents=True)
            for example in range(count):
                width, height = generator.integers(24, 80, 2)
                pixels = generator.integers(60 * number, 60 * number + 70, (height, width, 3), dtype=np.uint8)
                kind = {1: "L", 2: "CMYK"}.get(example, "RGB")  # ImageNet has all three
                Image.fromarray(pixels).convert(kind).save(folder / f"{example}.JPEG")
    return root
