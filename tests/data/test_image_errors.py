import logging
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, Features, Value
from datasets import Image as ImageFeature
from image_folders import colour, grey, numbered, png, write_folder, write_parquet
from PIL import Image

from ticketzoo.data.images.splits import ImageDataset, load_images
from ticketzoo.data.missing import check_there, near
from ticketzoo.errors import DataError


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKETZOO_CACHE", str(tmp_path / "ticketzoo-cache"))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "datasets-cache")


def refusal(path: str | Path, **settings: Any) -> str:
    """The one line with which the data set is refused."""
    with pytest.raises(DataError) as refused:
        load_images(ImageDataset(path=str(path), **settings))
    message = str(refused.value)
    assert "\n" not in message
    return message


def table(path: str | Path, label_type: Any = None, **columns: Any) -> Path:
    features = {"image": ImageFeature(), "label": label_type or ClassLabel(names=["cat", "dog"])}
    values = {"image": numbered(4), "label": [0, 1, 0, 1], **columns}
    features = Features({column: features.get(column, Value("int64")) for column in values})
    return write_parquet(path, {"train": values}, features)


@pytest.mark.parametrize("path", ["./nowhere", "../nowhere", "/nowhere", "~/nowhere", "a/b/c", "spaces in a name"])
def test_a_missing_folder(path: str) -> None:
    said = f"no data set at {path}: there is no such folder: give one with --set task.dataset.path=FOLDER"
    assert refusal(path) == said


def test_a_mistyped_folder_is_named_beside_the_near_ones_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("Photos", "holidays"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    assert refusal("./potos").startswith(
        "no data set at ./potos: there is no such folder (did you mean Photos?): give one with --set "
    )
    asked: list[str] = []

    def unreachable(self: object, url: str, **keys: object) -> None:
        asked.append(url)
        raise ConnectionError("no route to host")

    monkeypatch.setattr("huggingface_hub.HfApi.dataset_info", unreachable)
    message = refusal("potos")
    assert message.startswith(
        "could not load data set potos: no such folder here (did you mean Photos?), and on the Hub: potos: "
    )
    assert asked == ["potos"]


@pytest.mark.parametrize(("mistyped", "meant"), [
    ("digts", "digits"), ("Digit", "digits"), ("ema", "emma"),
    ("mnist", "ylecun/mnist"), ("fashion-mnist", "zalando-datasets/fashion_mnist"), ("CIFAR-10", "uoft-cs/cifar10"),
])  # fmt: skip
def test_a_mistyped_data_set_that_is_known_is_named_without_a_network(
    mistyped: str, meant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")  # where nothing listens
    said = f"could not load data set {mistyped}: no such folder here (did you mean {meant}?), and on the Hub: "
    assert refusal(mistyped).startswith(said)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    assert refusal(mistyped).startswith(said)


@pytest.mark.parametrize("other", ["kmnist", "cifar100", "squad_v2"])
def test_another_data_set_of_nearly_the_same_name_is_not_what_was_meant(
    other: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert near(Path(other)) == ""


def test_a_data_set_of_the_hub_s_that_is_in_the_cache_needs_no_asking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    def asked(*given: object, **keys: object) -> None:
        raise AssertionError("the Hub was asked")

    monkeypatch.setattr("huggingface_hub.HfApi.dataset_info", asked)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    (tmp_path / "datasets--owner--data").mkdir()
    check_there("owner/data", None)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path)
    (tmp_path / "owner___my_data").mkdir()
    check_there("owner/MyData", None)


def test_a_missing_hub_data_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    message = refusal("no-such-owner/no-such-data")
    assert message.startswith(
        "could not load data set no-such-owner/no-such-data: no such folder here, and on the Hub: "
    )


def test_a_file_in_place_of_its_folder(tmp_path: Path) -> None:
    table(tmp_path / "cats")
    (file,) = (path for path in tmp_path.rglob("*.parquet"))
    assert refusal(file).startswith(f"{file} is a file: give the folder that it is in")


def test_a_folder_called_as_the_digits_that_come_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody's own images are passed over in silence."""
    write_folder(tmp_path / "digits", {"train": {"cat": numbered(2), "dog": numbered(2)}})
    monkeypatch.chdir(tmp_path)
    assert "takes all 3 training examples of ./digits" in refusal("./digits", validation=5)
    assert caplog.messages == []
    load_images(ImageDataset(path="digits"))
    assert caplog.messages == ["digits is read from scikit-learn; for the folder of that name write ./digits"]


def test_an_empty_folder(tmp_path: Path) -> None:
    assert refusal(tmp_path).startswith(f"could not load the folder {tmp_path}: ")


def test_a_damaged_parquet_file(tmp_path: Path) -> None:
    folder = table(tmp_path / "d")
    file = folder / "train-00000-of-00001.parquet"
    file.write_bytes(file.read_bytes()[:100])
    assert refusal(folder).startswith(f"could not load the folder {folder}: ")


def test_no_image_column(tmp_path: Path) -> None:
    folder = write_parquet(tmp_path / "d", {"train": {"text": ["a", "b"], "label": [0, 1]}})
    assert refusal(folder) == (
        f"{folder} holds no images: there are neither image files in it nor a column of images or of their bytes "
        "(PNG, JPEG); its columns: text (text), label (whole numbers)"
    )
    assert (
        refusal(folder, image_column="text")
        == f"{folder} has no image column 'text'; its columns: text (text), label (whole numbers)"
    )


def test_several_image_columns(tmp_path: Path) -> None:
    features = Features({"left": ImageFeature(), "right": ImageFeature(), "label": Value("int64")})
    columns = {"left": numbered(2), "right": numbered(2), "label": [0, 1]}
    folder = write_parquet(tmp_path / "d", {"train": columns}, features)
    assert refusal(folder) == f"{folder} has several image columns, left, right: say which with image_column"
    there = "its columns: left (Image), right (Image), label (whole numbers)"
    assert refusal(folder, image_column="up") == f"{folder} has no image column 'up'; {there}"


def test_no_label_column(tmp_path: Path) -> None:
    features = Features({"image": ImageFeature(), "size": Value("int64"), "weight": Value("float32")})
    columns = {"image": numbered(2), "size": [0, 1], "weight": [0.0, 1.0]}
    folder = write_parquet(tmp_path / "d", {"train": columns}, features)
    there = "its columns: image (Image), size (whole numbers), weight (numbers): say which with --set"
    assert refusal(folder).startswith(f"{folder} has no label column; {there} task.dataset.label_column=")
    message = refusal(folder, label_column="image")
    assert message.startswith(f"{folder}: column 'image' is Image, and labels are numbers, words, or true and false")


def test_several_label_columns(tmp_path: Path) -> None:
    features = Features(
        {"image": ImageFeature(), "fine": ClassLabel(names=["a", "b"]), "coarse": ClassLabel(names=["c"])}
    )
    columns = {"image": numbered(2), "fine": [0, 1], "coarse": [0, 0]}
    folder = write_parquet(tmp_path / "d", {"train": columns}, features)
    assert (
        refusal(folder)
        == f"{folder} has several label columns, fine, coarse: say which with --set task.dataset.label_column=fine"
    )


def test_a_missing_label(tmp_path: Path) -> None:
    folder = table(tmp_path / "d", label=[0, 1, None, 1])
    assert refusal(folder) == (
        f"image 2 of split 'train' of {folder} has no label in column 'label': give it one, or leave the row out"
    )


def test_a_withheld_label(tmp_path: Path) -> None:
    folder = table(tmp_path / "d", label=[0, -1, 0, 1])
    assert refusal(folder).startswith(f"image 1 of split 'train' of {folder} has label -1, outside 0 to 1: ")


@pytest.mark.parametrize("path", ["{}/x.png", "{}/d/../x.png"])
def test_a_cell_that_names_a_file_outside_is_refused(tmp_path: Path, path: str) -> None:
    grey(7).save(tmp_path / "x.png")
    image = {"bytes": None, "path": path.format(tmp_path)}
    folder = table(tmp_path / "d", image=[{"bytes": png(grey(0)), "path": None}] * 4)
    rows = pq.read_table(folder / "train-00000-of-00001.parquet").to_pydict()
    rows["image"][1] = image
    schema = pq.read_schema(folder / "train-00000-of-00001.parquet")
    pq.write_table(pa.table(rows, schema=schema), folder / "train-00000-of-00001.parquet")
    said = f"image 1 of split 'train' of {folder} ({image['path']}) is a file outside the data set: put it into"
    assert refusal(folder, validation=0).startswith(said)


def test_what_is_no_regular_file_is_not_read(tmp_path: Path) -> None:
    folder = table(tmp_path / "d", image=[{"bytes": png(grey(0)), "path": None}] * 4)
    os.mkfifo(folder / "pipe.png")
    file = folder / "train-00000-of-00001.parquet"
    rows = pq.read_table(file).to_pydict()
    rows["image"] = [{"bytes": None, "path": str(folder / "pipe.png")}] * 4
    pq.write_table(pa.table(rows, schema=pq.read_schema(file)), file)
    assert "none of 3 images looked at can be read" in refusal(folder, validation=0, on_error="skip")
    assert f"({folder / 'pipe.png'}) cannot be read: it is no regular file; " in refusal(folder, validation=0)


def test_saved_splits_outside_the_folder_are_refused(tmp_path: Path) -> None:
    columns = {"image": [{"bytes": png(grey(value)), "path": None} for value in range(4)], "label": [0, 1] * 2}
    features = Features({"image": ImageFeature(), "label": ClassLabel(names=["cat", "dog"])})
    Dataset.from_dict(columns, features).save_to_disk(tmp_path / "secret")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "dataset_dict.json").write_text('{"splits": ["../secret"]}')
    said = f"{tmp_path / 'd'}: dataset_dict.json names files outside, '../secret': name files in the folder"
    assert refusal(tmp_path / "d") == said
    state = tmp_path / "secret" / "state.json"
    state.write_text(state.read_text().replace("data-00000", "../data-00000"))
    assert "state.json names files outside, '../data-00000" in refusal(tmp_path / "secret")


def test_labels_with_fractions(tmp_path: Path) -> None:
    folder = table(tmp_path / "d", Value("float64"), label=[1.0, 2.5, 1.0, 4.0])
    expected = f"labels of {folder}, column 'label' have fractions, such as 2.5: classes are whole numbers or words"
    assert refusal(folder) == expected


def test_words_of_one_unicode_form_are_one_class_and_alike_ones_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    words = ["caf\u00e9", "cafe\u0301", "tea", "Tea", "tea", "Tea"]
    folder = table(tmp_path / "d", Value("string"), label=words, image=numbered(6))
    assert load_images(ImageDataset(path=str(folder), validation=0)).class_names == ["Tea", "caf\u00e9", "tea"]
    assert "labels that differ in case or spaces alone are different classes: 'Tea' and 'tea'" in caplog.text


@pytest.mark.parametrize("kind", ["int64", "uint8", "float32"])
def test_whole_numbers_are_classes_wherever_they_begin(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    caplog.set_level(logging.INFO, "ticketzoo")
    folder = table(tmp_path / "d", Value(kind), label=[1, 2, 1, 4, 2, 4], image=numbered(6))
    splits = load_images(ImageDataset(path=str(folder), validation=0))
    assert splits.class_names == ["1", "2", "4"]
    assert sorted(splits.train.labels.tolist() + splits.test.labels.tolist()) == [0, 0, 1, 1, 2, 2]
    assert f"{folder}: labels 1, 2, 4 are classes 0 to 2" in caplog.text
    assert "labels 1, 2, 4 are classes 0 to 2" in splits.laid_out


def test_numbers_of_a_declared_type_are_classes_however_many(tmp_path: Path) -> None:
    labels = [2 * number for number in range(101)] * 2
    folder = table(tmp_path / "d", Value("int64"), label=labels, image=numbered(202))
    assert load_images(ImageDataset(path=str(folder), validation=0)).class_names == [
        str(label) for label in labels[:101]
    ]


def test_one_class_only(tmp_path: Path) -> None:
    folder = table(tmp_path / "d", label=[1, 1, 1, 1])
    expected = f"split 'train' of {folder} has images of one class only: classification needs two classes or more"
    assert refusal(folder) == expected
    expected = "digits has images of one class only of classes 3: classification needs two classes or more"
    assert refusal("digits", classes=(3,)) == expected


def test_too_few_images_to_hold_some_out(tmp_path: Path) -> None:
    two = write_folder(tmp_path / "two", {"train": {"cat": numbered(1), "dog": numbered(1, 9)}})
    assert refusal(two) == (
        f"split 'train' of {two} has 2 images of 2 classes, too few to draw a split to test on: "
        "it takes two of each class at least, one to train and one to test on, or a split test"
    )
    images = {"train": {"cat": numbered(1), "dog": numbered(1, 9)}, "test": {"cat": [grey(30)], "dog": [grey(40)]}}
    laid_out = write_folder(tmp_path / "laid-out", images)
    assert refusal(laid_out) == (
        f"split 'train' of {laid_out} has 2 images of 2 classes: with 1 to validate on drawn, too few are left to "
        "train on each class: have more images of each class, or set task.dataset.validation to 0"
    )
    assert len(load_images(ImageDataset(path=str(laid_out), validation=0)).train) == 2


def test_classes_of_which_drawing_leaves_nothing_are_said(tmp_path: Path) -> None:
    images = {"train": {"many": numbered(8), "one": [grey(100)], "two": numbered(1, 200)}}
    splits = load_images(ImageDataset(path=str(write_folder(tmp_path / "d", images)), validation=0))
    kept = [set(part.labels.tolist()) for part in (splits.train, splits.test)]
    assert len(splits.test) == 2
    lost = [", ".join(name for label, name in enumerate(splits.class_names) if label not in part) for part in kept]
    said = [
        f"drawing left no image to {use} on of the classes {names}"
        for use, names in zip(("train", "test"), lost, strict=True)
    ]
    assert [line for line in splits.laid_out if "drawing" in line] == [
        line for line, names in zip(said, lost, strict=True) if names
    ]
    assert lost[1]


def test_a_class_that_does_not_exist() -> None:
    assert refusal("digits", classes=(3, 10)) == "digits has no class 10; its classes are 0 to 9"
    assert refusal("digits", classes=(3, -1)) == "digits has no class -1; its classes are 0 to 9"


def test_a_class_without_images(tmp_path: Path) -> None:
    folder = table(tmp_path / "d", ClassLabel(names=["cat", "dog", "owl"]))
    expected = f"split 'train' of {folder} has no images of class 2: leave it out of classes"
    assert refusal(folder, classes=(1, 2, 0)) == expected


def test_classes_to_test_on_that_are_not_trained_on(tmp_path: Path) -> None:
    images = {"train": {"cat": numbered(2), "dog": numbered(2)}, "test": {"cat": numbered(1), "kitten": numbered(1)}}
    folder = write_folder(tmp_path / "d", images)
    assert refusal(folder) == (
        f"split 'test' of {folder} has images of class 'kitten', of which split 'train' of {folder} has none: "
        "both need the same classes (of image folders: the same folder names)"
    )
    load_images(ImageDataset(path=str(folder), classes=(0, 1), validation=0))  # the kittens are left out
    (folder / "test" / "kitten").rename(folder / "test" / "Dog")
    assert f"has images of class 'Dog', of which split 'train' of {folder} has none, only of 'dog': both" in refusal(
        folder
    )


def test_classes_trained_on_that_are_not_tested_on_are_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    names = [f"class-{number}" for number in range(6)]
    images = {"train": {name: [grey(value)] for value, name in enumerate(names)}, "test": {names[0]: [grey(99)]}}
    folder = write_folder(tmp_path / "d", images)
    load_images(ImageDataset(path=str(folder), validation=0))
    (record,) = caplog.records
    assert record.getMessage() == (
        f"split 'test' of {folder} has no images of class 'class-1', 'class-2', 'class-3' and 2 more, "
        f"which is trained on in split 'train' of {folder}"
    )


def test_a_split_that_does_not_exist() -> None:
    said = "digits has no split '{}'; its splits: train: set task.dataset.{} to one of them"
    assert refusal("digits", train_split="training") == said.format("training", "train_split")
    assert refusal("digits", test_split="test") == said.format("test", "test_split")


def test_testing_on_what_was_trained_on() -> None:
    expected = "test_split and train_split of digits are both 'train': name two splits"
    assert refusal("digits", test_split="train") == expected


def test_more_examples_than_there_are() -> None:
    expected = "examples: 1295 is too many, digits has 1294 training examples after validation: lower it"
    assert refusal("digits", examples=1295) == expected


def test_validation_that_takes_everything() -> None:
    assert refusal("digits", validation=1438) == "validation: 1438 takes all 1438 training examples of digits: lower it"
    assert (
        refusal("digits", validation=0.9999)
        == "validation: 0.9999 takes all 1438 training examples of digits: lower it"
    )


def test_nothing_to_train_or_test_on(tmp_path: Path) -> None:
    folder = write_folder(
        tmp_path / "d", {"train": {"a": numbered(4), "b": numbered(4), "c": []}, "test": {"c": [grey(1)]}}
    )
    (folder / "train" / "c" / "0.png").write_bytes(png(grey(1)))
    expected = f"nothing to test on: split 'test' of {folder} has no images of the classes trained on"
    assert refusal(folder, classes=(0, 1)) == expected


def test_images_of_different_sizes(tmp_path: Path) -> None:
    folder = table(tmp_path / "d", image=[grey(1), grey(2), grey(3, size=5), grey(4)])
    expected = f"image 2 of split 'train' of {folder} has 5x5 pixels, others 4x4: set image_size"
    assert refusal(folder) == expected


def test_a_coloured_image_after_many_grey_ones(tmp_path: Path) -> None:
    images = [grey(value % 256) for value in range(400)]
    images[399] = colour(1, 2, 3)  # not among those looked at to find out the number of channels
    folder = table(tmp_path / "d", image=images, label=[0, 1] * 200)
    expected = f"image 399 of split 'train' of {folder} is in colour, others are grey: set channels to 1 or 3"
    assert refusal(folder) == expected


def test_an_unreadable_image_is_named_with_its_file(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "d", {"train": {"a": numbered(4), "b": numbered(4)}, "test": {"a": [grey(1)]}})
    file = folder / "train" / "b" / "0001.png"
    file.write_bytes(file.read_bytes()[:40])
    message = refusal(folder)
    assert message.startswith(f"image 5 of split 'train' of {folder} ({file}) cannot be read: ")


def test_an_empty_cell(tmp_path: Path) -> None:
    folder = table(tmp_path / "d", image=[grey(1), None, grey(3), grey(4)])
    assert refusal(folder).startswith(f"image 1 of split 'train' of {folder} is missing: its cell is empty; ")


def test_pixels_of_32_bits(tmp_path: Path) -> None:
    from io import BytesIO

    file = BytesIO()
    Image.new("F", (4, 4)).save(file, "TIFF")
    folder = table(tmp_path / "d", image=[{"bytes": file.getvalue(), "path": None}] * 4)
    assert refusal(folder) == f"image 0 of split 'train' of {folder} has 32 bits a pixel: store it with 8"
