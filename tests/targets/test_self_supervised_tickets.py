"""Tickets of pre-training without labels: from a pre-trained network to labels, and to a verdict."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from command_line import ticketzoo

from ticketzoo import load_ticket
from ticketzoo.errors import RecipeError, TicketError
from ticketzoo.finding import FindRecipe, find_and_package
from ticketzoo.models import create_model
from ticketzoo.recipe import parse_recipe
from ticketzoo.targets import TransferRecipe, run_transfer

DIGITS = {"path": "digits", "classes": [0, 1, 2], "examples": 64, "validation": 0}
CONTENT: dict[str, Any] = {
    "name": "simclr",
    "model": {"name": "lenet-300-100", "kwargs": {"width": 0.1}},
    "task": {"type": "self-supervised", "dataset": DIGITS, "projection": [16, 8], "augment": {"flip": False}},
    "training": {"steps": "6it", "batch_size": 32, "optimizer": {"name": "adam", "lr": 0.003}},
    "finder": {"levels": 1, "rate": 0.5},
    "arms": ["ticket", "dense"],
    "seeds": [0, 1],
}
LABELS = {"type": "image-classification", "dataset": DIGITS | {"classes": [3, 4], "examples": 20}, "name": "labels"}


def found(folder: Path, **keys: Any) -> Path:
    return find_and_package(parse_recipe(CONTENT | keys, FindRecipe, "simclr"), folder)[1]


def over(ticket: Path, **keys: Any) -> TransferRecipe:
    content = {"name": "over", "tickets": [str(ticket)], "levels": [1], "targets": [{"task": LABELS}], "seeds": [0, 1]}
    training = {"steps": "4it", "batch_size": 10, "optimizer": {"name": "adam", "lr": 0.01}}
    return parse_recipe(content | {"training": training, "arms": ["ticket", "dense"]} | keys, TransferRecipe, "over")


def test_a_ticket_of_a_pretrained_network_is_found_loaded_and_carried_to_labels(tmp_path: Path) -> None:
    before = found(tmp_path / "before", seeds=[0], package_trained=True)
    folder = found(tmp_path / "run", model=CONTENT["model"] | {"weights": str(before)})
    ticket = load_ticket(str(folder))
    assert list(ticket.masks) == ["fc1.weight", "fc2.weight"]  # fc3 is the projection head
    start, trained = ticket.at(level=0).rewind_state, load_ticket(str(before), level=0).trained_state
    assert trained is not None and all(torch.equal(one, trained[name]) for name, one in start.items())
    metrics = {row["metric"] for row in ticket.results if row["at"] == "final"}
    names = ("loss", "retrieval_accuracy", "linear_accuracy", "untrained_linear_accuracy")
    assert metrics == {"train_loss", *(f"test_{name}" for name in names)}
    assert {row["metric"] for row in ticket.results if row.get("decides")} == {"test_linear_accuracy"}
    ticket.apply(ticket.build())
    classifier = create_model("lenet-300-100", seed=3, width=0.1, in_shape=(1, 8, 8), num_classes=2)
    own_head = classifier.fc3.weight.detach().clone()
    ticket.apply(classifier, head="fc3")
    assert torch.equal(classifier.fc3.weight, own_head)
    assert not classifier.fc1.weight[~ticket.masks["fc1.weight"]].any()

    report = run_transfer(over(folder), tmp_path / "over")
    assert report.verdicts["simclr"].metric == "test_accuracy"
    rows = [json.loads(line) for line in (tmp_path / "over" / "results.jsonl").read_text().splitlines()]
    assert {row["arm"] for row in rows} == {"ticket", "dense", "chance"}
    with pytest.raises(TicketError, match=r"simclr on labels: was found under a projection head, .*: set head: dense"):
        run_transfer(over(folder, head="keep"), tmp_path / "kept")


def test_a_ticket_without_trained_weights_starts_nothing(tmp_path: Path) -> None:
    folder = found(tmp_path / "before", seeds=[0])
    with pytest.raises(
        RecipeError, match=r"model\.weights: .*: this ticket holds no trained weights; find it again wi"
    ):
        found(tmp_path / "run", model=CONTENT["model"] | {"weights": str(folder)})


def test_dense_moves_from_the_pretrained_weights_and_another_projection_trains_them_on(tmp_path: Path) -> None:
    """The same objective on other images: a fresh projection head, the body from the ticket."""
    folder = found(tmp_path / "run", seeds=[0])
    task = CONTENT["task"] | {"dataset": DIGITS | {"classes": [3, 4, 5]}, "projection": [12, 4]}
    report = run_transfer(over(folder, targets=[{"task": task}], seeds=[0]), tmp_path / "over")
    assert report.verdicts["simclr"].metric == "test_linear_accuracy"


def test_no_verdict_rests_on_a_dense_network_that_is_as_an_untrained_one(tmp_path: Path) -> None:
    """Far above a guess by its linear classifier, all the same."""
    training = CONTENT["training"] | {"steps": "1it", "optimizer": {"name": "sgd", "lr": 1e-9}}
    keys = {"model": {"name": "conv-2", "kwargs": {"width": 0.05}}, "finder": {"levels": 1, "rate": 0.9}}
    ticket = load_ticket(str(found(tmp_path, training=training, **keys)))
    dense = [row["value"] for row in ticket.results if row["arm"] == "dense" and row.get("decides")]
    (floor,) = {row["value"] for row in ticket.results if row["arm"] == "chance"}
    assert min(dense) > 0.5 and floor > 0.5
    verdict = ticket.config.verdict
    assert verdict is not None and verdict.label == "not measured"
    assert "dense did not learn" in verdict.levels[0].reason
    assert "of a guess or an untrained network" in verdict.levels[0].reason


@pytest.mark.slow
def test_the_command_line_finds_verifies_and_transfers(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(CONTENT))
    made = ticketzoo(tmp_path, "find", "recipe.yaml", "--out", "run")
    assert made.status == 0, made.err
    said = " ".join(made.out.split())
    assert "Test linear accuracy (%)" in said and "or an untrained network:" in said
    assert ticketzoo(tmp_path, "verify", "./run/simclr").status == 0
    content = over(tmp_path / "run" / "simclr").model_dump(mode="json", exclude_none=True)
    (tmp_path / "over.yaml").write_text(yaml.safe_dump(content))
    moved = ticketzoo(tmp_path, "transfer", "over.yaml")
    assert moved.status == 0, moved.err
    assert "on labels" in moved.out
    large = ticketzoo(tmp_path, "find", "recipe.yaml", "--out", "large", "--set", "task.augment.size=20")
    assert large.status == 1
    assert large.err.splitlines()[-1].endswith("larger than the images of digits, 8x8: 8 is the most")
