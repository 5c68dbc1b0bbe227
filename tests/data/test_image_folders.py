"""A user's folder of images: trained on is what is laid out, and what is odd about it is said."""

import io
import logging
import os
import shutil
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features
from datasets import Image as ImageFeature
from image_folders import (
    colour,
    encoded,
    first_pixels,
    grey,
    numbered,
    png,
    sixteen_bit,
    write_folder,
    write_parquet,
)
from PIL import Image

from ticketzoo.data.images.read import upright
from ticketzoo.data.images.splits import ImageDataset, ImageSplits, load_images
from ticketzoo.data.stored import load_stored
from ticketzoo.errors import DataError

FEATURES = Features({"image": ImageFeature(), "label": ClassLabel(names=["cat", "dog"])})
NO_TEST = "no split to test on: 2 images of train are drawn for it"
TWO = {"train": {"a": numbered(4), "b": numbered(4, 10)}, "test": {"a": numbered(2, 20), "b": numbered(2, 30)}}


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKETZOO_CACHE", str(tmp_path / "ticketzoo-cache"))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "datasets-cache")


def load(path: Path, **keys: Any) -> ImageSplits:
    return load_images(ImageDataset(path=str(path), **{"validation": 0, **keys}))


def all_of(folder: Path, kind: str, value: int) -> Path:
    """Two images to train on and two to test on, all of one grey value, in class folders or parquet files."""
    if kind == "files":
        return write_folder(folder, {split: {"a": [grey(value)], "b": [grey(value)]} for split in ("train", "test")})
    columns = {"image": [grey(value)] * 2, "label": [0, 1]}
    return write_parquet(folder, {"train": columns, "test": columns}, FEATURES)


def noise(count: int, seed: int) -> list[Image.Image]:
    """Images that show something: each of its own."""
    pixels = np.random.default_rng(seed).integers(0, 256, (count, 8, 8), dtype=np.uint8)
    return [Image.fromarray(image) for image in pixels]


@pytest.mark.parametrize("second", ["sham", "train", "test", "crash_test"])
def test_the_name_of_a_class_moves_no_image_between_splits(tmp_path: Path, second: str) -> None:
    images = {
        "train": {"control": noise(20, 0), second: noise(20, 1)},
        "test": {"control": noise(8, 2), second: noise(8, 3)},
    }
    splits = load(write_folder(tmp_path / "d", images))
    train, test = ({image.numpy().tobytes() for image in part.pixels} for part in (splits.train, splits.test))
    assert (len(splits.train), len(splits.test), len(train & test)) == (40, 16, 0)


@pytest.mark.parametrize(("train", "test"), [("Train", "Test"), ("TRAIN", "TEST"), ("trainset", "testset")])
def test_the_owner_s_division_is_kept(tmp_path: Path, train: str, test: str) -> None:
    splits = load(write_folder(tmp_path / "d", {train: TWO["train"], test: TWO["test"]}))
    assert first_pixels(splits.train) == [0, 1, 2, 3, 10, 11, 12, 13]
    assert first_pixels(splits.test) == [20, 21, 30, 31]


@pytest.mark.parametrize(
    ("third", "suffix"), [("c", ".png"), ("__other__", ".png"), ("#net", ".png"), ("c", ".jpg_large"), ("c", "")]
)
def test_a_class_is_read_whatever_its_folder_and_files_are_called(tmp_path: Path, third: str, suffix: str) -> None:
    folder = write_folder(tmp_path / "d", {split: {**TWO[split], third: numbered(2, 40)} for split in TWO})
    for file in list(folder.glob(f"*/{third}/*")):
        file.rename(file.with_suffix(suffix))
    splits = load(folder)
    assert splits.class_names == sorted(["a", "b", third])
    assert (len(splits.train), len(splits.test)) == (10, 6)


@pytest.mark.parametrize("kind", ["files", "parquet"])
def test_replaced_images_are_read_anew_though_names_and_times_are_the_same(tmp_path: Path, kind: str) -> None:
    found = []
    for value in (100, 101):
        if (tmp_path / "d").exists():
            shutil.rmtree(tmp_path / "d")
        folder = all_of(tmp_path / "d", kind, value)
        for file in folder.rglob("*.p*"):
            os.utime(file, (315532800, 315532800))
        splits = load(folder)
        found.append((first_pixels(splits.train), splits.fingerprint))
    assert [pixels for pixels, _ in found] == [[100, 100], [101, 101]]
    assert found[0][1] != found[1][1]


@pytest.mark.parametrize("name", ["photos[1]", "what?", "a*b", "[abc]"])
@pytest.mark.parametrize("kind", ["files", "parquet"])
def test_the_folder_named_is_the_one_read(tmp_path: Path, name: str, kind: str) -> None:
    for folder, value in (("photos1", 1), ("whats", 2), ("a-b", 3), ("b", 4), (name, 200)):
        all_of(tmp_path / folder, kind, value)
    assert first_pixels(load(tmp_path / name).train) == [200, 200]


def exif(tag: int, kind: int, count: int, value: bytes, more: bytes = b"", orientation: int = 6) -> bytes:
    """A JPEG of 14x10 pixels, red to the left, with an EXIF block of an orientation and one more tag."""
    image = Image.new("RGB", (14, 10))
    image.paste((255, 0, 0), (0, 0, 7, 10))
    jpeg = encoded(image, "JPEG")
    entries = struct.pack("<HHHIHHHHI", 2, 0x112, 3, 1, orientation, 0, tag, kind, count) + value
    block = b"Exif\0\0II*\0\x08\0\0\0" + entries + struct.pack("<I", 0) + more
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + jpeg[2:]


@pytest.mark.parametrize(
    "stored",
    [
        exif(0x11A, 10, 1, struct.pack("<I", 38), struct.pack("<ii", -1, 0)),
        exif(0x128, 7, 1, b"\2\0\0\0"),
        exif(0x128, 2, 2, b"2\0\0\0"),
        exif(0x10F, 11, 1, struct.pack("<f", 1.0)),
        exif(0x213, 4, 1, struct.pack("<I", 70000)),
    ],
    ids=["-1/0", "undefined", "text", "number", "70000"],
)
def test_a_photograph_is_turned_whatever_else_its_exif_says(stored: bytes) -> None:
    image = upright(stored)
    assert image.size == (10, 14)
    assert image.getpixel((5, 1))[0] > 200 > 50 > image.getpixel((5, 12))[0]  # the left side is now above


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_turned_as_pillow_turns_it(orientation: int) -> None:
    from PIL import ImageOps

    stored = exif(0x10F, 2, 2, b"x\0\0\0", orientation=orientation)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(stored)))
    assert np.array_equal(np.asarray(upright(stored)), np.asarray(expected))


def test_what_is_no_image_is_left_out_and_counted_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = write_folder(tmp_path / "d", TWO)
    for file in list(folder.rglob("*.png")):
        file.with_suffix(".json").write_text('{"box": [1, 2]}')
        file.with_suffix(".what").write_text("no image")
    grey(1).save(folder / "train" / "preview.png")
    assert (len(load(folder).train), len(load(folder).test)) == (8, 4)
    assert caplog.messages[0] == (
        f"{folder}: left out: files that are no images: 24; in no class folder: 1 (test/a/0000.json, train/preview.png)"
    )


def test_names_of_classes_in_two_unicode_forms_are_one_class(tmp_path: Path) -> None:
    images = {"train": {"caf\u00e9": numbered(2), "b": numbered(2)}, "test": {"cafe\u0301": numbered(2, 9), "b": []}}
    splits = load(write_folder(tmp_path / "d", images))
    assert splits.class_names == ["b", "caf\u00e9"]
    assert splits.test.labels.tolist() == [1, 1]


def test_an_image_to_test_on_that_is_trained_on_is_an_error(tmp_path: Path) -> None:
    train, test = noise(6, 0), noise(4, 1)
    images = {"train": {"a": [*train[:3], test[0]], "b": [*train[3:], test[1]]}, "test": {"a": test[:2], "b": test[2:]}}
    folder = write_folder(tmp_path / "d", images)
    with pytest.raises(DataError) as refused:
        load(folder)
    assert str(refused.value) == (
        f"2 of the 4 images of split 'test' of {folder} are in split 'train' too, such as test/a/0000.png and "
        "train/a/0003.png: leave each in one"
    )


def test_one_file_twice_by_a_link_is_an_error(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "d", {"train": {"a": noise(2, 0)}, "test": {"a": noise(2, 1)}})
    (folder / "train" / "b").symlink_to(folder / "train" / "a")
    with pytest.raises(DataError, match=r"train/b/0000\.png is the same file as .*/train/a/0000\.png, by a link"):
        load(folder)


def test_images_without_class_folders_are_refused(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "d", {"train": {"": numbered(2)}, "test": {"": numbered(2)}})
    with pytest.raises(DataError, match="the images of 'train' and 'test' are in no class folders: put those of each"):
        load(folder)


def test_found_things_are_told_once_and_oddities_are_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ticketzoo")
    images = {"Train": {"a": [*numbered(3), grey(0)], "b": [colour(1, 2, 3)]}, "val": {"a": [grey(50, size=6)]}}
    folder = write_folder(tmp_path / "d", images)
    splits = load(folder, image_size=4)
    said = [
        "train (Train/): 5 images; a 4, b 1",
        "validation (val/): 1 image; a 1, b 0",
        "no split test: validation is tested on",
        "1 image of train is a copy of another in it",
        "of 6 images looked at, 5 are grey and 1 in color: all are read in color",
        "6 images looked at have 2 sizes, from 4x4 to 6x6 pixels: all are made 4x4",
    ]
    assert splits.laid_out == said
    told = [message.removeprefix(f"{folder}: ").partition(" (Train/a")[0] for message in caplog.messages]
    assert [message for message in told if message in said] == said


def test_without_a_test_split_the_drawing_is_said(tmp_path: Path) -> None:
    splits = load(write_folder(tmp_path / "d", {"train": TWO["train"]}))
    assert splits.laid_out == [
        "train (train/): 8 images; a 4, b 4",
        "6 images to train on, 0 to validate on, 2 to test on",
        NO_TEST,
    ]
    assert [len(splits.train), len(splits.validation), len(splits.test)] == [6, 0, 2]
    assert load(Path("digits")).laid_out == []


def test_a_copy_of_a_hub_data_set_is_no_folder_of_the_user_s(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "d", TWO)
    assert load_images(ImageDataset(path="owner/data", mirror=str(folder), validation=0)).laid_out == []


def test_a_pointer_in_place_of_an_image_says_so(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "d", TWO)
    (folder / "train" / "a" / "0001.png").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    with pytest.raises(DataError, match=r"0001\.png\) cannot be read: it is a pointer of Git LFS, not the image"):
        load(folder)


def test_what_datasets_saved_is_read_with_one_split_or_several(tmp_path: Path) -> None:
    one = Dataset.from_dict({"image": [{"bytes": png(grey(5)), "path": None}] * 4, "label": [0, 1] * 2}, FEATURES)
    one.save_to_disk(tmp_path / "one")
    DatasetDict({"train": one, "test": one}).save_to_disk(tmp_path / "both")
    assert list(load_stored(str(tmp_path / "one"), None, None)) == ["train"]
    assert [len(load(tmp_path / name, validation=1).train) for name in ("one", "both")] == [2, 3]


def test_a_split_without_class_folders_is_left_out_with_a_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write_folder(tmp_path / "d", {"train": TWO["train"], "test": {"": numbered(3, 50)}})
    said = f"{folder}: left out: in the split test, which has no class folders: 3 (test/0000.png)"
    assert load(folder).laid_out[2:] == [said.removeprefix(f"{folder}: ").partition(" (")[0], NO_TEST]
    assert caplog.messages[0] == said
    caplog.clear()
    with pytest.raises(DataError, match="has no split 'test'"):
        load(folder, test_split="test")
    assert caplog.messages == [said]


@pytest.mark.parametrize("validation", [0, 3])
def test_copies_that_were_drawn_apart_are_said(tmp_path: Path, validation: int) -> None:
    folder = write_folder(tmp_path / "d", {"train": {"a": noise(1, 0) * 5, "b": noise(5, 1)}})
    splits = load(folder, validation=validation)
    of_a = [int((part.labels == 0).sum()) for part in (splits.validation, splits.test)]
    assert of_a[1] == 1
    assert splits.laid_out[1:] == [
        f"{8 - validation} images to train on, {validation} to validate on, 2 to test on",
        "4 images of train are copies of others in it",
        NO_TEST,
        *[f"{of_a[0]} of the 3 images drawn to validate on are copies of trained ones"] * (of_a[0] > 0),
        "1 of the 2 images drawn to test on are copies of trained ones",
    ]
    assert validation == 0 or of_a[0] > 0


def in_metadata(folder: Path, splits: dict[str, list[Image.Image]]) -> Path:
    """A folder of images whose labels are in a metadata.csv of each split."""
    for split, images in splits.items():
        (folder / split).mkdir(parents=True)
        for number, image in enumerate(images):
            image.save(folder / split / f"{split}{number}.png")
        rows = [f"{split}{number}.png,{'ab'[number % 2]}" for number in range(len(images))]
        (folder / split / "metadata.csv").write_text("\n".join(["file_name,label", *rows]) + "\n")
    return folder


def stored(folder: Path, kind: str, splits: dict[str, list[Image.Image]]) -> Path:
    """Images of two classes in turn, by split, in a form of storage."""
    if kind == "metadata":
        return in_metadata(folder, splits)
    columns = {split: {"image": images, "label": [0, 1] * (len(images) // 2)} for split, images in splits.items()}
    if kind == "parquet":
        return write_parquet(folder, columns, FEATURES)
    DatasetDict({split: Dataset.from_dict(part, FEATURES) for split, part in columns.items()}).save_to_disk(folder)
    return folder


def test_a_link_to_a_folder_with_metadata_is_read(tmp_path: Path) -> None:
    in_metadata(tmp_path / "d", {"train": noise(6, 0), "test": noise(4, 1)})
    (tmp_path / "link").symlink_to(tmp_path / "d")
    (tmp_path / "parts").mkdir()
    for split in ("train", "test"):
        (tmp_path / "parts" / split).symlink_to(tmp_path / "d" / split)
    sizes = [[len(splits.train), len(splits.test)] for splits in map(load, (tmp_path / "link", tmp_path / "parts"))]
    assert sizes == [[6, 4], [6, 4]]


@pytest.mark.parametrize("kind", ["metadata", "parquet", "saved"])
@pytest.mark.parametrize("second", ["test", "validation"])
def test_an_image_that_is_held_out_and_trained_on_is_an_error_in_every_form(
    tmp_path: Path, kind: str, second: str
) -> None:
    train, test = noise(6, 0), noise(4, 1)
    with pytest.raises(DataError) as refused:
        load(stored(tmp_path / "d", kind, {"train": [*train, *test[:2]], second: test}))
    assert f"2 of the 4 images of split '{second}' of {tmp_path / 'd'} are in split 'train' too, " in str(refused.value)
    assert f"{second}/{second}0.png" in str(refused.value) or f"image 0 of {second}" in str(refused.value)
    splits = load(stored(tmp_path / "e", kind, {"train": [*train, *train[:2]], second: test}))
    assert "2 images of train are copies of others in it" in splits.laid_out


def test_copies_in_a_copy_of_a_hub_data_set_are_said_and_no_error(tmp_path: Path) -> None:
    train, test = noise(6, 0), noise(4, 1)
    folder = stored(tmp_path / "d", "parquet", {"train": [*train, *test[:2]], "test": test})
    (folder / "README.md").write_text("---\ndataset_info: {}\n---\n")
    assert f"2 of the 4 images of split 'test' of {folder} are in split 'train' too" in load(folder).laid_out


def test_tables_too_large_to_look_for_copies_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ticketzoo.data.images.repeats._READ", 10)
    splits = load(stored(tmp_path / "d", "parquet", {"train": noise(4, 0), "test": noise(2, 1)}))
    assert splits.laid_out[2].startswith("copies of images were not looked for: the tables hold more than ")


def test_one_metadata_file_beside_the_splits_is_refused(tmp_path: Path) -> None:
    folder = in_metadata(tmp_path / "d", {"train": noise(4, 0), "test": noise(2, 1)})
    (folder / "train" / "metadata.csv").rename(folder / "metadata.csv")
    (folder / "test" / "metadata.csv").unlink()
    with pytest.raises(DataError, match=r"d/metadata\.csv lies beside the folders of splits: put one into each"):
        load(folder)


def test_hidden_folders_are_no_classes_and_counted(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "d", {"train": {**TWO["train"], ".thumbs": numbered(2)}, "test": TWO["test"]})
    (folder / "train" / "all.zip").write_bytes(b"PK")
    splits = load(folder)
    assert splits.class_names == ["a", "b"]
    assert splits.laid_out[2] == "left out: files in hidden folders: 2; archives, which are not unpacked: 1"


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="permissions bind no administrator")
def test_a_file_that_may_not_be_read_is_an_error_whatever_its_name(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "d", TWO)
    (folder / "train" / "a" / "odd.jpg_large").write_bytes(png(grey(99)))
    (folder / "train" / "a" / "odd.jpg_large").chmod(0)
    with pytest.raises(DataError, match=r"odd\.jpg_large\) cannot be read: Permission denied"):
        load(folder)


def test_images_of_kinds_that_are_not_read_are_said(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "d", TWO)
    (folder / "train" / "a" / "0000.heic").write_bytes(b"ftypheic")
    reason = "images of kinds that are not read (convert them to JPEG or PNG)"
    assert load(folder).laid_out[2] == f"left out: {reason}: 1"
    (tmp_path / "e" / "cat").mkdir(parents=True)
    (tmp_path / "e" / "cat" / "0.HEIC").write_bytes(b"ftypheic")
    with pytest.raises(DataError) as refused:
        load(tmp_path / "e")
    assert str(refused.value) == f"{tmp_path / 'e'} holds only {reason}: 1"


def test_a_table_of_labels_beside_one_folder_of_images_is_told_how_to_be_called(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "d", {"all": {"": numbered(4)}})
    (folder / "labels.csv").write_text("image,label\n0000.png,0\n")
    table = "or let the table that has the labels (labels.csv?) be called metadata.csv, beside the images and with"
    with pytest.raises(DataError) as refused:
        load(folder)
    assert f"{folder} has one class folder, all/: it takes one for each class, {table}" in str(refused.value)


def test_a_table_that_may_have_been_the_test_split_is_an_error(tmp_path: Path) -> None:
    columns = {"image": noise(4, 0), "label": [0, 1] * 2}
    folder = write_parquet(tmp_path / "d", {"train": columns, "test": columns}, FEATURES)
    for split, name in (("train", "train"), ("test", "holdout")):
        (folder / name).mkdir()
        (folder / f"{split}-00000-of-00001.parquet").rename(folder / name / "0.parquet")
    with pytest.raises(DataError) as refused:
        load(folder)
    assert f"{folder} has no split test, but holdout/0.parquet, no split by name: call it test" in str(refused.value)


def test_what_of_images_is_not_read_is_said(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "d", TWO)
    grey(1).save(folder / "train" / "a" / "0000.gif", save_all=True, append_images=[grey(200)])
    Image.new("LA", (4, 4), (7, 9)).save(folder / "train" / "a" / "0001.png")
    sixteen_bit(0x1234).save(folder / "train" / "b" / "0000.png")
    said = load(folder).laid_out
    assert [line for line in said if "looked at" in line] == [
        "of 13 images looked at, 12 are grey and 1 in color: all are read in color",
        "of 13 images looked at, 1 have several frames or pages: the first is read",
        "of 13 images looked at, 1 have an alpha channel (transparency), which is not read",
        "of 13 images looked at, 1 have 16 bits a pixel: the upper 8 are read",
    ]


def test_classes_that_differ_by_case_alone_are_said(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "d", {split: {**TWO[split], "A": numbered(2, 60)} for split in ("train",)})
    assert "labels that differ in case or spaces alone are different classes: 'A' and 'a'" in load(folder).laid_out


def test_what_becomes_of_sizes_is_not_said_before_the_error_that_it_does_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write_folder(tmp_path / "d", {**TWO, "test": {"a": [grey(1, size=5)], "b": numbered(1, 9)}})
    with pytest.raises(DataError, match="has 5x5 pixels, others 4x4: set image_size"):
        load(folder)
    assert not [message for message in caplog.messages if "all are made" in message]


def test_streamed_images_say_what_the_fingerprint_is_of(tmp_path: Path) -> None:
    sample = "all labels and an even sample of 1,000 images of each split"
    of_sample = f"images are not kept in memory: the fingerprint is of {sample}"
    folder = write_folder(tmp_path / "d", TWO)
    assert load(folder, in_memory=False, workers=0).laid_out[2] == of_sample
    assert of_sample not in load(folder).laid_out
