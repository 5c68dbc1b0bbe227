"""Tickets of a network that balances a pole: from find to verdict, and by the command line."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from command_line import ticketzoo

from ticketzoo import load_ticket
from ticketzoo.finding import FindRecipe, find_and_package
from ticketzoo.recipe import parse_recipe
from ticketzoo.targets import TransferRecipe
from ticketzoo.targets.report import run_transfer

pytest.importorskip("gymnasium", reason="needs gymnasium: pip install 'ticketzoo[rl]'")

TASK = {
    "type": "reinforcement-learning",
    "environment": "CartPole-v1",
    "environments": 4,
    "evaluated_episodes": 5,
}
EVERYTHING = {"include": ["*"]}
LAYERS = ["fc1", "fc2", "policy", "value"]


def recipe(steps: int = 8, finder: dict[str, Any] | None = None, **keys: Any) -> dict[str, Any]:
    return {
        "name": "actor-critic.cartpole-imp",
        "model": {"name": "actor-critic", "kwargs": {"hidden": [8, 8]}},
        "task": TASK,
        "training": {"steps": f"{steps}it", "batch_size": 16, "optimizer": {"name": "rmsprop", "lr": 0.005}},
        "finder": {"rate": 0.5, "levels": 1, "rewind": "2it"} | (finder or {}),
        "arms": ["ticket", "dense"],
        "draws": 1,
        "seeds": [0],
    } | keys


def found(content: dict[str, Any], folder: Path) -> Path:
    return find_and_package(parse_recipe(content, FindRecipe, "test"), folder)[1]


@pytest.mark.parametrize("finder", [EVERYTHING, {"method": "one-shot"}], ids=["imp", "one-shot"])
def test_a_ticket_is_found_loaded_and_trained_again(tmp_path: Path, finder: dict[str, Any]) -> None:
    arms = ["ticket", "dense", "random_reinit", "random_mask", "permuted_values"]
    folder = found(recipe(finder=finder | {"rewind": "0it"}, arms=arms), tmp_path)
    ticket = load_ticket(str(folder))
    parts = ("weight", "bias") if finder is EVERYTHING else ("weight",)
    assert list(ticket.masks) == [f"{layer}.{part}" for layer in LAYERS for part in parts]
    assert {row["arm"] for row in ticket.results} == {*arms, "chance"}
    model = ticket.build()
    ticket.apply(model)
    scores, expected = model(torch.zeros(3, 4))
    assert (scores.shape, expected.shape) == ((3, 2), (3,))
    for name, mask in ticket.masks.items():
        assert not model.get_parameter(name)[~mask].any()

    transfer = {
        "name": "again",
        "tickets": [str(folder)],
        "levels": [1],
        "targets": [{"task": TASK}],
        "training": recipe()["training"],
        "head": "keep",
        "arms": ["ticket", "dense"],
        "seeds": [0],
    }
    run_transfer(parse_recipe(transfer, TransferRecipe, "test"), tmp_path / "again")
    rows = [json.loads(line) for line in (tmp_path / "again" / "results.jsonl").read_text().splitlines()]
    decides = {"ticket": ticket.results, "again": rows}
    returns = {
        which: {
            row["arm"]: row["value"]
            for row in of
            if row["metric"] == "test_return" and (row["arm"] != "ticket" or row["level"] == 1)
        }
        for which, of in decides.items()
    }
    assert returns["again"] == {arm: returns["ticket"][arm] for arm in ("ticket", "dense", "chance")}, "on the source"


def test_returns_are_shown_as_numbers_and_both_of_them(tmp_path: Path) -> None:
    """No percent: the deciding one is that of training, which an evaluation by other actions stands beside."""
    folder = found(recipe(steps=20, seeds=[0, 1]), tmp_path)
    rows = [row for row in load_ticket(str(folder)).results if row["arm"] == "dense" and row["seed"] == 0]
    assert {row["metric"] for row in rows} == {"test_return", "test_greedy_return", "train_loss"}
    assert [row["metric"] for row in rows if row.get("decides")] == ["test_return"]
    card = (folder / "README.md").read_text()
    (value,) = (row["value"] for row in rows if row["metric"] == "test_return")
    assert f"{value:.4f}" in card or "±" in card
    shown = card.split("## What was measured")[1].split("The rule, for")[0]
    assert "Test return of an episode at the end of training on cartpole-v1" in shown
    assert "%" not in shown.replace("95%", "")


@pytest.mark.slow
def test_a_network_that_learns_is_judged(tmp_path: Path) -> None:
    """600 updates in 8 environments let it balance for three times as long as a random policy, by any seed."""
    content = yaml.safe_load((Path(__file__).parents[2] / "recipes/domains/cartpole-small.yaml").read_text())
    ticket = load_ticket(str(found(content, tmp_path)))
    returns = [row["value"] for row in ticket.results if row["arm"] == "dense" and row["metric"] == "test_return"]
    (chance,) = {row["value"] for row in ticket.results if row["arm"] == "chance"}
    assert min(returns) > 3 * chance
    assert ticket.config.verdict.label != "not measured"


@pytest.mark.slow
def test_the_command_line_finds_verifies_and_tells_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe()))
    made = ticketzoo(tmp_path, "find", "recipe.yaml", "--out", "run")
    assert made.status == 0, made.err
    assert ticketzoo(tmp_path, "verify", "./run/actor-critic.cartpole-imp").status == 0
    for override, message in (
        ("task.environments=8", "an update learns from 8 environments x 4 steps: 32"),
        ("task.environment=CartPole-v9", "CartPole"),
        ("model=lenet-300-100", "the data are observations: choose a model named actor-critic"),
    ):
        wrong = ticketzoo(tmp_path, "find", "recipe.yaml", "--out", "wrong", "--set", override)
        assert wrong.status == 1, override
        assert message in wrong.err.splitlines()[-1]
