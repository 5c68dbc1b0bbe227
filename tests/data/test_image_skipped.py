"""Unreadable images: an error that names the file, or named, counted and left out."""

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from image_folders import grey, numbered, write_folder
from torch import nn

from ticketzoo.data.images.splits import ImageDataset, ImageSplits, batches, in_turn, load_images
from ticketzoo.errors import DataError
from ticketzoo.tasks import create_task
from ticketzoo.tasks.image_classification import ImageClassificationConfig

CPU = torch.device("cpu")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Twelve images to train on (0 to 5 of class a, 10 to 15 of b), four to test on; one of each cannot be read."""
    monkeypatch.setenv("TICKETZOO_CACHE", str(tmp_path / "ticketzoo-cache"))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "datasets-cache")
    train = {"a": numbered(6), "b": numbered(6, 10)}
    path = write_folder(tmp_path / "d", {"train": train, "test": {"a": numbered(2, 20), "b": numbered(2, 30)}})
    for broken in BROKEN:
        (path / broken).write_bytes(b"no image")
    return path


BROKEN = ("train/a/0003.png", "test/b/0000.png")


def load(folder: Path, **keys: Any) -> ImageSplits:
    return load_images(ImageDataset(path=str(folder), validation=0, **keys))


def values(images: Any) -> tuple[list[int], list[int]]:
    """The grey values and labels of a split, in order."""
    parts = list(in_turn(images, batch_size=5, device=CPU))
    return torch.cat([pixels[:, 0, 0, 0] for pixels, _ in parts]).tolist(), torch.cat([b for _, b in parts]).tolist()


@pytest.mark.parametrize("keys", [{"in_memory": True}, {"in_memory": False}, {"in_memory": False, "workers": 2}])
def test_images_that_cannot_be_read_are_left_out_named_and_counted(
    folder: Path, keys: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    splits = load(folder, on_error="skip", **keys)
    for _ in range(2):
        assert values(splits.train) == ([0, 1, 2, 4, 5, 10, 11, 12, 13, 14, 15], [0] * 5 + [1] * 6)
    assert values(splits.test) == ([20, 21, 31], [0, 0, 1])
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(told) == 2  # each once
    for count, (message, broken) in enumerate(zip(told, BROKEN, strict=True), 1):
        assert f"({folder / broken}) cannot be read: " in message
        assert message.endswith(f"; skipped (unreadable images so far: {count})")


@pytest.mark.parametrize("in_memory", [True, False])
def test_by_default_the_first_is_an_error_that_says_what_to_do(folder: Path, in_memory: bool) -> None:
    with pytest.raises(DataError) as refused:
        values(load(folder, in_memory=in_memory).train)
    assert f"({folder / BROKEN[0]}) cannot be read: " in str(refused.value)
    assert str(refused.value).endswith("; fix it, or leave such images out with on_error: skip")


def test_the_means_of_evaluation_are_over_the_images_that_were_read(folder: Path) -> None:
    class Dark(nn.Module):
        def forward(self, images: Any) -> torch.Tensor:
            return torch.tensor([1.0, 0.0]).repeat(len(images), 1)

    dataset = {"path": str(folder), "validation": 0, "on_error": "skip", "in_memory": False}
    config = {"type": "image-classification", "dataset": dataset, "normalize": "unit"}
    task = create_task(ImageClassificationConfig.model_validate(config))
    assert task.evaluate(Dark(), "test", CPU)["accuracy"] == pytest.approx(2 / 3)  # the broken one is of class b


def test_skipping_does_not_hide_images_that_do_not_fit(folder: Path) -> None:
    grey(9, size=5).save(folder / "train" / "a" / "0001.png")
    with pytest.raises(DataError, match="has 5x5 pixels, others 4x4: set image_size"):
        load(folder, on_error="skip", in_memory=True)


def test_a_batch_of_which_nothing_can_be_read_is_left_out_of_evaluation_and_an_error_in_training(folder: Path) -> None:
    for number in range(5):
        (folder / "train" / "a" / f"{number:04d}.png").write_bytes(b"no image")
    train = load(folder, on_error="skip", in_memory=False, image_size=4).train
    assert values(train) == ([5, 10, 11, 12, 13, 14, 15], [0] + [1] * 6)  # the first five are a batch
    with pytest.raises(DataError, match=r"none of the images to train on in iteration [0-9]+ can be read"):
        list(batches(train, batch_size=1, seed=0, start=0, stop=12, device=CPU))


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_split_of_which_nothing_can_be_read_is_an_error(folder: Path, in_memory: bool) -> None:
    for path in folder.glob("test/*/*.png"):
        path.write_bytes(b"no image")
    dataset = {"path": str(folder), "validation": 0, "on_error": "skip", "in_memory": in_memory}
    config = {"type": "image-classification", "dataset": dataset, "normalize": "unit", "name": "grey"}
    task = create_task(ImageClassificationConfig.model_validate(config))
    with pytest.raises(DataError, match="no test image of grey can be read"):
        task.evaluate(nn.Flatten(), "test", CPU)
