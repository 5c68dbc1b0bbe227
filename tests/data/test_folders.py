"""The layout of a user's folder: its splits and classes, and what is left out, listed."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from ticketzoo.data.contents import content_key, repeated
from ticketzoo.data.folders import Layout, resolve_folder, split_named
from ticketzoo.data.table_files import resolve_tables
from ticketzoo.errors import DataError

KINDS = {".parquet": "parquet", ".jsonl": "json", ".json": "json", ".csv": "csv", ".txt": "text"}


def lay_out(root: Path, *files: str) -> Path:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text(file)
    return root


def pictures(root: Path) -> Layout:
    return resolve_folder(root, lambda file: file.suffix == ".png", "images")


def names(layout: Layout) -> Mapping[str, Mapping[str, list[str]]]:
    return {
        split: {name: [str(file.relative_to(layout.root)) for file in files] for name, files in classes.items()}
        for split, classes in layout.splits.items()
    }


@pytest.mark.parametrize(
    ("name", "split"),
    [
        *((name, "train") for name in ("train", "Train", "TRAIN", "trainset", "train_set", "Training", "train-images")),
        *((name, "test") for name in ("test", "Test", "test-set", "TESTSET", "testing", "eval", "Evaluation")),
        *((name, "validation") for name in ("val", "valid", "validation", "dev", "Val_Set", "validation data")),
        *((name, None) for name in ("crash_test", "train2", "trains", "contest", "testament", "my_train", "value", "")),
    ],
)
def test_names_that_are_splits(name: str, split: str | None) -> None:
    assert split_named(name) == split


@pytest.mark.parametrize("second", ["sham", "train", "test", "crash_test", "val"])
def test_a_class_may_be_called_like_a_split(tmp_path: Path, second: str) -> None:
    classes = [f"{split}/{name}/0.png" for split in ("train", "test") for name in ("control", second)]
    assert names(pictures(lay_out(tmp_path, *classes))) == {
        split: {name: [f"{split}/{name}/0.png"] for name in sorted(("control", second))} for split in ("train", "test")
    }


def test_without_splits_the_first_level_is_the_classes_whatever_they_are_called(tmp_path: Path) -> None:
    layout = pictures(lay_out(tmp_path, "control/0.png", "test/0.png", "train/test.png"))
    assert names(layout) == {
        "train": {"control": ["control/0.png"], "test": ["test/0.png"], "train": ["train/test.png"]}
    }


def test_a_class_is_the_folder_right_in_the_split_with_all_below_it(tmp_path: Path) -> None:
    layout = pictures(lay_out(tmp_path, "train/cat/0.png", "train/cat/test/1.png", "train/dog/2020/0.png"))
    assert names(layout) == {
        "train": {"cat": ["train/cat/0.png", "train/cat/test/1.png"], "dog": ["train/dog/2020/0.png"]}
    }


def test_letters_that_are_patterns_elsewhere_are_letters(tmp_path: Path) -> None:
    lay_out(tmp_path, "photos1/train/a/0.png", "photos[1]/train/a*/1.png", "photos[1]/train/b?/[2].png")
    assert names(pictures(tmp_path / "photos[1]")) == {"train": {"a*": ["train/a*/1.png"], "b?": ["train/b?/[2].png"]}}


def test_links_to_splits_classes_and_files_are_followed(tmp_path: Path) -> None:
    lay_out(tmp_path / "elsewhere", "one/a/0.png", "b/0.png", "0.png")
    root = lay_out(tmp_path / "root", "test/a/0.png", "test/b/0.png")
    (root / "train").symlink_to(tmp_path / "elsewhere" / "one")
    (tmp_path / "elsewhere" / "one" / "b").symlink_to(tmp_path / "elsewhere" / "b")
    (root / "test" / "b" / "1.png").symlink_to(tmp_path / "elsewhere" / "0.png")
    (root / "test" / "b" / "2.png").symlink_to(root / "nowhere")
    layout = pictures(root)
    assert names(layout) == {
        "train": {"a": ["train/a/0.png"], "b": ["train/b/0.png"]},
        "test": {"a": ["test/a/0.png"], "b": ["test/b/0.png", "test/b/1.png"]},
    }
    assert layout.left_out == {"links that lead nowhere": ["test/b/2.png"]}


def test_links_that_go_in_a_circle_are_an_error(tmp_path: Path) -> None:
    root = lay_out(tmp_path, "train/a/0.png")
    (root / "train" / "a" / "up").symlink_to(root / "train")
    with pytest.raises(DataError, match="train/a/up is a link to a folder that it lies in: remove it"):
        pictures(root)
    (root / "train" / "a" / "up").unlink()
    (root / "train" / "self").symlink_to("self")
    with pytest.raises(DataError, match=r"the link .*/train/self cannot be followed: "):
        pictures(root)


def test_class_names_that_differ_by_unicode_form_alone_are_one(tmp_path: Path) -> None:
    layout = pictures(lay_out(tmp_path, "train/caf\u00e9/0.png", "train/b/0.png", "test/cafe\u0301/0.png"))
    assert layout.classes == ["b", "caf\u00e9"]
    assert [list(layout.splits[split]) for split in ("train", "test")] == [["b", "caf\u00e9"], ["caf\u00e9"]]


def test_what_is_not_used_is_listed_with_its_reason(tmp_path: Path) -> None:
    root = lay_out(
        tmp_path,
        *("train/a/0.png", "train/a/0.json", "train/.net/0.png", "train/__other__/0.png", "train/a/.1.png"),
        *("train/preview.png", "cover.png", "extra/c/0.png", "train/a/__MACOSX/0.png", "train/@eaDir/a/0.png"),
    )
    (root / "test").mkdir()
    layout = pictures(root)
    assert list(layout.splits["train"]) == ["__other__", "a"]
    assert layout.left_out == {
        "files that are no images": ["train/a/0.json"],
        "hidden files": ["train/a/.1.png"],
        "files in hidden folders": ["train/.net/0.png"],
        "folders of systems and tools": ["train/@eaDir", "train/a/__MACOSX"],
        "in no class folder": ["train/preview.png"],
        "images in no split": ["cover.png"],
        "in folders that are no split": ["extra/c/0.png"],
        "empty folders": [],
    }
    unknown, unused = layout.remarks
    assert unknown == "not used: extra/ (images: 1), no split by name"
    assert unused == "test/ holds no images"
    words, examples = layout.left_out_words() or ("", "")
    assert words.startswith("left out: ")
    assert sorted(words.removeprefix("left out: ").split("; ")) == [
        "files in hidden folders: 1",
        "files that are no images: 1",
        "folders of systems and tools: 2",
        "hidden files: 1",
        "images in no split: 1",
        "in no class folder: 1",
    ]
    assert {"train/.net/0.png", "train/@eaDir", "train/a/.1.png", "train/a/0.json"} <= set(examples.split(", "))


@pytest.mark.parametrize(
    "files",
    [
        ("train/a/0.png", "train/b/0.png", "holdout/a/1.png", "holdout/b/1.png"),
        ("Training/a/0.png", "Training/b/0.png", "Testen/a/1.png"),
        ("data/train/a/0.png", "data/val/a/1.png", "data/holdout/a/2.png"),
    ],
)
def test_a_folder_that_may_have_been_the_test_split_is_an_error_that_says_how_to_call_it(
    tmp_path: Path, files: tuple[str, ...]
) -> None:
    with pytest.raises(DataError) as refused:
        pictures(lay_out(tmp_path, *files))
    message = str(refused.value)
    train, unknown = files[0].removeprefix("data/").split("/")[0], files[-1].removeprefix("data/").split("/")[0]
    assert f"has no test/, but {unknown}/ is laid out like {train}/: call it test/ if it is to be tested on" in message
    assert message.endswith("test, testing, eval, evaluation, evaluate, evaluating")


def test_beside_a_test_split_an_unknown_folder_is_named_and_not_used(tmp_path: Path) -> None:
    layout = pictures(lay_out(tmp_path, "train/a/0.png", "test/a/1.png", "holdout/a/2.png", "holdout/a/3.png"))
    assert {split: len(layout.files(split)) for split in layout.splits} == {"train": 1, "test": 1}
    (said,) = layout.remarks
    assert said == "not used: holdout/ (images: 2), no split by name"


def test_a_folder_called_train_that_is_read_as_a_class_is_said(tmp_path: Path) -> None:
    layout = pictures(lay_out(tmp_path, "train/0.png", "holdout/1.png"))
    assert layout.classes == ["holdout", "train"]
    assert layout.remarks == ["train/ is taken for a class: a split has a folder for each class"]
    assert pictures(lay_out(tmp_path / "other", "control/0.png", "test/1.png")).remarks == []


@pytest.mark.parametrize(
    ("files", "error"),
    [
        (("train/a/0.png", "Train/a/1.png"), "has several folders of the split 'train', Train/, train/"),
        (("test/a/0.png", "crash/a/0.png"), "has test/, but no train/ beside it, only crash/"),
        (("photos/train/a/0.png", "photos/test/a/0.png"), "holds test/, train/ one level down, in photos/: give "),
        (("p/q/train/a/0.png",), "holds train/ 2 levels down, in p/q/: give "),
        (("images/cat/0.png", "images/dog/0.png"), "holds cat/, dog/ one level down, in images/: give "),
        (("train/a\nb/0.png",), "no name that can be shown: rename it"),
        (("mytrain/a/0.png", "mytest/a/0.png"), "has a/ both in mytest/ and in mytrain/: if these are splits, "),
    ],
)
def test_a_layout_that_can_be_read_in_two_ways_is_refused(tmp_path: Path, files: tuple[str, ...], error: str) -> None:
    with pytest.raises(DataError) as refused:
        pictures(lay_out(tmp_path, *files))
    assert error in str(refused.value)
    assert str(tmp_path) in str(refused.value)


def test_a_folder_data_that_holds_everything_is_the_first_level(tmp_path: Path) -> None:
    layout = pictures(lay_out(tmp_path, "data/train/a/0.png", "data/test/b/0.png", "README.md"))
    assert names(layout) == {"train": {"a": ["data/train/a/0.png"]}, "test": {"b": ["data/test/b/0.png"]}}


@pytest.mark.parametrize(
    ("files", "splits"),
    [
        (("train.csv", "test.csv"), {"train": ["train.csv"], "test": ["test.csv"]}),
        (("Train.CSV", "VAL.csv"), {"train": ["Train.CSV"], "validation": ["VAL.csv"]}),
        (
            ("train.csv", "train.csv.bak", "train_test_overlap.csv", "test.csv", "notes.txt"),
            {"train": ["train.csv"], "test": ["test.csv"]},
        ),
        (
            ("train_1.csv", "train_2.csv", "dev.csv"),
            {"train": ["train_1.csv", "train_2.csv"], "validation": ["dev.csv"]},
        ),
        (("contest.csv",), {"train": ["contest.csv"]}),
        (("train/x/test.csv", "test/a.csv"), {"train": ["train/x/test.csv"], "test": ["test/a.csv"]}),
        (
            (
                "data/train-00000-of-00002.parquet",
                "data/train-00001-of-00002.parquet",
                "data/o-00000-of-00001.parquet",
            ),
            {
                "train": ["data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet"],
                "o": ["data/o-00000-of-00001.parquet"],
            },
        ),
        (("train.jsonl.gz", "test.jsonl.gz"), {"train": ["train.jsonl.gz"], "test": ["test.jsonl.gz"]}),
    ],
)
def test_tables_are_of_the_split_that_they_are_called(
    tmp_path: Path, files: tuple[str, ...], splits: dict[str, list[str]]
) -> None:
    _, layout = resolve_tables(lay_out(tmp_path, *files), KINDS)
    assert names(layout) == {split: {"": found} for split, found in splits.items()}
    used = {name for found in splits.values() for name in found}
    assert sorted(name for found in layout.left_out.values() for name in found) == sorted(set(files) - used)


def test_two_tables_of_one_split_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has the split 'test' several times"):
        resolve_tables(lay_out(tmp_path, "train.csv", "test.csv", "eval.csv"), KINDS)


def test_empty_folders_are_listed(tmp_path: Path) -> None:
    root = lay_out(tmp_path, "train/a/0.png", "train/c/.DS_Store")
    (root / "train" / "b").mkdir()
    left_out = pictures(root).left_out
    assert left_out == {"empty folders": ["train/b/", "train/c/"], "hidden files": ["train/c/.DS_Store"]}


def test_one_file_of_a_store_of_contents_may_be_linked_to_twice(tmp_path: Path) -> None:
    root = lay_out(tmp_path, f"blobs/{'0a' * 20}", "c.png")
    files = [root / name for name in ("a.png", "b.png", "d.png")]
    for file in files[:2]:
        file.symlink_to(root / "blobs" / ("0a" * 20))
    assert repeated([*files[:2], root / "c.png"]) == [[0, 1]]
    files[2].symlink_to(root / "c.png")
    with pytest.raises(DataError, match=r"d\.png is the same file as .*c\.png, by a link"):
        repeated([root / "c.png", files[2]])
    with pytest.raises(DataError, match=r"c\.png is named twice: name each image once, in one split"):
        repeated([root / "c.png", root / "c.png"])


def test_the_key_of_contents_is_theirs_and_not_that_of_times(tmp_path: Path) -> None:
    root = lay_out(tmp_path, "a", "b")
    keys = []
    for text, time in (("one", 1), ("one", 2), ("two", 2)):
        (root / "a").write_text(text)
        os.utime(root / "a", (time, time))
        keys.append(content_key(root, [root / "a", root / "b"]))
    assert keys[0] == keys[1] != keys[2]


def test_large_files_are_known_by_their_time_of_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ticketzoo.data.contents._DIGESTED", 0)
    monkeypatch.setattr("ticketzoo.data.contents._RECENT", -3600)  # no file counts as just changed
    root = lay_out(tmp_path, "a")
    before = content_key(root, [root / "a"])
    assert content_key(root, [root / "a"]) == before
    status = (root / "a").stat()
    (root / "b").write_text("A")
    os.utime(root / "b", ns=(status.st_atime_ns, status.st_mtime_ns))
    (root / "b").replace(root / "a")
    assert (root / "a").stat().st_mtime_ns == status.st_mtime_ns
    assert content_key(root, [root / "a"]) != before
