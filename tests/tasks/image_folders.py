"""Small image data sets made on the spot, for the tests of image data."""

from pathlib import Path

import numpy as np
from PIL import Image


def grey(value, size=4):
    """A grey square image of one value."""
    return Image.new("L", (size, size), value)


def colour(red, green, blue, size=4):
    """A square image of one colour."""
    return Image.new("RGB", (size, size), (red, green, blue))


def write_folder(root: Path, splits: dict[str, dict[str, list]]) -> Path:
    """An ImageFolder: split -> class -> images, stored in the order of class, then list."""
    for split, classes in splits.items():
        for name, images in classes.items():
            folder = root / split / name
            folder.mkdir(parents=True)
            for number, image in enumerate(images):
                image.save(folder / f"{number:04d}.png")
    return root


def write_parquet(root: Path, splits: dict[str, dict], features=None) -> Path:
    """A folder of parquet files, as the Hub keeps data sets: split -> column -> values."""
    from datasets import Dataset

    root.mkdir(parents=True)
    for split, columns in splits.items():
        Dataset.from_dict(columns, features=features).to_parquet(root / f"{split}-00000-of-00001.parquet")
    return root


def numbered(count, start=0):
    """`count` grey images of values start, start + 1, ..: each can be told from the others by its pixels."""
    return [grey(start + value) for value in range(count)]


def first_pixels(images) -> list[int]:
    """The top left value of every image of a split, in order."""
    return images.pixels[:, 0, 0, 0].tolist()


def png(image) -> bytes:
    """The image as the bytes of a PNG file."""
    from io import BytesIO

    file = BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def sixteen_bit(value, size=4):
    """A grey square image with 16 bits a pixel."""
    return Image.fromarray(np.full((size, size), value, dtype=np.uint16))
