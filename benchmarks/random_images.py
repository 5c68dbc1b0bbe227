"""A data set of random images on disk, so that what reads real ones can be measured without any at hand."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from own_caches import own_caches


@contextmanager
def random_images(shape: tuple[int, int, int], train: int, test: int, classes: int = 10) -> Iterator[str]:
    """A folder that `datasets.load_dataset` reads: PNG images of `shape` (C, H, W) in parquet files.

    It is removed when the block ends, and with it what Hugging Face's and ticketzoo's caches have kept of it.
    """
    with TemporaryDirectory() as folder:
        data = Path(folder) / "random-images"
        data.mkdir()
        generator = np.random.default_rng(0)
        for split, count in (("train", train), ("test", test)):
            _write(data / f"{split}-00000-of-00001.parquet", generator, shape, count, classes)
        with own_caches(folder):
            yield str(data)


def _write(path: Path, generator: np.random.Generator, shape: tuple[int, int, int], count: int, classes: int) -> None:
    import pyarrow
    import pyarrow.parquet
    from PIL import Image

    channels, height, width = shape
    images = []
    for pixels in generator.integers(256, size=(count, height, width, channels), dtype=np.uint8):
        file = BytesIO()
        Image.fromarray(pixels.squeeze()).save(file, "png", compress_level=1)
        images.append({"bytes": file.getvalue(), "path": None})
    labels = generator.integers(classes, size=count)
    table = pyarrow.table({"image": images, "label": labels})
    pyarrow.parquet.write_table(table, path)
