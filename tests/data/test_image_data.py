import os
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import ClassLabel, Features, Value
from datasets import Image as ImageFeature
from datasets.utils import are_progress_bars_disabled
from image_folders import colour, first_pixels, grey, numbered, sixteen_bit, write_folder, write_parquet
from PIL import Image
from sklearn.datasets import load_digits

from ticketzoo.data.images.splits import ImageDataset, ImageSplits, load_images
from ticketzoo.errors import DataError

FEATURES = Features({"image": ImageFeature(), "label": ClassLabel(names=["cat", "dog"])})


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKETZOO_CACHE", str(tmp_path / "ticketzoo-cache"))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "datasets-cache")


def load(path: str | Path, **settings: Any) -> ImageSplits:
    return load_images(ImageDataset(path=str(path), **settings))


def images_of(path: str | Path, image: Any, **settings: Any) -> Any:
    """The test image of a data set in which all images are `image`."""
    return load(
        write_folder(path, {"train": {"a": [image] * 2, "b": [image]}, "test": {"a": [image]}}), **settings
    ).test


def test_digits_are_split_into_three_and_stretched_to_256_grey_levels() -> None:
    digits = load("digits")
    assert (len(digits.test), len(digits.validation), len(digits.train)) == (359, 144, 1294)  # 20% of 1797, 10% of 1438
    assert digits.in_shape == (1, 8, 8)
    assert digits.num_classes == 10
    assert digits.class_names == list("0123456789")
    pixels = torch.cat([digits.train.pixels, digits.validation.pixels, digits.test.pixels])
    assert pixels.dtype == torch.uint8
    assert pixels.unique().tolist()[:3] == [0, 16, 32]  # round(255 / 16) = 16, round(2 * 255 / 16) = 32
    assert pixels.max() == 255
    ours = sorted(map(tuple, pixels.flatten(1).tolist()))
    theirs = sorted(map(tuple, (load_digits().images * 255 / 16).round().astype(int).reshape(1797, 64).tolist()))
    assert ours == theirs  # every image once: the splits share nothing and lose nothing


def test_the_test_share_of_digits_has_a_fifth_of_every_class() -> None:
    digits = load("digits")
    for label, size in enumerate(torch.from_numpy(load_digits().target).bincount().tolist()):
        assert abs(int((digits.test.labels == label).sum()) - size / 5) <= 1


def test_split_seed_alone_decides_the_splits() -> None:
    assert load("digits").fingerprint == load("digits").fingerprint
    assert load("digits").fingerprint != load("digits", split_seed=1).fingerprint


def test_loading_takes_no_notice_of_the_default_device() -> None:
    expected = load("digits", classes=(7, 3), examples=20).fingerprint
    with torch.device("meta"):
        assert load("digits", classes=(7, 3), examples=20).fingerprint == expected


def test_loading_leaves_the_callers_random_numbers_alone() -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    load("digits", examples=20)
    assert torch.equal(torch.rand(3), expected)


def test_classes_are_relabelled_in_the_order_given() -> None:
    everything, two = load("digits"), load("digits", classes=(7, 3))
    assert two.num_classes == 2
    assert two.class_names == ["7", "3"]
    target = load_digits().target
    total = [len(two.train), len(two.validation), len(two.test)]
    assert sum(total) == (target == 7).sum() + (target == 3).sum()
    sevens = {tuple(image.flatten().tolist()) for image in everything.test.pixels[everything.test.labels == 7]}
    zeros = {tuple(image.flatten().tolist()) for image in torch.cat([two.train.pixels[two.train.labels == 0]])}
    assert len(sevens & zeros) > 20  # label 0 is the seven: most of the other split's test sevens are trained on here


@pytest.mark.parametrize("kind", ["int64", "float32", "string"])
def test_the_classes_to_keep_are_labels_as_they_are_stored(tmp_path: Path, kind: str) -> None:
    stored = [1, 2, 3, 10] * 3
    columns = {
        "image": [grey(10 * label + row) for row, label in enumerate(stored)],
        "label": [str(label) if kind == "string" else label for label in stored],
    }
    features = Features({"image": ImageFeature(), "label": Value(kind)})
    folder = write_parquet(tmp_path / "d", {"train": columns}, features)
    splits = load(folder, classes=(10, 2), validation=0)
    assert splits.class_names == ["10", "2"]
    kept = [
        (label, pixel)
        for part in (splits.train, splits.test)
        for label, pixel in zip(part.labels.tolist(), first_pixels(part), strict=True)
    ]
    assert sorted(kept) == [(0, 103), (0, 107), (0, 111), (1, 21), (1, 25), (1, 29)]
    with pytest.raises(DataError, match="has no class 0; its classes are 1, "):
        load(folder, classes=(0, 1))


def test_examples_are_balanced_and_a_larger_subset_contains_the_smaller() -> None:
    small, large = (load("digits", classes=(0, 1, 2), examples=count) for count in (20, 40))
    assert sorted(small.train.labels.bincount().tolist()) == [6, 7, 7]
    assert sorted(large.train.labels.bincount().tolist()) == [13, 13, 14]
    seen = {tuple(image.flatten().tolist()) for image in large.train.pixels}
    assert all(tuple(image.flatten().tolist()) in seen for image in small.train.pixels)
    assert torch.equal(small.validation.pixels, large.validation.pixels)


def test_examples_take_all_of_a_class_too_small_for_its_share(tmp_path: Path) -> None:
    folder = write_folder(
        tmp_path / "d", {"train": {"few": numbered(2), "many": numbered(9, 100)}, "test": {"few": [grey(0)]}}
    )
    splits = load(folder, examples=8, validation=0)
    assert splits.train.labels.bincount().tolist() == [2, 6]


def test_validation_is_a_number_or_a_fraction_of_the_training_split(tmp_path: Path) -> None:
    folder = write_folder(
        tmp_path / "d", {"train": {"a": numbered(10), "b": numbered(10, 10)}, "test": {"a": numbered(3, 90)}}
    )
    for validation, held_out in ((5, 5), (0.25, 5), (0.01, 1), (0, 0)):
        splits = load(folder, validation=validation)
        assert len(splits.validation) == held_out
        assert sorted(first_pixels(splits.train) + first_pixels(splits.validation)) == list(range(20))
        assert first_pixels(splits.train) == sorted(first_pixels(splits.train))  # in stored order
        assert first_pixels(splits.test) == [90, 91, 92]


def test_without_a_test_split_validation_is_tested_on_else_a_fifth_of_train(tmp_path: Path) -> None:
    train = {"a": numbered(10), "b": numbered(10, 10)}
    with_validation = load(write_folder(tmp_path / "v", {"train": train, "validation": {"a": numbered(3, 90)}}))
    assert first_pixels(with_validation.test) == [90, 91, 92]
    without = load(write_folder(tmp_path / "t", {"train": train}), validation=4)
    assert without.test.labels.tolist() == [0, 0, 1, 1]
    assert (len(without.validation), len(without.train)) == (4, 12)


def test_named_splits_and_columns(tmp_path: Path) -> None:
    features = Features(
        {"picture": ImageFeature(), "thumb": ImageFeature(), "coarse": Value("int32"), "fine": Value("int8")}
    )
    columns = {
        "picture": numbered(6),
        "thumb": numbered(6, 50),
        "coarse": [0, 0, 0, 1, 1, 1],
        "fine": [0, 1, 2, 0, 1, 2],
    }
    folder = write_parquet(tmp_path / "d", {"train": columns, "test": columns}, features)
    splits = load(
        folder, image_column="thumb", label_column="fine", train_split="test", test_split="train", validation=0
    )
    assert first_pixels(splits.train) == [50, 51, 52, 53, 54, 55]
    assert splits.train.labels.tolist() == [0, 1, 2, 0, 1, 2]
    assert splits.class_names == ["0", "1", "2"]


def test_text_labels_are_numbered_in_sorted_order(tmp_path: Path) -> None:
    features = Features({"image": ImageFeature(), "label": Value("string")})
    columns = {"image": numbered(4), "label": ["dog", "cat", "dog", "ant"]}
    splits = load(write_parquet(tmp_path / "d", {"train": columns, "test": columns}, features), validation=0)
    assert splits.train.labels.tolist() == [2, 1, 2, 0]
    assert splits.class_names == ["ant", "cat", "dog"]


def test_parquet_without_hub_metadata_is_read_too(tmp_path: Path) -> None:
    import pyarrow.parquet

    folder = write_parquet(tmp_path / "d", {"train": {"image": numbered(4), "label": [0, 1, 0, 1]}}, FEATURES)
    file = folder / "train-00000-of-00001.parquet"
    pyarrow.parquet.write_table(pyarrow.parquet.read_table(file).replace_schema_metadata(None), file)
    assert len(load(folder, validation=1).train) == 2  # 4, less one to test on and one to validate


def test_the_fingerprint_is_of_the_content_not_of_where_it_lies(tmp_path: Path) -> None:
    images = {"cat": numbered(5), "dog": numbered(5, 100)}
    folder = write_folder(tmp_path / "folder", {"train": images, "test": images})
    columns = {"image": images["cat"] + images["dog"], "label": [0] * 5 + [1] * 5}
    parquet = write_parquet(tmp_path / "elsewhere" / "parquet", {"train": columns, "test": columns}, FEATURES)
    assert load(folder).fingerprint == load(parquet).fingerprint
    columns["image"][3] = grey(99)
    other = write_parquet(tmp_path / "other", {"train": columns, "test": columns}, FEATURES)
    assert load(other).fingerprint != load(parquet).fingerprint


def test_the_fingerprint_of_streamed_images_is_of_the_content_too(tmp_path: Path) -> None:
    columns = {"image": numbered(8), "label": [0, 1] * 4}
    prints = []
    for name in ("one", "two"):
        folder = write_parquet(tmp_path / name, {"train": columns}, FEATURES)
        prints.append(load(folder, in_memory=False).fingerprint)
        columns["label"] = [0, 1] * 4
    columns["label"] = [1, 0] * 4
    prints.append(load(write_parquet(tmp_path / "three", {"train": columns}, FEATURES), in_memory=False).fingerprint)
    assert prints[0] == prints[1] != prints[2]


def test_images_keep_their_channels_or_get_those_asked_for(tmp_path: Path) -> None:
    red = images_of(tmp_path / "red", colour(255, 0, 0))
    assert red.pixels[0, :, 0, 0].tolist() == [255, 0, 0]
    assert images_of(tmp_path / "grey-red", colour(255, 0, 0), channels=1).pixels[0, :, 0, 0].tolist() == [
        76
    ]  # .299 * 255
    assert images_of(tmp_path / "grey", grey(7)).pixels.shape == (1, 1, 4, 4)
    assert images_of(tmp_path / "repeated", grey(7), channels=3).pixels[0, :, 0, 0].tolist() == [7, 7, 7]


@pytest.mark.parametrize(
    ("image", "pixel"),
    [
        (colour(1, 2, 3).quantize(), [1, 2, 3]),
        (colour(1, 2, 3).convert("RGBA"), [1, 2, 3]),
        (grey(5).convert("LA"), [5]),
        (grey(255).convert("1"), [255]),
        (sixteen_bit(0x1234), [0x12]),
    ],
    ids=["palette", "rgb-alpha", "grey-alpha", "black-white", "16-bit"],
)
def test_every_kind_of_png_becomes_eight_bit_grey_or_colour(tmp_path: Path, image: Any, pixel: Any) -> None:
    assert images_of(tmp_path / "d", image).pixels[0, :, 0, 0].tolist() == pixel


def test_a_grey_image_among_coloured_ones_is_repeated_over_the_channels(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "d", {"train": {"a": [colour(1, 2, 3)], "b": [grey(9)]}, "test": {"a": [grey(8)]}})
    splits = load(folder, validation=0)
    assert splits.train.pixels[:, :, 0, 0].tolist() == [[1, 2, 3], [9, 9, 9]]
    assert splits.test.pixels[:, :, 0, 0].tolist() == [[8, 8, 8]]


def test_images_of_different_sizes_are_resized_to_the_square_asked_for(tmp_path: Path) -> None:
    halves = Image.new("L", (8, 4))
    halves.paste(200, (4, 0, 8, 4))  # the right half is lighter
    folder = write_folder(
        tmp_path / "d", {"train": {"a": [grey(5, size=2)], "b": [grey(6, size=9)]}, "test": {"a": [halves]}}
    )
    splits = load(folder, image_size=4, validation=0)
    assert splits.in_shape == (1, 4, 4)
    assert (splits.train.pixels == torch.tensor([5, 6]).view(2, 1, 1, 1)).all()
    assert splits.test.pixels[0, 0, :, 0].tolist() == [0] * 4  # the whole width is there: dark left, light right
    assert splits.test.pixels[0, 0, :, 3].tolist() == [200] * 4


def test_images_are_turned_upright(tmp_path: Path) -> None:
    lying = Image.new("L", (2, 1))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it upright
    folder = write_folder(tmp_path / "d", {"train": {"a": [grey(0)], "b": [grey(0)]}, "test": {"a": [grey(0)]}})
    for file in folder.rglob("*.png"):
        lying.putdata([10, 20 if "test" in file.parts else 30])
        lying.save(file, exif=exif)
    assert load(folder, validation=0).test.pixels.tolist() == [[[[10], [20]]]]


def test_decoded_images_are_remembered_and_a_damaged_memory_is_made_again(tmp_path: Path) -> None:
    folder = write_folder(
        tmp_path / "d", {"train": {"a": numbered(5), "b": numbered(5, 10)}, "test": {"a": [grey(90)]}}
    )
    first = load(folder).fingerprint
    cached = sorted((tmp_path / "ticketzoo-cache" / "images").iterdir())
    assert [file.suffix for file in cached] == [".safetensors"] * 2  # train and test, no half-written file beside them
    whole = {file: file.read_bytes() for file in cached}
    for damage in (lambda b: b[:-1] + bytes([b[-1] ^ 1]), lambda b: b[:20], lambda b: b"", lambda b: b + b"\0"):
        for file, content in whole.items():
            file.write_bytes(damage(content))
        assert load(folder).fingerprint == first
        assert {file: file.read_bytes() for file in cached} == whole


def test_remembered_images_are_used(tmp_path: Path) -> None:
    from hashlib import sha256

    from safetensors.torch import save_file

    folder = write_folder(
        tmp_path / "d", {"train": {"a": numbered(5), "b": numbered(5, 10)}, "test": {"a": [grey(90)]}}
    )
    load(folder)
    planted = torch.full((10, 1, 4, 4), 77, dtype=torch.uint8)
    for file in (tmp_path / "ticketzoo-cache" / "images").iterdir():
        save_file({"pixels": planted}, file, metadata={"sha256": sha256(planted.numpy().data).hexdigest()})
    splits = load(folder, split_seed=3, examples=4)  # seeds and subsets are drawn from the same memory
    assert first_pixels(splits.train) == [77] * 4
    assert first_pixels(splits.test) == [90]  # ten images cannot be the one test image: decoded again


def test_a_changed_image_is_not_answered_from_memory(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "d", {"train": {"a": numbered(5), "b": numbered(5)}, "test": {"a": [grey(90)]}})
    assert first_pixels(load(folder).test) == [90]
    changed = folder / "test" / "a" / "0000.png"
    grey(91).save(changed)
    os.utime(changed, (0, 0))
    assert first_pixels(load(folder).test) == [91]


def test_an_unwritable_cache_is_no_hindrance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("TICKETZOO_CACHE", str(tmp_path / "file"))
    folder = write_folder(tmp_path / "d", {"train": {"a": numbered(5), "b": numbered(5)}, "test": {"a": [grey(90)]}})
    assert len(load(folder).train) == 9


def test_nothing_is_printed_and_no_setting_stays_changed_without_a_terminal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = write_folder(
        tmp_path / "d", {"train": {"a": numbered(5), "b": numbered(5)}, "test": {"a": [grey(90)], "b": [grey(91)]}}
    )
    load(folder)
    assert capfd.readouterr() == ("", "")
    assert not are_progress_bars_disabled()
