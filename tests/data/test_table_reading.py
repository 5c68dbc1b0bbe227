"""Folders of tables are read as they are: each cell as it stands, each file in the split that its name says."""

import bz2
import csv
import gzip
import json
import lzma
import os
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from datasets import Dataset, DatasetDict
from pyarrow import parquet
from pydantic import ValidationError

from ticketzoo.data.stored import load_published
from ticketzoo.data.tables.files import Reading
from ticketzoo.data.tables.load import load_tables
from ticketzoo.data.text.rows import TextDataset
from ticketzoo.errors import DataError

ROWS = "text,label\na,0\nb,1\n"


def read(folder: Path, name: str | None = None, **how: Any) -> dict[str, dict[str, list[Any]]]:
    return {split: table.to_dict() for split, table in load_tables(folder, name, Reading(**how)).splits.items()}


def refusal(folder: Path, **how: Any) -> str:
    with pytest.raises(DataError) as error:
        read(folder, **how)
    assert "\n" not in str(error.value)
    return str(error.value)


def write(folder: Path, **files: str | bytes) -> Path:
    """Write files; `__` in a name stands for a dot."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def test_every_word_is_a_text(tmp_path: Path) -> None:
    words = ["NA", "N/A", "null", "None", "nan", "NaN", "", "-", "007", "1e5", "1.0", "True", " a ", "2020-01-01"]
    lines = "".join(json.dumps({"text": word}) + "\n" for word in words)
    folder = write(tmp_path, train__jsonl=lines, test__csv="text,label\n" + "".join(f"{word},x\n" for word in words))
    tables = read(folder)
    assert tables["train"]["text"] == words
    assert tables["test"]["text"] == [word or None for word in words]
    assert read(folder, missing=("NA", "nan"))["test"]["text"][:5] == [None, "N/A", "null", "None", None]


def test_quotes_hold_commas_line_breaks_and_quotes(tmp_path: Path) -> None:
    folder = write(tmp_path, train__csv='text,label\r\n"a, ""b""\nc",0\r\n5" tv,1\r\n\r\n6" or 7",0')
    assert read(folder)["train"] == {"text": ['a, "b"\nc', '5" tv', '6" or 7"'], "label": ["0", "1", "0"]}
    places = load_tables(folder, None, Reading()).places["train"]
    assert [places.of(row) for row in range(3)] == [f"{folder}/train.csv, line {line}" for line in (2, 4, 6)]


def test_only_a_cell_without_quotes_is_missing(tmp_path: Path) -> None:
    folder = write(tmp_path, train__csv='text,label\n"",0\n,1\n"NA",2\nNA,3\n"a ""NA""",""\n')
    assert read(folder, missing=("NA",))["train"] == {
        "text": ["", None, "NA", None, 'a "NA"'],
        "label": ["0", "1", "2", "3", ""],
    }


def test_a_cell_may_be_long_and_rows_may_be_many(tmp_path: Path) -> None:
    long = "x" * 200_000
    folder = write(tmp_path, train__csv=f"text,\n{long},1\n" + "y,2\n" * 10_001)
    assert read(folder)["train"] == {"text": [long, *["y"] * 10_001]}
    assert csv.field_size_limit() == 131_072


def test_threads_that_read_at_once_leave_the_longest_cell_as_it_was(tmp_path: Path) -> None:
    folders = [write(tmp_path / str(number), train__csv="text,\n" + "y,2\n" * 30_001) for number in range(4)]
    with ThreadPoolExecutor(4) as threads:
        assert [len(one["train"]["text"]) for one in threads.map(read, folders)] == [30_001] * 4
    assert csv.field_size_limit() == 131_072


@pytest.mark.parametrize(("separator", "mark"), [(";", ";"), ("tab", "\t"), ("|", "|")])
def test_the_recipe_says_what_separates_cells(tmp_path: Path, separator: str, mark: str) -> None:
    folder = write(tmp_path, train__csv=f"text{mark}label\na, b{mark}0\n")
    told = TextDataset(path=str(folder), separator=separator)
    assert told.load().splits["train"].to_dict() == {"text": ["a, b"], "label": ["0"]}
    assert f"set task.dataset.separator to {separator if separator == 'tab' else repr(mark)}" in refusal(folder)
    with pytest.raises(ValidationError, match='one character such as ";", or "tab"'):
        TextDataset(path=str(folder), separator=";;")


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_an_encoding_without_mark_is_named(tmp_path: Path, encoding: str) -> None:
    folder = write(tmp_path, train__csv=ROWS.encode(encoding))
    assert f"say the encoding, as in task.dataset.encoding: {encoding}" in refusal(folder)
    assert read(folder, encoding=encoding)["train"]["text"] == ["a", "b"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32", "latin-1", "utf-16-le"])
def test_encodings_are_read_by_their_mark_or_by_declaration(tmp_path: Path, encoding: str) -> None:
    folder = write(tmp_path, train__csv="text,label\né,0\nü,1\n".encode(encoding))
    how = {} if encoding in ("utf-8-sig", "utf-16", "utf-32") else {"encoding": encoding}
    assert read(folder, **how)["train"] == {"text": ["é", "ü"], "label": ["0", "1"]}


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        (
            "train.csv",
            "text,label\na,0\nb,é\n".encode("latin-1"),
            "train.csv, line 3: no UTF-8 text (byte 0xe9): say the encoding, as in task.dataset.encoding: latin-1",
        ),
        ("train.jsonl", '{"text": "a"}\n{"text": "é"}\n'.encode("latin-1"), "train.jsonl, line 2: no UTF-8 text"),
        ("train.csv", ROWS + "\0,1\n", "train.csv, line 4: a zero byte, which no text has: the file is damaged"),
        (
            "train.csv",
            ROWS + "a, b,1\n",
            "train.csv, line 4: 3 cells, but the first row names 2 (text, label): 'a, b,1'",
        ),
        ("train.csv", ROWS + "  \n", "train.csv, line 4: spaces only: remove them"),
        ("train.csv", b"PK\x03\x04\0\0", "train.csv is no text but a zip archive, or a spreadsheet of Excel's"),
        ("train.csv", ROWS + "a\n", "train.csv, line 4: 1 cell, but the first row names 2"),
        ("train.csv", ROWS + '"a,1\nb,0\n', "train.csv, line 4: a quote is opened and never closed: close or double"),
        ("train.csv", ROWS + 'a,"1\nb,0\n', "train.csv, line 4: a quote is opened and never closed"),
        (
            "train.csv",
            ROWS + '"a,1\nb "x",0\n',
            "train.csv, line 4: a quote is opened and then closed in line 5 within a cell: quote the whole cell",
        ),
        ("train.csv", ROWS + '"a" b,1\n', "train.csv, line 4: a quote is opened and then closed within a cell"),
        ("train.csv", "text,text\na,b\n", "train.csv, line 1: two columns are called 'text': rename one"),
        ("train.csv", "text;label\na;0\n", "line 1: no commas in 'text;label', it seems separated by semicolons: set"),
        ("train.tsv", "text,label\na,0\n", "line 1: no tabs in 'text,label', it seems separated by commas: set"),
        ("train.csv", "", "train.csv is empty: its first row must name the columns"),
        ("train.csv", ",\na,b\n", "train.csv, line 1: it names no column, but the first row must"),
        ("train.csv", "text,label\n", "split 'train' has no rows: "),
        (
            "train.jsonl",
            '{"a": 1}\n\n{"a": "x"}\n',
            "train.jsonl, line 3: column 'a' holds a text there, and a number at 1",
        ),
        ("train.jsonl", '{"a": 1}\n{"a": 1, "a": 2}\n', "train.jsonl, line 2: no JSON object: 'a' stands in it twice"),
        (
            "train.jsonl",
            '{"a": 1}\n{"a": 100000000000000000000}\n',
            "train.jsonl, line 2: column 'a' holds a whole number beyond 64 bits: write it as a text",
        ),
        ("train.jsonl", '{"a": [100000000000000000000]}\n', "jsonl, line 1: column 'a' holds a number beyond 64 bits"),
        ("train.jsonl", '{"a": [1]}\n{"a": ["x"]}\n', "train.jsonl, line 2: column 'a' holds a value of another kind"),
        ("train.jsonl", '{"a": 1}\n{"a": \n', "train.jsonl, line 2: no JSON object: Expecting value"),
        ("train.jsonl", '{"a": "\\ud800"}\n', "train.jsonl: column 'a' holds half a character"),
        ("train.jsonl", '{"\\ud800": 1}\n', "train.jsonl: the name of a column holds half a character"),
        ("train.json", "[1]", "train.json, row 1: a number, but a row is an object"),
        ("train.parquet", "x", "train.parquet is no parquet file that can be read: "),
        ("train.csv.gz", "x", "train.csv.gz cannot be unpacked: "),
        ("train.zip", "x", "train.zip cannot be unpacked: File is not a zip file"),
        (
            "train.csv",
            "version https://git-lfs.github.com/spec/v1\n",
            "train.csv is a pointer of Git LFS",
        ),
        ("train.md", "x", "holds no tables (*.parquet, *.arrow, *.csv, "),
    ],
)
def test_what_cannot_be_read_is_named_with_file_row_and_cause(
    tmp_path: Path, file: str, content: str | bytes, said: str
) -> None:
    assert said in refusal(write(tmp_path, **{file.replace(".", "__"): content}))


def test_packed_files_are_read(tmp_path: Path) -> None:
    packed = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}
    for suffix, compress in packed.items():
        folder = write(tmp_path / suffix, **{f"train__csv__{suffix}": compress(ROWS.encode())})
        assert read(folder)["train"]["text"] == ["a", "b"]
    with zipfile.ZipFile(tmp_path / "train.zip", "w") as archive:
        archive.writestr("rows.csv", ROWS)
    assert read(tmp_path)["train"]["text"] == ["a", "b"]
    with zipfile.ZipFile(tmp_path / "train.zip", "a") as archive:
        archive.writestr("more.csv", ROWS)
    assert "train.zip holds rows.csv, more.csv, and not one table: unpack it" in refusal(tmp_path)


def test_splits_may_be_of_different_kinds_and_other_files_are_named(tmp_path: Path) -> None:
    folder = write(
        tmp_path,
        Train__CSV=ROWS,
        test__tsv="text\tlabel\nc, d\t1\n",
        val__jsonl='{"text": "e", "label": 0}\n',
        train__csv__bak=ROWS + "x,1\n",
        train_test_overlap__csv=ROWS + "y,1\n",
        README__md="# Mine",
        LICENSE__txt="yours",
    )
    found = load_tables(folder, None, Reading())
    assert {split: table["text"][:] for split, table in found.splits.items()} == {
        "train": ["a", "b"],
        "test": ["c, d"],
        "validation": ["e"],
    }
    assert found.remarks.odd == [("not read, as in no split: 2 files", "train.csv.bak, train_test_overlap.csv")]


@pytest.mark.parametrize(
    ("files", "facts", "odd"),
    [
        (["train_1.csv", "train_2.csv"], ["train is read from 2 files"], []),
        (["train_part1.csv", "TRAIN-shard-2.csv"], ["train is read from 2 files"], []),
        (
            ["train.csv", "train_1.csv"],
            ["train is read from 2 files"],
            ["train is read from a file of that name and from numbered ones: leave out what is a copy"],
        ),
        (["train-00000-of-00002.csv"], [], ["only 1 of the 2 parts of train are here"]),
        (["a.csv", "b.csv"], ["train is read from 2 files"], ["no name says a split: all 2 files are read as train"]),
        (
            ["latest.csv", "contest.csv"],
            ["train is read from 2 files"],
            ["no name says a split: all 2 files are read as train"],
        ),
    ],
)
def test_files_that_are_joined_are_told(tmp_path: Path, files: list[str], facts: list[str], odd: list[str]) -> None:
    for number, file in enumerate(files):
        (tmp_path / file).write_text(f"text\n{number}\n")
    found = load_tables(tmp_path, None, Reading())
    assert list(found.splits) == ["train"] and len(found.splits["train"]) == len(files)
    assert (found.remarks.facts, [words for words, _ in found.remarks.odd]) == (facts, odd)


@pytest.mark.parametrize(
    "files",
    [
        ["mytrain.csv", "mytest.csv"],
        ["TrainReviews.csv", "testReviews.csv"],
        ["reviews_dev1.csv", "reviews_eval1.csv"],
        ["mytrain/a.csv", "mytest/a.csv"],
        ["mine/train/a.csv", "mine/test/b.csv"],
    ],
)
def test_names_with_a_split_within_a_word_are_refused(tmp_path: Path, files: list[str]) -> None:
    for number, file in enumerate(files):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(f"text\n{number}\n")
    assert "to train and to test on: name them train.csv, test.csv, .. or put them into folders" in refusal(tmp_path)


def test_a_table_of_no_split_s_name_is_refused_where_there_is_no_test(tmp_path: Path) -> None:
    folder = write(tmp_path, train__csv=ROWS, holdout__csv=ROWS + "c,0\n", LICENSE__txt="yours")
    assert "has no split test, but holdout.csv, no split by name: call it test if" in refusal(folder)


def test_a_copy_within_a_split_is_told(tmp_path: Path) -> None:
    found = load_tables(
        write(tmp_path, train__csv=ROWS, train_1__csv=ROWS, train_2__csv="text,label\n"), None, Reading()
    )
    assert [words for words, _ in found.remarks.odd][:2] == [
        "two files of train have the same content, both are read",
        "1 of the 3 files of train have no rows",
    ]


def test_categories_of_pandas_are_read_as_their_words(tmp_path: Path) -> None:
    table = pa.table({"text": ["a", "b"], "label": pa.array(["x", "y"]).dictionary_encode()})
    parquet.write_table(table, tmp_path / "train.parquet")
    assert read(tmp_path)["train"] == {"text": ["a", "b"], "label": ["x", "y"]}
    texts = pa.Array.from_buffers(pa.string(), 2, pa.array([b"\xff", b"b"]).buffers())
    parquet.write_table(pa.table({"text": texts}), tmp_path / "train.parquet")
    assert "train.parquet is no parquet file that can be read: " in refusal(tmp_path)
    parquet.write_table(
        pa.table({"text": ["a"], "x": pa.array([[(1, 2)]], pa.map_(pa.int32(), pa.int32()))}),
        tmp_path / "train.parquet",
    )
    assert "does not have a datasets dtype equivalent: leave that column out" in refusal(tmp_path)
    parquet.write_table(pa.table([["a"], ["b"]], names=["text", "text"]), tmp_path / "train.parquet")
    assert "train.parquet: two columns are called 'text': rename one" in refusal(tmp_path)


def test_lines_end_where_an_editor_ends_them(tmp_path: Path) -> None:
    assert read(write(tmp_path, train__txt="a\u2028b\r\n\nc\rd"))["train"]["text"] == ["a\u2028b", "", "c", "d"]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_published_csv_has_no_words_for_missing_values(tmp_path: Path, caches: Path, kind: str) -> None:
    (tmp_path / "data").mkdir()
    texts = ["NA", "null", "None", "nan", "N/A"]
    if kind == "csv":
        write(
            tmp_path / "data",
            **{"train-00000-of-00001__csv": "text,label\n" + "".join(f"{text},1\n" for text in texts) + ",1\n"},
        )
    else:
        parquet.write_table(pa.table({"text": [*texts, None]}), tmp_path / "data" / "train-00000-of-00001.parquet")
    assert load_published(str(tmp_path), None, None)["train"]["text"][:] == [*texts, None]


def test_names_are_letters_and_no_patterns(tmp_path: Path) -> None:
    for number, name in enumerate(["x1", "x[1]", "y1", "y?", "zz", "z*"]):
        write(tmp_path / name, train__csv=f"text\n{number}\n", test__csv="text\nt\n", **{"test[1]__csv": "text\nu\n"})
    for number, name in enumerate(["x1", "x[1]", "y1", "y?", "zz", "z*"]):
        assert read(tmp_path / name) == {"train": {"text": [str(number)]}, "test": {"text": ["t"]}}


def test_words_in_names_are_splits_only_where_they_are_all_the_difference(tmp_path: Path) -> None:
    folder = write(tmp_path / "alike", imdb_train__csv="text\na\n", imdb_test__csv="text\nb\n")
    assert read(folder) == {"train": {"text": ["a"]}, "test": {"text": ["b"]}}
    write(folder, train_test_overlap__csv="text\na\n")
    assert "it is not clear which of imdb_test.csv, imdb_train.csv, train_test_overlap.csv" in refusal(folder)
    assert read(write(tmp_path / "one", my_test__csv="text\na\n")) == {"train": {"text": ["a"]}}
    assert len(read(write(tmp_path / "parts", x__csv="text\na\n", y__csv="text\nb\n"))["train"]["text"]) == 2


def test_a_file_of_another_split_is_an_error(tmp_path: Path) -> None:
    folder = write(tmp_path, train__csv=ROWS, test__csv=ROWS)
    assert "test.csv of split 'test' has the same content as " in refusal(folder)
    assert "train.csv of split 'train'" in refusal(folder)
    (folder / "test.csv").unlink()
    write(folder, test__csv__gz=gzip.compress(ROWS.encode()))
    assert "test.csv.gz of split 'test' has the same content as " in refusal(folder)


def test_the_content_decides_not_the_time(tmp_path: Path) -> None:
    prints = []
    for word in ("a", "b", "a"):
        write(tmp_path, train__csv=f"text\n{word}\n")
        os.utime(tmp_path / "train.csv", (315532800, 315532800))
        table = load_tables(tmp_path, None, Reading()).splits["train"]
        assert table["text"][:] == [word]
        prints.append(table._fingerprint)
    assert prints[0] == prints[2] != prints[1]


def test_a_card_says_which_files_are_which_split(tmp_path: Path) -> None:
    card = """---
configs:
- config_name: one
  data_files:
  - {split: train, path: "one/learn*.csv"}
  - {split: test, path: one/check.csv}
- config_name: two
  data_files: two.csv
---
"""
    folder = write(tmp_path, README__md=card, two__csv="text\nz\n")
    write(tmp_path / "one", learn1__csv="text\na\n", learn2__csv="text\nb\n", check__csv="text\nc\n")
    assert read(folder, "one") == {"train": {"text": ["a", "b"]}, "test": {"text": ["c"]}}
    assert read(folder, "two") == {"train": {"text": ["z"]}}
    assert "has several data sets: say which with name; its names: one, two" in refusal(folder)
    (folder / "README.md").write_text(card.replace("one/check.csv", "../check.csv"))
    with pytest.raises(DataError, match="its card names files outside"):
        read(folder, "one")
    (folder / "README.md").write_text(card.replace("  data_files:", "  data_dir: ../..\n  data_files:"))
    with pytest.raises(DataError, match=r"its card names files outside, '\.\./\.\.'"):
        read(folder, "one")
    (folder / "README.md").write_text(card.replace("two.csv", "a**b.csv/**c"))
    with pytest.raises(DataError, match="its card names files by "):
        read(folder, "two")


def test_a_name_may_be_a_folder(tmp_path: Path) -> None:
    write(tmp_path / "sst2", train__csv=ROWS)
    assert read(tmp_path, "sst2")["train"]["text"] == ["a", "b"]
    with pytest.raises(DataError, match="it has no data set 'mnli'"):
        read(tmp_path, "mnli")


def test_what_datasets_saved_is_read(tmp_path: Path) -> None:
    one = Dataset.from_dict({"text": ["a", "b"], "label": [0, 1]})
    one.save_to_disk(tmp_path / "one")
    DatasetDict({"train": one, "test": one.select([1])}).save_to_disk(tmp_path / "both")
    assert read(tmp_path / "one") == {"train": {"text": ["a", "b"], "label": [0, 1]}}
    assert read(tmp_path / "both")["test"] == {"text": ["b"], "label": [1]}
    (tmp_path / "both" / "dataset_dict.json").write_text('{"splits": ["train", "../one"]}')
    assert "dataset_dict.json names files outside, '../one': name files in the folder" in refusal(tmp_path / "both")
