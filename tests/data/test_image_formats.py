"""The same photographs as an ImageFolder, as parquet and as WebDataset archives are the same data."""

from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import ClassLabel, Features
from datasets import Image as ImageFeature
from image_folders import encoded, photograph, write_parquet, write_webdataset

from ticketzoo.data.images.splits import ImageDataset, load_images

CPU = torch.device("cpu")
SIZES = [(40, 30), (30, 40), (33, 33), (64, 20)]


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKETZOO_CACHE", str(tmp_path / "ticketzoo-cache"))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "datasets-cache")


def write_jpegs(root: Path, splits: dict[str, Any]) -> Path:
    """An ImageFolder of classes 0 and 1, as which the labels of the archives are numbered."""
    for split, examples in splits.items():
        for number, (image, label) in enumerate(examples):
            folder = root / split / str(label)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{number:04d}.JPEG").write_bytes(image)
    return root


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_folder_parquet_and_webdataset_archives_hold_the_same_images(tmp_path: Path, in_memory: bool) -> None:
    labelled, tested = (
        [(encoded(photograph(20 * number + more, *size), "JPEG"), number // 2) for number, size in enumerate(SIZES)]
        for more in (5, 0)
    )
    splits = {"train": labelled, "val": tested[1:3]}
    features = Features({"image": ImageFeature(), "label": ClassLabel(names=["0", "1"])})
    columns = {
        split: {"image": [{"bytes": image, "path": None} for image, _ in part], "label": [label for _, label in part]}
        for split, part in splits.items()
    }
    folders = [
        write_jpegs(tmp_path / "folder", splits),
        write_parquet(tmp_path / "parquet", columns, features),
        write_webdataset(tmp_path / "webdataset", splits),
    ]
    settings = {"image_size": 16, "resize": 18, "validation": 0, "test_split": "validation"}
    loaded = [load_images(ImageDataset(path=str(path), in_memory=in_memory, **settings)) for path in folders]
    assert [(len(splits.train), len(splits.test), splits.class_names) for splits in loaded] == [(4, 2, ["0", "1"])] * 3
    assert len({splits.fingerprint for splits in loaded}) == 1
    first, *others = (splits.test.batch(torch.arange(2), CPU) for splits in loaded)
    assert first[0][:, 2].float().mean((1, 2)).tolist() == pytest.approx([20, 40], abs=2)  # blue tells them apart
    assert all(torch.equal(first[0], pixels) and torch.equal(first[1], labels) for pixels, labels in others)
