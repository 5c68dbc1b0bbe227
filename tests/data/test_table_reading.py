"""Folders of tables are read as they are: each cell as it stands, each file in the split that its name says."""

import bz2
import gzip
import json
import logging
import lzma
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset, DatasetDict

from ticketzoo.data.tables.files import Reading
from ticketzoo.data.tables.load import load_tables
from ticketzoo.errors import DataError

ROWS = "text,label\na,0\nb,1\n"


def read(folder: Path, name: str | None = None, **how: Any) -> dict[str, dict[str, list[Any]]]:
    return {split: table.to_dict() for split, table in load_tables(folder, name, Reading(**how)).items()}


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
    folder = write(tmp_path, train__csv='text,label\r\n"a, ""b""\nc",0\r\nd\'s 5" pipe,1\r\n\r\n')
    assert read(folder)["train"] == {"text": ['a, "b"\nc', "d's 5\" pipe"], "label": ["0", "1"]}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1", "cp1252", "utf-16-le"])
def test_encodings_are_read_by_their_mark_or_by_declaration(tmp_path: Path, encoding: str) -> None:
    folder = write(tmp_path, train__csv="text,label\né,0\nü,1\n".encode(encoding))
    how = {} if encoding in ("utf-8-sig", "utf-16") else {"encoding": encoding}
    assert read(folder, **how)["train"] == {"text": ["é", "ü"], "label": ["0", "1"]}


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        (
            "train.csv",
            "text,label\na,0\nb,é\n".encode("latin-1"),
            "train.csv, row 3, column 'label': no UTF-8 text (byte 0xe9): say the encoding, as in",
        ),
        ("train.jsonl", '{"text": "a"}\n{"text": "é"}\n'.encode("latin-1"), "train.jsonl, line 2: no UTF-8 text"),
        ("train.csv", ROWS.encode("utf-16-le"), "train.csv is no UTF-8 text, it has zero bytes: say the encoding"),
        ("train.csv", ROWS + "a, b,1\n", "train.csv, row 4: 3 cells, but row 1 names 2 (text, label): 'a, b,1'; put"),
        ("train.csv", ROWS + "a\n", "train.csv, row 4: 1 cell, but row 1 names 2"),
        ("train.csv", ROWS + '"a,1\nb,0\n', "train.csv, row 4: 1 cell, but row 1 names 2"),
        ("train.csv", ROWS + 'a,"1\nb,0\n', "train.csv, row 4: a quote is opened and never closed"),
        ("train.csv", "text,text\na,b\n", "train.csv, row 1: two columns are called 'text': rename one"),
        ("train.csv", "text;label\na;0\n", "train.csv, row 1: no commas in 'text;label', it seems separated by ';'"),
        ("train.csv", "", "train.csv is empty: its first row must name the columns"),
        (
            "train.jsonl",
            '{"a": 1}\n\n{"a": "x"}\n',
            "train.jsonl, line 3: column 'a' holds a text there, and a number at",
        ),
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


def test_splits_may_be_of_different_kinds_and_other_files_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
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
    with caplog.at_level(logging.WARNING, "ticketzoo"):
        found = {split: table["text"] for split, table in read(folder).items()}
    assert found == {"train": ["a", "b"], "test": ["c, d"], "validation": ["e"]}
    (said,) = [record.getMessage() for record in caplog.records]
    assert said == f"{folder}: not read, as in no split: train.csv.bak, train_test_overlap.csv"


def test_names_are_letters_and_no_patterns(tmp_path: Path) -> None:
    for number, name in enumerate(["x1", "x[1]", "y1", "y?", "zz", "z*"]):
        write(tmp_path / name, train__csv=f"text\n{number}\n", **{"test[1]__csv": "text\nt\n"})
    for number, name in enumerate(["x1", "x[1]", "y1", "y?", "zz", "z*"]):
        assert read(tmp_path / name) == {"train": {"text": [str(number)]}}


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
        table = load_tables(tmp_path, None, Reading())["train"]
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
