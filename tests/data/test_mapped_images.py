"""Images too large for memory are decoded once, to a file that later runs map into memory."""

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from image_folders import grey, numbered, write_folder

from ticketzoo.data.images import splits as image_splits
from ticketzoo.data.images.batches import Images, StreamedImages
from ticketzoo.data.images.mapped import MappedImages
from ticketzoo.data.images.splits import ImageDataset, ImageSplits, batches, in_turn, load_images

CPU = torch.device("cpu")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Twelve images to train on (grey 0 to 5 of class a, 10 to 15 of b), four to test on; nothing fits into memory."""
    monkeypatch.setenv("TICKETZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(image_splits, "MEMORY_LIMIT", 0)
    train = {"a": numbered(6), "b": numbered(6, 10)}
    return write_folder(tmp_path / "d", {"train": train, "test": {"a": numbered(2, 20), "b": numbered(2, 30)}})


def load(folder: Path, **keys: Any) -> ImageSplits:
    return load_images(ImageDataset(path=str(folder), **{"validation": 2, **keys}))


def trained_on(images: Images) -> list[list[tuple[int, int]]]:
    """Grey value and label of each image in each batch of three epochs."""
    steps = batches(images, batch_size=4, seed=7, start=0, stop=9, device=CPU)
    return [list(zip(pixels[:, 0, 0, 0].tolist(), labels.tolist(), strict=True)) for _, pixels, labels in steps]


def files(tmp_path: Path) -> list[Path]:
    found = sorted((tmp_path / "cache" / "images").glob("*.pixels"), key=lambda file: file.stat().st_size)
    assert len(found) == 2  # of the training split, drawn from to validate, and of the test split
    return found


def test_batches_are_those_of_images_decoded_anew(folder: Path, tmp_path: Path) -> None:
    mapped, streamed = load(folder), load(folder, in_memory=False, workers=0)
    assert isinstance(mapped.train, MappedImages) and isinstance(streamed.train, StreamedImages)
    assert trained_on(mapped.train) == trained_on(streamed.train)
    for split in ("validation", "test"):
        one, other = (in_turn(getattr(of, split), batch_size=3, device=CPU) for of in (mapped, streamed))
        for (pixels, labels), (others, their) in zip(one, other, strict=True):
            assert torch.equal(pixels, others) and torch.equal(labels, their)
    assert mapped.fingerprint == streamed.fingerprint
    assert [file.stat().st_size for file in files(tmp_path)] == [4 * 17, 12 * 17]  # 4 x 4 pixels, and if it was read


def test_the_file_is_made_once_whatever_is_drawn_to_validate_on(folder: Path, tmp_path: Path) -> None:
    load(folder)
    made = [(file.name, file.stat().st_ino) for file in files(tmp_path)]
    load(folder, split_seed=3)
    assert [(file.name, file.stat().st_ino) for file in files(tmp_path)] == made


def test_a_replaced_image_is_decoded_anew(folder: Path, tmp_path: Path) -> None:
    load(folder)
    grey(99).save(folder / "test" / "a" / "0000.png")
    pixels, _ = next(in_turn(load(folder).test, batch_size=4, device=CPU))
    assert pixels[:, 0, 0, 0].tolist() == [99, 21, 30, 31]


@pytest.mark.parametrize("cut", [slice(None, -1), slice(5, None), slice(0, 0), slice(None, 14)])
def test_a_damaged_file_is_made_again(folder: Path, tmp_path: Path, cut: slice) -> None:
    before = trained_on(load(folder).train)
    content = [file.read_bytes() for file in files(tmp_path)]
    for file in files(tmp_path):
        file.write_bytes(file.read_bytes()[cut])
    assert trained_on(load(folder).train) == before
    assert [file.read_bytes() for file in files(tmp_path)] == content


def test_images_that_cannot_be_read_are_missing_in_the_same_batches(folder: Path) -> None:
    (folder / "train" / "a" / "0003.png").write_bytes(b"no image")
    streamed = trained_on(load(folder, in_memory=False, workers=0, on_error="skip").train)
    assert sum(map(len, streamed)) < 3 * 10 or all((3, 0) not in batch for batch in streamed)
    for _ in range(2):
        assert trained_on(load(folder, on_error="skip").train) == streamed


def test_without_room_or_right_to_write_batches_are_decoded_as_before(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("TICKETZOO_CACHE", str(tmp_path / "file"))
    with caplog.at_level(logging.WARNING):
        assert isinstance(load(folder, workers=0).train, StreamedImages)
    (told, *_) = [record.getMessage() for record in caplog.records if "anew in each batch" in record.getMessage()]
    assert told.endswith("; TICKETZOO_CACHE names another folder")


def test_training_images_cropped_at_random_are_decoded_anew(folder: Path) -> None:
    splits = image_splits.load_images(ImageDataset(path=str(folder), validation=2, workers=0), crop_train=True)
    assert isinstance(splits.train, StreamedImages)
    assert isinstance(splits.test, MappedImages)
