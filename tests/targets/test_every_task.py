"""Every task at the size of seconds: from find to verdict, by two processes, killed, and by the command line."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from command_line import ticketzoo
from killed_find import killed_and_undisturbed
from launched import results_of
from text_folders import write_data

from ticketzoo import load_ticket
from ticketzoo.finding import FindRecipe, find_and_package
from ticketzoo.recipe import parse_recipe
from ticketzoo.targets import TransferRecipe, run_transfer
from ticketzoo.tasks import TASKS

DIGITS: dict[str, Any] = {"path": "digits", "classes": [0, 1, 2], "examples": 62, "validation": 0}
LENET = {"name": "lenet-300-100", "kwargs": {"width": 0.05}}
LABELS = {"type": "image-classification", "dataset": DIGITS | {"classes": [3, 4, 5]}}
"""What tickets of images are carried to."""


def images(dataset: dict[str, Any] | None = None, **keys: Any) -> dict[str, Any]:
    return {"model": LENET, "task": LABELS | {"dataset": DIGITS | (dataset or {})} | keys, "target": LABELS}


def acting(environment: str) -> dict[str, Any]:
    keys = {"type": "reinforcement-learning", "environment": environment, "environments": 5, "horizon": 3}
    task = keys | {"evaluated_episodes": 3}
    return {"model": {"name": "actor-critic", "kwargs": {"hidden": [8]}}, "task": task, "target": task}


WORDS = {"type": "causal-language-modelling", "tokens": {"kind": "words"}, "length": 5, "carry_state": True}
LSTM = {"name": "lstm-lm", "kwargs": {"embedding": 8, "hidden": 8, "layers": 1, "dropout": 0.0}}
SUMS = {"type": "modular-addition", "modulus": 13}
EVERY: dict[str, dict[str, Any]] = {
    "wrong labels": images({"label_noise": {"kind": "redraw", "fraction": 0.25}}),
    "blurred": images({"blur": 4}),
    "attacked": images(adversarial={"epsilon": "8/255", "steps": 2, "evaluate": {"steps": 2, "restarts": 2}}),
    "without labels": images() | {"task": {"type": "self-supervised", "dataset": DIGITS, "projection": [16, 8]}},
    "words": {"model": LSTM, "task": WORDS | {"dataset": "alphabet"}, "target": WORDS | {"dataset": "numbers"}},
    "balancing": acting("CartPole-v1"),
    "swinging": acting("Acrobot-v1"),
    "sums": {
        "model": {"name": "one-layer-transformer", "kwargs": {"width": 8, "units": 8}},
        "task": SUMS,
        "target": SUMS | {"split_seed": 1, "name": "other-sums"},
    },
}
"""Model, task and target. Two processes share no batch of 15 evenly."""
BESIDES = {
    "fill-mask": "tests/finding/test_find_encoder.py",
    "text-classification": "tests/cli/test_find_and_transfer_texts.py",
    "question-answering": "tests/cli/test_find_and_transfer_texts.py",
    "own": "tests/api/test_find_own.py",
}
"""Types of tasks that are tested elsewhere."""
TEXTS = {"alphabet": "a b c d e f g", "numbers": "one two three four"}


def on_data(section: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return a task's keys, its texts written into `folder`."""
    if not isinstance(name := section.get("dataset"), str):
        return section
    rows = {split: [{"text": TEXTS[name]}] * count for split, count in (("train", 48), ("test", 9))}
    path = write_data(folder / name, rows)
    return section | {"dataset": {"path": str(path), "validation": 0}, "name": name}


def recipe_of(name: str, folder: Path, **training: Any) -> dict[str, Any]:
    if name in ("balancing", "swinging"):
        pytest.importorskip("gymnasium", reason="needs gymnasium: pip install 'ticketzoo[rl]'")
    optimizer = {"name": "adam", "lr": 0.01}
    return {
        "name": "small",
        "model": EVERY[name]["model"],
        "task": on_data(EVERY[name]["task"], folder),
        "training": {"steps": "10it", "batch_size": 15, "optimizer": optimizer, "evaluate_every": "4it"} | training,
        "finder": {"levels": 1, "rate": 0.5, "rewind": "2it"},
        "arms": ["ticket", "dense"],
        "seeds": [0, 1],
    }


def transfer_of(name: str, folder: Path, ticket: str) -> dict[str, Any]:
    return {
        "name": "over",
        "tickets": [ticket],
        "levels": [1],
        "targets": [{"task": on_data(EVERY[name]["target"], folder), "name": "target"}],
        "training": {"steps": "6it", "batch_size": 15},
        "arms": ["ticket", "dense", "random_mask"],
        "draws": 1,
        "seeds": [0, 1],
    }


def found(content: dict[str, Any], folder: Path) -> Path:
    return find_and_package(parse_recipe(content, FindRecipe, "test"), folder)[1]


def test_no_type_of_task_is_left_out() -> None:
    assert {world["task"]["type"] for world in EVERY.values()} | BESIDES.keys() >= set(TASKS)


@pytest.mark.parametrize("name", ["wrong labels", "blurred", "sums"])
def test_a_ticket_is_found_loaded_carried_over_and_judged(name: str, tmp_path: Path) -> None:
    """Those of the other tasks are in files of their own."""
    ticket = load_ticket(str(folder := found(recipe_of(name, tmp_path), tmp_path / "run")))
    model = ticket.build()
    ticket.apply(model)
    for layer, mask in ticket.masks.items():
        assert not model.get_parameter(layer)[~mask].any()
    assert ticket.config.verdict is not None and ticket.config.verdict.levels[0].reason
    content = transfer_of(name, tmp_path, str(folder))
    report = run_transfer(parse_recipe(content, TransferRecipe, "test"), tmp_path / "over")
    assert report.verdicts["small"].levels[0].target == "target"
    rows = [json.loads(line) for line in (tmp_path / "over" / "results.jsonl").read_text().splitlines()]
    assert {row["arm"] for row in rows} == {"ticket", "dense", "random_mask", "chance"}


@pytest.mark.parametrize("name", EVERY)
def test_no_verdict_rests_on_a_dense_network_that_did_not_learn(name: str, tmp_path: Path, caches: Path) -> None:
    """It is trained at a rate of nearly 0. Its seeds differ by more than it is above a guess."""
    content = recipe_of(name, tmp_path, steps="3it", optimizer={"name": "sgd", "lr": 1e-9})
    verdict = load_ticket(str(found(content, tmp_path / "run"))).config.verdict
    assert verdict is not None and verdict.label == "not measured"
    assert verdict.levels[0].reason.startswith("dense did not learn: ")


def deciding(content: dict[str, Any], folder: str) -> list[float]:
    ticket = load_ticket(str(found(content, Path(folder))))
    metric = ticket.config.verdict.metric if ticket.config.verdict else ""
    return [row["value"] for row in ticket.results if row["metric"] in (metric, "test_loss")]


@pytest.mark.slow
@pytest.mark.parametrize("name", EVERY)
def test_two_processes_find_what_one_finds(name: str, tmp_path: Path, caches: Path) -> None:
    content = recipe_of(name, tmp_path)
    torch.set_num_threads(1)
    first, second = results_of(2, deciding, tmp_path, content, str(tmp_path / "two"))
    assert first == second
    assert first == pytest.approx(deciding(content, str(tmp_path / "one")), rel=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("name", EVERY)
def test_a_find_killed_again_and_again_ends_with_the_same_bytes(name: str, tmp_path: Path, caches: Path) -> None:
    content = recipe_of(name, tmp_path, steps="40it", evaluate_every="9it")
    if name == "words":
        content["model"] = LSTM | {"kwargs": LSTM["kwargs"] | {"dropout": 0.1}}
    elif name == "attacked":
        content["task"] = content["task"] | {"augment": {"flip": True}}
    (recipe := tmp_path / "recipe.yaml").write_text(yaml.safe_dump(content))
    killed_and_undisturbed(recipe, tmp_path, [0.0, 0.05, 0.1, 0.2])
    folders = [tmp_path / run / "small" for run in ("undisturbed", "killed")]
    for file in ("ticket.json", "results.jsonl", "seed-1/masks.safetensors", "seed-1/rewind.safetensors"):
        ours, theirs = (folder / file for folder in folders)
        assert ours.read_bytes() == theirs.read_bytes(), file


@pytest.mark.slow
@pytest.mark.parametrize("name", EVERY)
def test_the_command_line_finds_verifies_and_carries_over(name: str, tmp_path: Path, caches: Path) -> None:
    (tmp_path / "find.yaml").write_text(yaml.safe_dump(recipe_of(name, tmp_path)))
    (tmp_path / "over.yaml").write_text(yaml.safe_dump(transfer_of(name, tmp_path, "./run/small")))
    for command in (("find", "find.yaml", "--out", "run"), ("verify", "./run/small"), ("transfer", "over.yaml")):
        done = ticketzoo(tmp_path, *command)
        assert done.status == 0, done.err
    assert "verdict on small" in done.out
