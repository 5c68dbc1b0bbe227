"""Tickets of an LSTM that says the next letter of the alphabet: from find to verdict."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import ticketzoo
from text_folders import write_data

from ticketzoo import load_ticket
from ticketzoo.finding import FindRecipe, find_and_package
from ticketzoo.recipe import parse_recipe
from ticketzoo.targets import TransferRecipe
from ticketzoo.targets.report import run_transfer

LINE = "a b c d e f g"
"""With <eos> eight tokens, each as often as the others: the frequencies' perplexity is 8, and 1 can be had."""
EVERYTHING, RECURRENT = {"include": ["*"]}, {"include": ["lstm.weight_*"], "exclude": ["decoder"]}


def texts(folder: Path, line: str = LINE) -> str:
    rows = {split: [{"text": line}] * count for split, count in (("train", 48), ("test", 9))}
    return str(write_data(folder, rows))


def task_in(folder: str) -> dict[str, Any]:
    return {
        "type": "causal-language-modelling",
        "dataset": {"path": folder, "validation": 0},
        "tokens": {"kind": "words"},
        "length": 5,
        "carry_state": True,
        "name": "alphabet",
    }


def recipe_in(folder: str, scope: dict[str, Any], steps: str = "3ep", **keys: Any) -> dict[str, Any]:
    return {
        "name": "lstm-lm.alphabet-imp",
        "model": {"name": "lstm-lm", "kwargs": {"embedding": 8, "hidden": 8, "layers": 1, "dropout": 0.1}},
        "task": task_in(folder),
        "training": {"steps": steps, "batch_size": 4, "optimizer": {"name": "adam", "lr": 0.05}, "clip_norm": 1.0},
        "finder": {"rate": 0.3, "levels": 2, "rewind": "0.25ep"} | scope,
        "arms": ["ticket", "dense"],
        "seeds": [0],
        "package_from": 1,
    } | keys


def found(content: dict[str, Any], folder: Path) -> Path:
    return find_and_package(parse_recipe(content, FindRecipe, "test"), folder)[1]


@pytest.mark.parametrize("scope", [EVERYTHING, RECURRENT], ids=["everything", "recurrent"])
def test_a_ticket_is_found_loaded_and_carried_to_other_words(tmp_path: Path, caches: Path, scope: Any) -> None:
    folder = found(
        recipe_in(texts(tmp_path / "texts"), scope, "6it", finder={"levels": 1, "rewind": "2it"} | scope), tmp_path
    )
    ticket = load_ticket(str(folder))
    names = [f"lstm.{kind}_{part}_l0" for kind in ("weight", "bias") for part in ("ih", "hh")]
    whole = ["embedding.weight", *names, "decoder.weight", "decoder.bias"]
    assert list(ticket.masks) == (whole if scope is EVERYTHING else names[:2])
    model = ticket.build()
    ticket.apply(model)
    for name, mask in ticket.masks.items():
        assert not model.get_parameter(name)[~mask].any()

    target = {"task": task_in(texts(tmp_path / "other", "one two three four")), "name": "numbers"}
    transfer = {
        "name": "to-numbers",
        "tickets": [str(folder)],
        "levels": [1],
        "targets": [target],
        "training": {"steps": "4it", "batch_size": 4},
        "arms": ["ticket", "dense", "random_mask"],
        "seeds": [0],
    }
    run_transfer(parse_recipe(transfer, TransferRecipe, "test"), tmp_path / "transfer")
    rows = [json.loads(line) for line in (tmp_path / "transfer" / "results.jsonl").read_text().splitlines()]
    arms = {row["arm"] for row in rows if row["metric"] == "test_perplexity"}
    assert arms == {"ticket", "dense", "random_mask", "chance"}
    (guess,) = {row["value"] for row in rows if row["arm"] == "chance" and row["at"] == "final"}
    assert guess == pytest.approx(5, rel=0.01), "four words and <eos>, nearly as often"


@pytest.mark.slow
def test_a_verdict_rests_on_a_dense_network_that_is_better_than_frequencies(tmp_path: Path, caches: Path) -> None:
    folder = texts(tmp_path / "texts")
    verdicts = []
    for steps in ("12ep", "3it"):
        keys = {"seeds": [0, 1, 2], "finder": EVERYTHING | {"levels": 1}}
        ticket = load_ticket(str(found(recipe_in(folder, EVERYTHING, steps, **keys), tmp_path / steps)))
        verdicts.append(ticket.config.verdict)
    learned, unlearned = verdicts
    assert learned.label != "not measured"
    assert unlearned.label == "not measured"
    assert "dense did not learn" in unlearned.levels[0].reason


@pytest.mark.slow
def test_the_command_line_finds_verifies_and_transfers(tmp_path: Path) -> None:
    content = recipe_in(texts(tmp_path / "texts"), RECURRENT, "6it")
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(content))
    made = ticketzoo(tmp_path, "find", "recipe.yaml", "--out", "run")
    assert made.status == 0, made.err
    assert ticketzoo(tmp_path, "verify", "./run/lstm-lm.alphabet-imp").status == 0
    few = ticketzoo(tmp_path, "find", "recipe.yaml", "--out", "few", "--set", "training.batch_size=200")
    assert few.status == 1
    assert few.err.splitlines()[-1].endswith("lower it or task.length, or give more text")
    gpt = ticketzoo(tmp_path, "find", "recipe.yaml", "--out", "gpt", "--set", "model=transformers/gpt2")
    assert gpt.status == 1
    assert "next tokens with a state carried on" in gpt.err.splitlines()[-1]
