"""Labels of texts are what the column says: numbers, words, True and False are classes, fractions are values."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from text_folders import write_data, write_tokenizer

from ticketzoo.data.text.labelled import LabelledText, LabelledTextDataset, load_labelled_text
from ticketzoo.data.text.tokenizer import load_tokenizer
from ticketzoo.errors import DataError


@pytest.fixture
def folder(tmp_path: Path, caches: Path) -> Path:
    write_tokenizer(tmp_path / "tokenizer")
    return tmp_path


def load(folder: Path, **keys: Any) -> LabelledText:
    dataset = LabelledTextDataset(path=str(folder / "data"), **({"validation": 0} | keys))
    return load_labelled_text(dataset, load_tokenizer(folder / "tokenizer"), 16)


def write_csv(folder: Path, header: str = "text,label", **splits: list[str]) -> None:
    (folder / "data").mkdir(exist_ok=True)
    for split, rows in splits.items():
        (folder / "data" / f"{split}.csv").write_text("\n".join([header, *rows]) + "\n")


@pytest.mark.parametrize(
    ("labels", "names", "numbers"),
    [
        (["0", "1", "1"], ["0", "1"], [0, 1, 1]),
        (["0.0", "1.0", "1.0"], ["0", "1"], [0, 1, 1]),
        (["True", "False", "True"], ["False", "True"], [1, 0, 1]),
        (["no", "None", "no"], ["None", "no"], [1, 0, 1]),
        (["NA", "null", "nan"], ["NA", "nan", "null"], [0, 2, 1]),
        ([str(number) for number in range(11)], [str(number) for number in range(11)], list(range(11))),
        (["01", "02", "02"], ["01", "02"], [0, 1, 1]),
        (["1", "5", "3"], ["1", "3", "5"], [0, 2, 1]),
        (["-1", "1", "10"], ["-1", "1", "10"], [0, 1, 2]),
        (["1.0", "2.0", "1.0"], ["1", "2"], [0, 1, 0]),
        (["true", "FALSE", "True"], ["False", "True"], [1, 0, 1]),
        (["no", "yes", "YES "], ["YES ", "no", "yes"], [1, 2, 0]),
        ([str(2**53), str(2**53 + 1)], [str(2**53), str(2**53 + 1)], [0, 1]),
    ],
)
def test_labels_in_csv_are_classes(folder: Path, labels: list[str], names: list[str], numbers: list[int]) -> None:
    write_csv(folder, train=[f"a,{label}" for label in labels], test=[f"b,{label}" for label in labels])
    data = load(folder)
    assert (data.class_names, data.num_classes, data.is_regression) == (names, len(names), False)
    assert [data.labels[split].tolist() for split in ("train", "test")] == [numbers, numbers]


@pytest.mark.parametrize(
    ("labels", "names", "numbers"),
    [
        ([True, False], ["False", "True"], [1, 0]),
        ([1.0, 0.0], ["0", "1"], [1, 0]),
        ([4.0, 2.0], ["2", "4"], [1, 0]),
        ([7, 3], ["3", "7"], [1, 0]),
        (["b", "a"], ["a", "b"], [1, 0]),
    ],
)
def test_labels_with_types_are_classes(folder: Path, labels: list[Any], names: list[str], numbers: list[int]) -> None:
    rows = [{"text": "a", "label": label} for label in labels]
    write_data(folder / "data", {"train": rows, "test": rows})
    data = load(folder)
    assert (data.class_names, data.labels["train"].tolist()) == (names, numbers)


def test_numbers_with_fractions_are_values(folder: Path) -> None:
    write_csv(folder, train=["a,0.5", "b,2"], test=["a,1.0"])
    data = load(folder)
    assert (data.class_names, data.num_classes, data.is_regression) == (None, 1, True)
    assert data.labels["train"].tolist() == [0.5, 2.0]


def test_the_recipe_says_what_labels_are(folder: Path) -> None:
    write_csv(folder, train=["a,0.0", "b,1.0"], test=["a,1.0"])
    assert load(folder, labels="values").labels["train"].tolist() == [0.0, 1.0]
    write_csv(folder, train=["a,1.5", "b,2"], test=["a,1.5"])
    data = load(folder, labels="classes")
    assert (data.class_names, data.labels["train"].tolist()) == (["1.5", "2"], [0, 1])
    write_csv(folder, train=["a,1", "b,2", "c,other"], test=["a,1"])
    assert load(folder, labels="classes").class_names == ["1", "2", "other"]
    with pytest.raises(DataError, match=r"train.csv, line 4 has label 'other', which is not a number to predict"):
        load(folder, labels="values")
    write_csv(folder, train=[f"a,{10**20}", f"b,{2 * 10**20}"], test=[f"a,{10**20}"])
    assert load(folder, labels="classes").class_names == [str(10**20), str(2 * 10**20)]
    assert load(folder, labels="values").labels["test"].item() == pytest.approx(1e20)


@pytest.mark.parametrize("wide", [str(2**53 + 1), f"-{2**53 + 1}.0"])
def test_whole_numbers_that_floats_do_not_tell_apart_are_no_classes_beside_floats(folder: Path, wide: str) -> None:
    write_csv(folder, train=["a,1.0", f"b,{2**53}", f"c,{wide}"], test=["a,1.0"])
    with pytest.raises(DataError, match=r"train.csv, line 4 has label '.*', a whole number beyond 2\^53, and other"):
        load(folder)
    assert load(folder, labels="values").is_regression
    write_csv(folder, train=["a,1.0", f"b,{2**53}"], test=["a,1.0"])
    assert load(folder).class_names == ["1", str(2**53)]


def test_whole_numbers_and_floats_of_another_split_are_told_apart_or_refused(folder: Path) -> None:
    wide = [{"text": "a", "label": 2**53 + number} for number in range(2)]
    write_data(folder / "data", {"train": wide, "test": [{"text": "c", "label": 1.0}]})
    with pytest.raises(DataError, match=r"labels of .* have 9007199254740993, a whole number beyond 2\^53"):
        load(folder)


@pytest.mark.parametrize("dot", ["", ".0"])
def test_many_numbers_with_gaps_are_not_guessed_at(folder: Path, dot: str) -> None:
    prices = [f"a,{100 * number}{dot}" for number in range(101)]
    write_csv(folder, train=prices, test=prices[:1] * 2)
    with pytest.raises(DataError, match="are 101 different whole numbers from 0 to 10000: say which with --set task"):
        load(folder)
    assert load(folder, labels="classes").num_classes == 101
    assert load(folder, labels="values").is_regression


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (["1", "2", "5"], "labels 1, 2, 5 are classes 0 to 2"),
        (["1.0", "2.0", "3.0"], "the labels 1.0, 2.0, .. are taken for classes; labels: values predicts them"),
        (["0.5", "2", "3"], "labels are values to predict, from 0.5 to 3"),
        (["true", "FALSE", "True"], "labels 'FALSE', 'True', 'true' are read as True and False"),
        (
            ["no", "yes", "YES "],
            "labels that differ in case or spaces alone are different classes: 'YES ' and 'yes'",
        ),
    ],
)
def test_what_labels_are_taken_for_is_on_the_card(folder: Path, labels: list[str], said: str) -> None:
    write_csv(folder, train=[f"a,{label}" for label in labels], test=[f"b,{label}" for label in labels])
    assert said in load(folder).laid_out["laid_out"]


def test_texts_that_are_numbers_are_text(folder: Path) -> None:
    write_csv(folder, train=["007,0", "1e5,1"], test=["5,0"])
    assert [len(load(folder).sequences[split]) for split in ("train", "test")] == [2, 1]
    rows = [{"text": number, "label": number % 2} for number in range(4)]
    write_data(folder / "data", {"train": rows[:3], "test": rows[3:]})
    for file in (folder / "data").glob("*.csv"):
        file.unlink()
    assert load(folder).labels["train"].tolist() == [0, 1, 0]


def test_columns_of_numbers_beside_texts_are_no_text(folder: Path) -> None:
    write_csv(folder, "id,review,stars,label", train=["1,a,4.5,x", "2,b,1,y"], test=["3,c,5,x"])
    assert load(folder).sequences["train"].lengths.tolist() == [3, 3]
    assert load(folder, columns=("id", "review")).sequences["train"].lengths.tolist() == [5, 5]


@pytest.mark.parametrize(
    ("train", "test", "said"),
    [
        (["a,0", "b,1"], ["c,no"], "test.csv, line 2 has label 'no', no number, but .*train.csv, line 2 has label '0'"),
        (["a,0", "b,nan"], ["c,1"], r"train.csv, line 3 has label 'nan', no number, .*\(missing\)"),
        (["a,0", "b,"], ["c,1"], "train.csv, line 3 has no label in column 'label': give it one, or leave the row out"),
        (["a,0", "b,  "], ["c,1"], "train.csv, line 3 has no label"),
        (["a,0", f"b,{10**20}"], ["c,1"], "train.csv, line 3 has label '1000.*', of more digits than 64 bits hold"),
        (["a,x", "b,x"], ["c,x"], "split 'train' of .* has one class only, 'x'"),
        (["a,0.5", "b,0.5"], ["c,1.5"], "split 'train' of .* has label 0.5 throughout: there is nothing to predict"),
        (["a,x", "b,x"], ["c,y"], "split 'train' of .* is left with one class to train on, 'x'"),
        (
            ["a,0.5", "b,1e39"],
            ["c,1"],
            r"train.csv, line 3 has label 1e\+39, which is not a number to predict in 32 bits",
        ),
    ],
)
def test_labels_that_do_not_fit_are_named_with_their_row(
    folder: Path, train: list[str], test: list[str], said: str
) -> None:
    write_csv(folder, train=train, test=test)
    with pytest.raises(DataError, match=said) as error:
        load(folder)
    assert "\n" not in str(error.value)


def test_a_label_of_another_type_in_another_split_is_an_error(folder: Path) -> None:
    write_data(folder / "data", {"train": [{"text": "a", "label": 0}], "test": [{"text": "a", "label": "x"}]})
    with pytest.raises(
        DataError, match=r"labels of two kinds: .*test-00000-of-00001.jsonl, line 1 has 'x', a text, and "
    ):
        load(folder)


def test_a_column_that_is_no_label_is_named_with_its_type(folder: Path) -> None:
    write_data(folder / "data", {"train": [{"text": "a", "label": ["x"]}], "test": [{"text": "b", "label": ["x"]}]})
    for asked in ({}, {"label_column": "label"}):
        with pytest.raises(DataError, match=r": column 'label' is List, and labels are numbers, .*label \(List\)"):
            load(folder, **asked)


def test_a_csv_without_a_row_of_names_is_told_so(folder: Path) -> None:
    (folder / "data").mkdir()
    (folder / "data" / "train.csv").write_text("good one,0\nbad one,1\n")
    with pytest.raises(DataError, match=r"good one \(text\), 0 \(text\): the first row must name the columns; if it"):
        load(folder)


def test_the_columns_are_named_with_the_near_one(folder: Path) -> None:
    write_data(folder / "data", {"train": [{"text": "a", "stars": 1.5, "class_name": "x", "more": None}]})
    columns = r"its columns: text \(text\), stars \(numbers\), class_name \(text\), more \(empty\)"
    with pytest.raises(
        DataError, match=rf"has no label column; {columns}: say which with --set .*label_column=class_name"
    ):
        load(folder)
    with pytest.raises(DataError, match=r"no label column 'star'; .*label_column=stars$"):
        load(folder, label_column="star")


def test_a_test_split_without_labels_is_not_tested_on(folder: Path) -> None:
    write_csv(folder, train=[f"{letter},{number % 2}" for number, letter in enumerate("abcdefghij")])
    (folder / "data" / "test.csv").write_text("text\nz\n")
    data = load(folder, test=2)
    assert [len(data.labels[split]) for split in ("train", "test")] == [8, 2]
    assert "split test has no labels, it is not used" in data.laid_out["laid_out"]
    with pytest.raises(
        DataError, match=r"split 'test' of .* has no column 'label', as split 'train' of .* has; its columns"
    ):
        load(folder, test_split="test")
    (folder / "data" / "test.csv").write_text("text,label\nz,-1\n")
    with pytest.raises(
        DataError, match=r"split 'test' of .* has labels -1 only, they seem withheld: use another split"
    ):
        load(folder, test_split="test")


@pytest.mark.parametrize("label", [None, -1, -1.0, "-1"])
def test_labels_in_name_only_are_none(folder: Path, label: Any) -> None:
    write_csv(folder, train=[f"{letter},{number % 2}" for number, letter in enumerate("abcdefghij")])
    (folder / "data" / "test.jsonl").write_text(json.dumps({"text": "z", "label": label}) + "\n")
    assert "split test has no labels, it is not used" in load(folder, test=2).laid_out["laid_out"]


def test_withheld_labels_of_named_classes_are_none(folder: Path) -> None:
    """As all of GLUE's: the test split has the classes' names, and -1 in each row."""
    from datasets import ClassLabel, Dataset, DatasetDict, Features, Value

    features = Features({"text": Value("string"), "label": ClassLabel(names=["no", "yes"])})
    labels = {"train": [0, 1, 1], "validation": [1, 0], "test": [-1, -1]}
    splits = {
        split: Dataset.from_dict({"text": [f"{split} {row}" for row in range(len(part))], "label": part}, features)
        for split, part in labels.items()
    }
    DatasetDict(splits).save_to_disk(folder / "data")
    data = load(folder)
    assert (data.class_names, data.labels["test"].tolist()) == (["no", "yes"], [1, 0])
    assert "split test has no labels, it is not used" in data.laid_out["laid_out"]
    with pytest.raises(DataError, match=r"split 'test' of .* has labels -1 only, they seem withheld"):
        load(folder, test_split="test")


@pytest.mark.parametrize("label", [-1, -1.0, "-1"])
def test_minus_one_is_a_label_where_it_is_trained_on(folder: Path, label: Any) -> None:
    rows = [{"text": letter, "label": label} for letter in "ab"]
    other = {"text": "c", "label": type(label)("1")}
    write_data(folder / "data", {"train": [*rows, other], "test": rows})
    data = load(folder)
    assert (data.class_names, data.labels["test"].tolist()) == (["-1", "1"], [0, 0])


def test_a_label_that_is_a_list_is_named(folder: Path) -> None:
    write_csv(folder, train=["a,0", "b,1"])
    (folder / "data" / "test.jsonl").write_text('{"text": "z", "label": [1]}\n')
    with pytest.raises(DataError, match=r"split 'test' of .*: column 'label' is List, but text in split 'train' of"):
        load(folder)


def test_a_split_without_the_column_of_text_is_named(folder: Path) -> None:
    write_csv(folder, train=["a,0", "b,1"])
    (folder / "data" / "test.csv").write_text("review,label\nz,1\n")
    with pytest.raises(DataError, match=r"split 'test' of .* has no column 'text', .*; its columns: review"):
        load(folder)


def test_classes_numbered_otherwise_in_another_split_are_an_error(folder: Path) -> None:
    from datasets import ClassLabel, Dataset, Features, Value

    (folder / "data").mkdir()
    for split, names in (("train", ["no", "yes"]), ("test", ["yes", "no"])):
        features = Features({"text": Value("string"), "label": ClassLabel(names=names)})
        made = Dataset.from_dict({"text": ["a", split], "label": [0, 1]}, features)
        made.to_parquet(folder / "data" / f"{split}.parquet")
    with pytest.raises(DataError, match=r"numbered otherwise in another split \(no, yes; yes, no\)"):
        load(folder)


def test_empty_texts_are_counted(folder: Path) -> None:
    write_csv(folder, train=["a,0", "  ,1", '"",1'], test=["c,1"])
    assert "2 of the 3 texts of train are empty or all spaces" in load(folder).laid_out["laid_out"]
    write_csv(folder, train=["a,0", ",1"], test=["c,1"])
    with pytest.raises(DataError, match=r"train.csv, line 3 has no text in column 'text': give it one, or leave"):
        load(folder)


def test_names_composed_and_decomposed_are_one_class(folder: Path) -> None:
    write_csv(folder, train=["a,caf\u00e9", "b,tea"], test=["c,cafe\u0301", "d,tea"])
    data = load(folder)
    assert (data.class_names, data.labels["test"].tolist()) == (["caf\u00e9", "tea"], [0, 1])


def test_what_was_found_is_told_and_kept(folder: Path) -> None:
    write_csv(folder, train=["a,x", "b,y", "c,y", "d,y", "e,y"])
    assert load(folder, test=2, split_seed=1).laid_out == {
        "laid_out": [
            "train: 3 texts; x 1, y 2",
            "validation: 0 texts",
            "test: 2 texts; x 0, y 2",
            "columns: text, label",
            "no split to test on: 2 texts of train are drawn for it",
        ]
    }


def test_texts_that_are_trained_and_tested_on_are_counted(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_csv(folder, train=["a,0", "b,1", "c,1"], test=["b,1", "c,0", "d,1", "b,0"])
    with caplog.at_level(logging.WARNING, "ticketzoo"):
        load(folder)
    (said,) = [record.getMessage() for record in caplog.records]
    assert said == f"{folder / 'data'}: 3 of the 4 texts to test on are trained on, too"


def test_pairs_are_the_same_only_as_pairs(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    header = "sentence1,sentence2,label"
    write_csv(folder, header, train=["a,b,0", "c,d,1"], test=["a,d,0", "c,d,1"])
    with caplog.at_level(logging.WARNING, "ticketzoo"):
        load(folder)
    assert [record.getMessage().partition(": ")[2] for record in caplog.records] == [
        "1 of the 2 texts to test on are trained on, too"
    ]


def test_a_class_that_is_tested_on_and_not_trained_on_is_named(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_csv(folder, train=["a,good", "b,bad"], test=["c,good", "d,god"])
    data = load(folder)
    assert data.class_names == ["bad", "god", "good"]
    said = "texts of test have classes that no text of train has: god"
    assert said in data.laid_out["laid_out"] and f"{folder / 'data'}: {said}" in caplog.text
