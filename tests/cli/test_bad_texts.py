"""Whatever is wrong with texts, models that read them and their tickets, a user reads one line and sees status 1."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from command_line import ticketzoo
from text_folders import write_data, write_tokenizer
from tiny_bert import save_tiny_bert
from tiny_texts import question, write_texts

FILL_MASK = "task={type: fill-mask, dataset: {path: ./vowels}, max_length: 16}"
ANSWERS = "dataset: {path: ./answers, validation: 0}"
QUESTIONS = f"task={{type: question-answering, {ANSWERS}, max_length: 24, stride: 4, question_length: 4}}"
LONG = "task={type: text-classification, dataset: {path: ./long, validation: 0}, max_length: 64}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_texts(tmp_path_factory.mktemp("bad"))
    changed_config(folder, "code", auto_map={"AutoModel": "theirs.Model"})
    changed_config(folder, "gpt", model_type="gpt2")
    changed_config(folder, "deep", num_hidden_layers=3)
    changed_config(folder, "wide", hidden_size=128)
    write_tokenizer(copy_base(folder, "no-mask"), mask=False, limit=32)
    write_tokenizer(copy_base(folder, "patient"), limit=512)
    save_tiny_bert(copy_base(folder, "other"), seed=10)
    cased = copy_base(folder, "cased") / "tokenizer.json"
    cased.write_text(cased.read_text().replace('"z"', '"Z"'))
    texts = [{"sentence": "a b " * 40, "label": number % 2} for number in range(8)]
    write_data(folder / "long", {"train": texts, "test": texts})
    labels = [{"sentence": "a", "label": 0}, {"sentence": "b", "label": 10**20}]
    write_data(folder / "one", {"train": [{"sentence": text, "label": 0} for text in "abcd"]})
    write_data(folder / "labels", {"train": labels, "test": labels[:1]})
    outside = question("a b c") | {"answers": {"text": ["b"], "answer_start": [9]}}
    write_data(folder / "answers", {"train": [outside], "test": [outside]})
    return folder


def copy_base(folder: Path, name: str) -> Path:
    return Path(shutil.copytree(folder / "base", folder / name))


def changed_config(folder: Path, name: str, **keys: Any) -> None:
    path = copy_base(folder, name) / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | keys))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["model=transformers/./code"], "auto_map is set: it runs code of its own, and cannot be used here"),
        (["model=transformers/./nowhere"], "nowhere/config.json: there is no such file"),
        (["model=transformers/base"], "unknown model type 'base'; known are albert, bert"),
        (["model=./base"], "of an encoder transformers/OWNER/NAME on the Hub or transformers/./FOLDER"),
        (["task.dataset.path=vowels/data/train-00000-of-00001.jsonl"], "is a file: give the folder that it is in"),
        (["task.dataset.name=mnli"], "(its name, 'mnli', is as in the recipe: unset it for a folder without)"),
        (["model=transformers/./gpt"], "has no head for text-classification: choose a model of type albert, bert"),
        (["model=transformers/./base", FILL_MASK], "transformers/./base has no head for fill-mask: train one first"),
        (["model=lenet-300-100", "task.tokenizer=./base"], "lenet-300-100 reads images, and the data are texts"),
        (["task={type: image-classification, dataset: {path: digits}}"], "base reads texts, and the data are images"),
        (["model=transformers/./no-mask", FILL_MASK], "tokenizer ./no-mask has no mask token"),
        (["task.tokenizer=./cased"], "tokenizer ./cased has other tokens than the model's"),
        (["task.dataset.columns=[text]"], "./vowels has no text column 'text'; its columns: sentence (text)"),
        (["task.dataset.path=./labels"], "line 2: column 'label' holds a whole number beyond 64 bits"),
        (["task.dataset.path=./one", "model=transformers/./nowhere"], "has one class only, '0'"),
        ([QUESTIONS], "jsonl, line 1: the answer 'b' is not at character 9 of its context"),
        (["model=transformers/./patient", LONG], "sequences of 64 tokens, but the model takes 32: lower it"),
        (["model=transformers/./deep"], "(hidden size 64, 2 layers; the model has hidden size 64, 3 layers)"),
        (["model=transformers/./wide"], "(hidden size 64, 2 layers; the model has hidden size 128, 2 layers)"),
    ],
)
def test_a_recipe_that_cannot_be(folder: Path, settings: list[str], said: str) -> None:
    done = ticketzoo(folder, "find", "find.yaml", *(f"--set={setting}" for setting in settings), "--json")
    assert (done.status, done.json["ok"]) == (1, False)
    assert said in done.json["error"] and said in done.err
    assert done.err.splitlines()[-1] == f"ticketzoo: {done.json['error']}"


def test_a_base_whose_weights_changed(folder: Path) -> None:
    assert ticketzoo(folder, "find", "find.yaml", "--json").status == 0
    done = ticketzoo(folder, "transfer", "transfer.yaml", "--set=base=./other")
    assert (done.status, done.out) == (1, "")
    assert "base weights in other: their digest is " in done.err
    assert f"they are no copy of hub:big/bert@{'1' * 40}" in done.err
    assert "digest" in done.err.splitlines()[-1]
