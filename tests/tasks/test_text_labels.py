"""Labels of texts are what the column says: numbers, words, True and False are classes, fractions are values."""

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
    ],
)
def test_labels_in_csv_are_classes(folder: Path, labels: list[str], names: list[str], numbers: list[int]) -> None:
    write_csv(folder, train=[f"a,{label}" for label in labels], test=[f"b,{label}" for label in labels])
    data = load(folder)
    assert (data.class_names, data.num_classes, data.is_regression) == (names, len(names), False)
    assert [data.labels[split].tolist() for split in ("train", "test")] == [numbers, numbers]


@pytest.mark.parametrize(
    ("labels", "names", "numbers"),
    [([True, False], ["False", "True"], [1, 0]), ([1.0, 0.0], ["0", "1"], [1, 0]), (["b", "a"], ["a", "b"], [1, 0])],
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
    write_csv(folder, train=["a,1", "b,2", "c,other"], test=["a,1"])
    assert load(folder, labels="classes").class_names == ["1", "2", "other"]
    with pytest.raises(DataError, match="which is not a number to predict"):
        load(folder, labels="values")


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
        (["a,0", "b,1"], ["c,no"], "row 0 of split 'test' of .* has label 'no', no number, but row 0 of split 'train'"),
        (["a,0", "b,nan"], ["c,1"], r"row 1 of split 'train' of .* has label 'nan', no number, .*\(missing\)"),
        (["a,0", "b,"], ["c,1"], "row 1 of split 'train' of .* has no label in column 'label'"),
        (["a,0", "b,7"], ["c,0"], "are 0, 7: number the classes 0, 1, 2"),
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
    with pytest.raises(DataError, match=r"labels of two kinds: row 0 of split 'test' of .* has 'x', a text, and row 0"):
        load(folder)


def test_a_column_that_is_no_label_is_named_with_its_type(folder: Path) -> None:
    write_data(folder / "data", {"train": [{"text": "a", "label": ["x"]}], "test": [{"text": "b", "label": ["x"]}]})
    with pytest.raises(DataError, match="no label column 'label' of numbers or words, but of List; "):
        load(folder, label_column="label")


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
