"""Small image data sets made on the spot, for the tests of image data."""

import tarfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def grey(value: Any, size: int = 4) -> Image.Image:
    """A grey square image of one value."""
    return Image.new("L", (size, size), value)


def colour(red: int, green: int, blue: int, size: int = 4) -> Image.Image:
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


def write_parquet(root: Path, splits: dict[str, dict], features: Any = None) -> Path:
    """A folder of parquet files, as the Hub keeps data sets: split -> column -> values."""
    from datasets import Dataset

    root.mkdir(parents=True)
    for split, columns in splits.items():
        Dataset.from_dict(columns, features=features).to_parquet(root / f"{split}-00000-of-00001.parquet")
    return root


def write_webdataset(root: Path, splits: dict[str, list[tuple[bytes, int]]]) -> Path:
    """A folder of WebDataset archives: split -> JPEG files and their labels."""
    root.mkdir(parents=True)
    for split, examples in splits.items():
        with tarfile.open(root / f"{split}-000000.tar", "w") as archive:
            for number, (image, label) in enumerate(examples):
                for name, content in ((f"{number:06d}.jpg", image), (f"{number:06d}.cls", str(label).encode())):
                    member = tarfile.TarInfo(name)
                    member.size = len(content)
                    archive.addfile(member, BytesIO(content))
    return root


def numbered(count: int, start: int = 0) -> list[Image.Image]:
    """`count` grey images of values start, start + 1, ..: each can be told from the others by its pixels."""
    return [grey(start + value) for value in range(count)]


def first_pixels(images: Any) -> list[int]:
    """The top left value of every image of a split, in order."""
    return images.pixels[:, 0, 0, 0].tolist()


def png(image: Any) -> bytes:
    """The image as the bytes of a PNG file."""
    return encoded(image, "PNG")


def encoded(image: Any, kind: str) -> bytes:
    """The image as the bytes of a file of this kind, e.g. "JPEG"."""
    file = BytesIO()
    image.save(file, kind)
    return file.getvalue()


def photograph(number: int, width: int, height: int) -> Image.Image:
    """A coloured image of its own, in which red rises by one from column to column and green from row to row."""
    columns = np.broadcast_to(np.arange(width), (height, width))
    rows = np.broadcast_to(np.arange(height)[:, None], (height, width))
    return Image.fromarray(np.stack([columns, rows, np.full_like(rows, number)], axis=-1).astype(np.uint8))


def sixteen_bit(value: Any, size: int = 4) -> Image.Image:
    """A grey square image with 16 bits a pixel."""
    return Image.fromarray(np.full((size, size), value, dtype=np.uint16))
