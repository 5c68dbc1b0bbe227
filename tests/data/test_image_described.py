"""Images described by a table beside them, which is read as tables of texts are."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from image_folders import first_pixels, numbered, png

from ticketzoo.data.images.splits import ImageDataset, ImageSplits, load_images
from ticketzoo.errors import DataError


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKETZOO_CACHE", str(tmp_path / "ticketzoo-cache"))


def load(path: Path, **keys: Any) -> ImageSplits:
    return load_images(ImageDataset(path=str(path), **{"validation": 0, **keys}))


def rows(count: int, labels: str = "ab") -> str:
    return "".join(f"{number}.png,{labels[number % len(labels)]}\n" for number in range(count))


def folder(root: Path, train: str | bytes, test: str | None = None, name: str = "metadata.csv") -> Path:
    """Ten images to train on, 0.png to 9.png of values 0 to 9, and four to test on, of 20 to 23, with their tables."""
    for split, images in (("train", numbered(10)), ("test", numbered(4, 20))):
        (root / split).mkdir(parents=True)
        for number, image in enumerate(images):
            image.save(root / split / f"{number}.png")
    content = train.encode() if isinstance(train, str) else train
    (root / "train" / name).write_bytes(content)
    (root / "test" / name).write_text("file_name,label\n" + rows(4) if test is None else test)
    return root


def refusal(path: Path, **keys: Any) -> str:
    with pytest.raises(DataError) as refused:
        load(path, **keys)
    return str(refused.value).removeprefix(f"{path}/")


def test_images_that_no_row_names_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    splits = load(folder(tmp_path / "d", "file_name,label\n" + rows(5)))
    assert first_pixels(splits.train) == [0, 1, 2, 3, 4]
    assert first_pixels(splits.test) == [20, 21, 22, 23]
    said = "left out: images that metadata.csv does not name: 5"
    assert said in splits.laid_out
    assert caplog.messages == [f"{tmp_path / 'd'}: {said} (train/5.png)"]


def test_rows_are_read_in_their_order_and_columns_by_name(tmp_path: Path) -> None:
    train = "class,file_name,note\n" + "".join(f"{'ab'[number % 2]},{number}.png,x\n" for number in (7, 2, 5, 0))
    splits = load(folder(tmp_path / "d", train, "class,file_name,note\na,3.png,\nb,1.png,\n"))
    assert (first_pixels(splits.train), first_pixels(splits.test)) == ([7, 2, 5, 0], [23, 21])
    assert (splits.train.labels.tolist(), splits.class_names) == ([1, 0, 1, 0], ["a", "b"])


def test_tables_in_folders_of_a_split_name_files_as_from_there(tmp_path: Path) -> None:
    path = folder(tmp_path / "d", "file_name,label\n" + rows(4))
    (path / "train" / "more").mkdir()
    numbered(1, 90)[0].save(path / "train" / "more" / "0.png")
    (path / "train" / "more" / "metadata.csv").write_text("file_name,label\n0.png,b\n")
    assert first_pixels(load(path).train) == [0, 1, 2, 3, 90]


@pytest.mark.parametrize(
    ("train", "said"),
    [
        (b"file_name,label\n0.png,a\n1.png,caf\xe9\n", "line 3: no UTF-8 text (byte 0xe9): save it as UTF-8"),
        ("file_name;label\n0.png;a\n", "line 1: no commas in 'file_name;label', it seems separated by semicolons: "),
        ("file_name,label\n0.png,a,b\n", "line 2: 3 cells, but the first row names 2 (file_name, label): '0.png,a,b'"),
        ("file_name,label\n0.png,a\nghost.png,b\n", "line 3: there is no file 'ghost.png' in "),
        ("file_name,label\n0.png,a\n,b\n", "line 3: column 'file_name' names no file: name one, or leave the row out"),
        ("file_name,label\n../test/0.png,a\n", "line 2: '../test/0.png' is outside the folder of metadata.csv: name "),
        ("file_name,label\n/etc/0.png,a\n", "line 2: '/etc/0.png' is outside the folder of metadata.csv: name files"),
        ("file_name,label\n0.png,a\n1.png,\n", "line 3 has no label in column 'label': give it one, or leave the row"),
        ("file_name,label\n0.png,1\n1.png,01\n", "line 3 has label '01', no number, but "),
    ],
)
def test_what_is_wrong_in_a_table_is_said_with_its_line(tmp_path: Path, train: str | bytes, said: str) -> None:
    test = "file_name,label\n0.png,1\n" if b"01" in (train if isinstance(train, bytes) else train.encode()) else None
    assert (
        refusal(folder(tmp_path / "d", train, test))
        .replace("csv, line", "csv: line")
        .startswith(f"train/metadata.csv: {said}")
    )


def test_another_name_for_the_column_of_files(tmp_path: Path) -> None:
    path = folder(tmp_path / "d", "filename,label\n" + rows(10))
    columns = "has no column file_name; its columns: filename, label: rename 'filename' to file_name"
    assert refusal(path) == f"train/metadata.csv {columns}"


def test_a_split_without_a_table(tmp_path: Path) -> None:
    path = folder(tmp_path / "d", "file_name,label\n" + rows(10))
    (path / "test" / "metadata.csv").unlink()
    there = f"{path}/train/metadata.csv is there: write one in each split's folder"
    assert refusal(path) == f"test/ has no metadata.csv, but {there}"


def test_a_missing_file_is_left_out_where_the_recipe_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    splits = load(folder(tmp_path / "d", "file_name,label\n" + rows(4) + "ghost.png,b\n"), on_error="skip")
    assert first_pixels(splits.train) == [0, 1, 2, 3]
    assert "ghost.png) cannot be read: No such file or directory; skipped (unreadable images so far: 1)" in caplog.text


@pytest.mark.parametrize("labels", [("NA", "null"), ("000", "001"), ("nan", "x")])
def test_words_and_numbers_with_zeros_before_them_are_classes_as_they_stand(
    tmp_path: Path, labels: tuple[str, str]
) -> None:
    table = "file_name,label\n" + "".join(f"{number}.png,{labels[number % 2]}\n" for number in range(4))
    splits = load(folder(tmp_path / "d", table, table))
    assert splits.class_names == sorted(labels)
    assert splits.train.labels.tolist() == [sorted(labels).index(labels[number % 2]) for number in range(4)]


def test_numbers_are_classes_in_their_order(tmp_path: Path) -> None:
    table = "file_name,label\n0.png,10\n1.png,9\n2.png,10\n3.png,9\n"
    assert load(folder(tmp_path / "d", table, table)).class_names == ["9", "10"]


@pytest.mark.parametrize("name", ["metadata.jsonl", "metadata.parquet"])
def test_tables_of_other_kinds(tmp_path: Path, name: str) -> None:
    path = folder(tmp_path / "d", "", "", name)
    for split in ("train", "test"):
        if name.endswith("jsonl"):
            lines = [f'{{"file_name": "{number}.png", "label": {number % 2}}}\n' for number in range(3)]
            (path / split / name).write_text("".join(lines))
        else:
            columns = {"file_name": [f"{number}.png" for number in range(3)], "label": [0, 1, 0]}
            pq.write_table(pa.table(columns), path / split / name)
    splits = load(path)
    assert (first_pixels(splits.train), splits.train.labels.tolist()) == ([0, 1, 2], [0, 1, 0])


def in_parquet(root: Path, labels: dict[str, list[Any]]) -> Path:
    """Images as the bytes of their files alone, with labels of each split."""
    root.mkdir()
    for split, values in labels.items():
        start = 0 if split == "train" else 20
        images = [png(image) for image in numbered(len(values), start)]
        pq.write_table(pa.table({"image": images, "label": values}), root / f"{split}.parquet")
    return root


def test_a_column_of_bytes_is_one_of_images(tmp_path: Path) -> None:
    splits = load(in_parquet(tmp_path / "d", {"train": ["a", "b", "a"], "test": ["a", "b"]}))
    assert (first_pixels(splits.train), first_pixels(splits.test)) == ([0, 1, 2], [20, 21])


@pytest.mark.parametrize(("train", "test"), [([0, 1], ["a", "b"]), (["0", "1"], [0, 1])])
def test_labels_of_two_kinds_in_two_files_are_refused(tmp_path: Path, train: list[Any], test: list[Any]) -> None:
    path = in_parquet(tmp_path / "d", {"train": train, "test": test})
    kinds = ("texts", "none") if test[0] == "a" else ("no texts", "texts")
    there = f"holds {kinds[0]}, and {kinds[1]} in {path}/train.parquet: make them alike"
    assert refusal(path) == f"test.parquet: column 'label' {there}"


GAPS = [str(2 * number) for number in range(101)]
DOUBTED = [
    (["1", "2", "cat"], "train/metadata.csv, line 4 has label 'cat', no number, but "),
    (["1", "2", "1" * 20], f"train/metadata.csv, line 4 has label '{'1' * 20}', of more digits than 64 bits hold: "),
    (["1.0", "2.0", "9007199254740993"], "train/metadata.csv, line 4 has label '9007199254740993', a whole number "),
    (GAPS, "labels of "),
]


def labelled(root: Path, labels: list[str]) -> Path:
    """As many images as labels, two of each, all in train."""
    (root / "train").mkdir(parents=True)
    lines = ["file_name,label"]
    for number, (label, image) in enumerate(zip([*labels, *labels], numbered(2 * len(labels)), strict=True)):
        image.save(root / "train" / f"{number}.png")
        lines.append(f"{number}.png,{label}")
    (root / "train" / "metadata.csv").write_text("\n".join(lines) + "\n")
    return root


@pytest.mark.parametrize(("labels", "said"), DOUBTED)
def test_labels_that_are_doubted_load_once_they_are_named_with_letters(
    tmp_path: Path, labels: list[str], said: str
) -> None:
    message = refusal(labelled(tmp_path / "numbers", labels))
    assert message.startswith(said)
    assert message.endswith(": if they are classes, name all of them with letters, such as class-1")
    names = [f"class-{label}" for label in labels]
    assert load(labelled(tmp_path / "names", names)).class_names == sorted(names)


def test_numbers_are_not_doubted_where_the_recipe_names_classes(tmp_path: Path) -> None:
    splits = load(labelled(tmp_path / "d", GAPS), classes=(0, 2))
    assert splits.class_names == ["0", "2"]


def test_numbers_of_a_copy_of_a_hub_data_set_are_not_doubted(tmp_path: Path) -> None:
    path = labelled(tmp_path / "d", GAPS)
    (path / "README.md").write_text("---\nconfigs:\n- config_name: default\n  data_files: train/*\n---\n")
    assert load(path).class_names == GAPS
