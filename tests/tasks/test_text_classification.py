import math
from pathlib import Path
from typing import Any

import pytest
import torch
from text_folders import CLS, PAD, SEP, token, write_data, write_tokenizer
from torch import Tensor, nn
from transformers import BertConfig

from ticketzoo.data.text.glue import GLUE
from ticketzoo.errors import DataError
from ticketzoo.models import create_from_architecture
from ticketzoo.models.create import arguments_for
from ticketzoo.models.signature import Classes, Features, Signature, Tokens
from ticketzoo.recipe import parse_recipe
from ticketzoo.tasks import create_task
from ticketzoo.tasks.text_classification import TextClassification, TextClassificationConfig

CPU = torch.device("cpu")
CONFIG = {"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
          "intermediate_size": 32, "max_position_embeddings": 64}  # fmt: skip


def task_of(path: Path | str, letters: Path, dataset: dict[str, Any] | None = None, **keys: Any) -> TextClassification:
    content = {
        "type": "text-classification",
        "dataset": {"path": str(path), "validation": 0} | (dataset or {}),
        "max_length": 16,
    }
    task = create_task(TextClassificationConfig.model_validate(content | keys), tokenizer=letters)
    assert isinstance(task, TextClassification)
    return task


@pytest.fixture
def folder(tmp_path: Path, caches: Path) -> Path:
    """`a` is good and `b` is bad, again and again; of the test rows, one `b` is called good."""
    train = [{"sentence": "a " * (1 + row % 3), "label": 1} for row in range(6)]
    train += [{"sentence": "b " * (1 + row % 3), "label": 0} for row in range(6)]
    test = [{"sentence": "a", "label": 1}, {"sentence": "b b", "label": 0}, {"sentence": "b", "label": 1}]
    return write_data(tmp_path / "moods", {"train": train, "test": test})


class Reader(nn.Module):
    """Scores (0, s) for two classes, s the share of `a` among the words, or that share alone."""

    def __init__(self, outputs: int = 2) -> None:
        super().__init__()
        self.config = BertConfig(vocab_size=40, max_position_embeddings=64)
        self.outputs = outputs

    def forward(self, input_ids: Tensor, **others: Tensor) -> Any:
        class Output:
            pass

        share = (input_ids == token("a")).sum(1) / (input_ids > SEP).sum(1)
        output = Output()
        output.logits = torch.stack([torch.zeros_like(share), share][-self.outputs :], 1)
        return output


def test_the_loss_is_the_mean_cross_entropy(folder: Path, letters: Path) -> None:
    task = task_of(folder, letters)
    (batch,) = task.batches(12, 0, 0, 1, CPU)
    inputs, labels = batch
    assert sorted(row[row != PAD].tolist() for row in inputs["input_ids"])[0] == [CLS, token("a"), SEP]
    assert labels.sum() == 6
    expected = (math.log(2) + math.log(1 + math.exp(-1))) / 2
    assert task.loss(Reader(), batch).item() == pytest.approx(expected)


def test_evaluation_has_every_metric_of_two_classes(
    folder: Path, letters: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = task_of(folder, letters)
    # "a" is called good; of the two "b" (a tie: the first class wins, bad) one is labelled good.
    loss = (math.log(1 + math.exp(-1)) + 2 * math.log(2)) / 3
    expected = {"loss": loss, "accuracy": 2 / 3, "f1": 2 / 3, "matthews": 0.5}
    assert task.evaluate(Reader(), "test", CPU) == pytest.approx(expected)
    monkeypatch.setattr("ticketzoo.tasks.text_classification.EVALUATION_TOKENS", 3)
    assert task.evaluate(Reader(), "test", CPU) == pytest.approx(expected)


def test_values_are_predicted_by_squared_error(tmp_path: Path, caches: Path, letters: Path) -> None:
    texts = ["a", "a b", "a b b b", "b"]
    rows = [{"sentence": text, "label": score} for text, score in zip(texts, (5.0, 3.0, 1.0, 0.0), strict=True)]
    task = task_of(write_data(tmp_path / "data", {"train": rows, "test": rows}), letters, {"labels": "values"})
    assert task.signature == Signature(Tokens(31), Features(1))
    assert task.metric.name == "pearson"
    loss = ((5 - 1) ** 2 + (3 - 0.5) ** 2 + (1 - 0.25) ** 2 + 0) / 4
    (batch,) = task.batches(4, 0, 0, 1, CPU)
    assert task.loss(Reader(1), batch).item() == pytest.approx(loss)
    # Deviations of the shares 1, 1/2, 1/4, 0 and of the scores from 7/16 and 9/4.
    shares, scores = [9 / 16, 1 / 16, -3 / 16, -7 / 16], [11 / 4, 3 / 4, -5 / 4, -9 / 4]
    across = sum(x * y for x, y in zip(shares, scores, strict=True))
    pearson = across / math.sqrt(sum(x * x for x in shares) * sum(y * y for y in scores))
    expected = {"loss": loss, "pearson": pearson, "spearman": 1.0}
    assert task.evaluate(Reader(1), "test", CPU) == pytest.approx(expected)


def test_a_pair_is_one_sequence_of_two_segments(tmp_path: Path, caches: Path, letters: Path) -> None:
    rows = [
        {"premise": "a b c d e f", "hypothesis": "g", "label": "no"},
        {"premise": "h", "hypothesis": "i", "label": "yes"},
    ]
    task = task_of(write_data(tmp_path / "data", {"train": rows, "test": rows}), letters, max_length=8)
    ((inputs, labels),) = task.batches(2, 0, 0, 1, CPU)
    cut, short = (0, 1) if labels[0] == 0 else (1, 0)
    assert inputs["input_ids"][cut].tolist() == [CLS, *map(token, "abcd"), SEP, token("g"), SEP]
    assert inputs["token_type_ids"].tolist()[cut] == [0, 0, 0, 0, 0, 0, 1, 1]
    assert inputs["input_ids"][short].tolist() == [CLS, token("h"), SEP, token("i"), SEP, PAD, PAD, PAD]
    assert inputs["attention_mask"].tolist()[short] == [1, 1, 1, 1, 1, 0, 0, 0]


@pytest.mark.parametrize("name", GLUE)
def test_each_glue_task_has_its_columns_and_metric(name: str, tmp_path: Path, caches: Path, letters: Path) -> None:
    columns = GLUE[name].columns
    labels = [0.5, 2.5] if name == "stsb" else [0, 1]
    rows = [
        dict.fromkeys(columns, letter) | {"label": label, "idx": 7} for letter, label in zip("ab", labels, strict=True)
    ]
    withheld = [row | {"label": -1.0 if name == "stsb" else -1} for row in rows]
    suffix = "_matched" if name == "mnli" else ""
    splits = {"train": rows * 20, f"validation{suffix}": rows, f"test{suffix}": withheld}
    folder = write_data(tmp_path / "copy", splits)
    dataset = {"path": "nyu-mll/glue", "name": name, "mirror": str(folder), "validation": None}
    task = task_of("", letters, dataset)
    expected = {"cola": "matthews", "stsb": "pearson"}
    assert (task.name, task.metric.name) == (f"glue-{name}", expected.get(name, "accuracy"))
    assert task.signature.output == (Features(1) if name == "stsb" else Classes(2))
    assert [len(task._labels[split]) for split in ("train", "validation", "test")] == [36, 4, 2]
    assert ("token_type_ids" in next(task.batches(2, 0, 0, 1, CPU))[0]) == (len(columns) == 2)


def test_mnli_s_mismatched_split_is_tested_on_by_name(tmp_path: Path, caches: Path, letters: Path) -> None:
    rows = [{"premise": letter, "hypothesis": "c", "label": label} for label, letter in enumerate("abc")]
    folder = write_data(
        tmp_path / "copy", {"train": rows, "validation_matched": rows, "validation_mismatched": rows[:2]}
    )
    keys = {"path": "nyu-mll/glue", "name": "mnli", "mirror": str(folder)}
    matched = task_of("", letters, keys)
    mismatched = task_of("", letters, keys | {"test_split": "validation_mismatched"})
    assert (matched.name, len(matched._labels["test"])) == ("glue-mnli", 3)
    assert (mismatched.name, len(mismatched._labels["test"])) == ("glue-mnli-mismatched", 2)


def test_a_stored_validation_split_serves_where_another_is_tested_on(
    tmp_path: Path, caches: Path, letters: Path
) -> None:
    rows = [{"text": letter, "label": label} for label, letter in enumerate("abcd")]
    folder = write_data(tmp_path / "data", {"train": rows * 5, "validation": rows[:3], "test": rows})

    def sizes(**keys: Any) -> list[int]:
        task = task_of(folder, letters, {"validation": None} | keys)
        return [len(task._labels[split]) for split in ("train", "validation", "test")]

    assert sizes() == [20, 3, 4]
    assert sizes(validation=0.25) == [15, 5, 4]
    assert sizes(test_split="validation") == [18, 2, 3]
    assert sizes(examples=7) == [7, 3, 4]


def test_a_data_set_of_one_split_is_divided(tmp_path: Path, caches: Path, letters: Path) -> None:
    rows = [{"text": "abcdefghij"[row % 10], "label": row % 2} for row in range(100)]
    folder = write_data(tmp_path / "data", {"train": rows})
    task = task_of(folder, letters, {"validation": 10, "test": 0.2})
    assert [len(task._labels[split]) for split in ("train", "validation", "test")] == [70, 10, 20]
    assert task.identity == task_of(folder, letters, {"validation": 10, "test": 0.2}).identity
    assert task.identity != task_of(folder, letters, {"validation": 10, "test": 0.2, "split_seed": 1}).identity


def test_whatever_decides_the_numbers_is_in_the_identity(folder: Path, letters: Path, tmp_path: Path) -> None:
    identity = task_of(folder, letters).identity
    rows = [{"sentence": "a", "label": 1}, {"sentence": "b b", "label": 0}, {"sentence": "b", "label": 0}]
    copy = write_data(tmp_path / "other", {"test": rows})
    for file in folder.glob("data/train-*"):
        (copy / "data" / file.name).write_bytes(file.read_bytes())
    assert task_of(copy, letters).identity != identity
    assert task_of(folder, letters, max_length=4).identity != identity
    assert task_of(folder, write_tokenizer(tmp_path / "same")).identity == identity
    assert task_of(folder, letters, metric="f1").identity == identity
    assert task_of(folder, letters).identity == identity  # and from the cache


@pytest.mark.parametrize("head", ["text-classification"])
def test_the_model_that_the_task_asks_for_learns(head: str, folder: Path, letters: Path) -> None:
    task = task_of(folder, letters)
    model = create_from_architecture(
        {
            "library": "transformers",
            "name": "bert",
            "kwargs": {"config": CONFIG, **arguments_for("transformers/bert", task.signature)},
        },
        seed=0,
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for batch in task.batches(4, 0, 0, 30, CPU):
        task.loss(model, batch).backward()
        optimizer.step()
        optimizer.zero_grad()
    assert task.evaluate(model.eval(), "test", CPU)["accuracy"] == 2 / 3  # all but the one that is called wrongly


@pytest.mark.parametrize(
    ("train", "dataset", "message"),
    [
        (
            [{"sentence": "a", "label": 0}, {"sentence": None, "label": 1}],
            {},
            "train-00000-of-00001.jsonl, line 2 has no text",
        ),
        (
            [{"sentence": "", "label": 0}, {"sentence": " ", "label": 1}],
            {},
            "column 'sentence' of split 'train' .*empty",
        ),
        (
            [{"sentence": "a", "label": 0}, {"sentence": "b", "label": None}],
            {},
            "train-00000-of-00001.jsonl, line 2 has no label",
        ),
        ([{"sentence": "a", "label": 0}, {"sentence": "b", "label": 0}], {}, "has one class only"),
        (
            [{"left": "a", "right": "b", "label": 0}, {"left": "a", "right": "b", "label": 1}],
            {},
            "say which with columns",
        ),
        (
            [{"sentence": "a", "label": 0}, {"sentence": "b", "label": 1}],
            {"columns": ["text"]},
            "no text column 'text'",
        ),
        ([{"sentence": "a", "label": 0}, {"sentence": "b", "label": 1}], {"label_column": "y"}, "no label column 'y'"),
        ([{"sentence": "a", "score": 1}, {"sentence": "b", "score": 0}], {}, "has no label column"),
    ],
)
def test_data_that_cannot_be_classified_is_an_error(
    train: list[dict[str, Any]], dataset: dict[str, Any], message: str, tmp_path: Path, caches: Path, letters: Path
) -> None:
    folder = write_data(tmp_path / "data", {"train": train, "test": train})
    with pytest.raises(DataError, match=message) as error:
        task_of(folder, letters, dataset)
    assert "\n" not in str(error.value)


def test_a_label_out_of_range_is_named_with_its_row(tmp_path: Path, caches: Path, letters: Path) -> None:
    from datasets import ClassLabel, Dataset, Features, Value

    features = Features({"text": Value("string"), "label": ClassLabel(names=["no", "yes"])})
    folder = tmp_path / "data"
    folder.mkdir()
    for split in ("train", "test"):
        made = Dataset.from_dict({"text": ["a", "b", "c"], "label": [0, 1, 1 if split == "train" else -1]}, features)
        made.to_parquet(folder / f"{split}.parquet")
    with pytest.raises(DataError, match=r"test.parquet, row 3 has label -1, outside 0 to 1"):
        task_of(folder, letters)


@pytest.mark.parametrize("metric", ["pearson", "spearman"])
def test_a_metric_that_the_labels_do_not_have_is_an_error(metric: str, folder: Path, letters: Path) -> None:
    with pytest.raises(
        DataError, match=f"metric: {metric} is not for 2 classes; choose accuracy or matthews or f1, or"
    ):
        task_of(folder, letters, metric=metric)
    assert task_of(folder, letters, {"labels": "values"}, metric=metric).metric.name == metric


def test_a_recipe_tells_the_tasks_apart_by_type() -> None:
    content = {"type": "text-classification", "dataset": {"path": "nyu-mll/glue", "name": "rte"}}
    config = parse_recipe(content, TextClassificationConfig, "here")
    assert (config.max_length, config.dataset.columns, config.metric) == (128, None, None)


def test_guesses(folder: Path, letters: Path) -> None:
    """Two of three test rows are good."""
    guesses = task_of(folder, letters).guesses("test")
    assert guesses == {"accuracy": [pytest.approx(1 / 3), pytest.approx(2 / 3)], "matthews": [0, 0], "f1": [0, 0.8]}
