"""A folder of one's own CSV, by the recipe that ships for it: its class names go with the ticket and its model."""

from pathlib import Path

import pytest
from command_line import ticketzoo
from text_folders import LETTERS, write_tokenizer
from tiny_bert import save_tiny_bert

from ticketzoo import load_ticket

NAMES = ["None", "ham, cured"]
SMALL = ("training.steps=2it", "task.max_length=16", "finder.levels=1", "seeds=[0]")
TICKET = "runs/tiny.mine-imp/tiny.mine-imp"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    save_tiny_bert(write_tokenizer(folder / "base", limit=32))
    (folder / "mine").mkdir()
    for split, word in (("train", "x"), ("test", "y")):
        rows = [f'{word} {letter},"{NAMES[number % 2]}"' for number, letter in enumerate(LETTERS)]
        (folder / "mine" / f"{split}.csv").write_text("\n".join(["text,label", *rows]))
    settings = ("model=transformers/./base", "task.dataset.path=mine", "name=tiny.mine-imp", *SMALL)
    done = ticketzoo(folder, "find", "my-texts", *(f"--set={setting}" for setting in settings))
    assert done.status == 0, done.err
    assert "not read" not in done.err and "trained on, too" not in done.err
    return folder


def test_the_ticket_says_its_classes(folder: Path) -> None:
    info = ticketzoo(folder, "info", f"./{TICKET}", "--json").json
    assert (info["format"], info["source"]["classes"]) == (1, NAMES)
    assert "classes       None, ham, cured\n" in ticketzoo(folder, "info", f"./{TICKET}").out
    assert "- **classes**: None, ham, cured" in (folder / TICKET / "README.md").read_text()


def test_its_model_names_them(folder: Path) -> None:
    config = load_ticket(str(folder / TICKET)).build().config
    assert config.id2label == {0: "None", 1: "ham, cured"}
    assert config.label2id == {"None": 0, "ham, cured": 1}
