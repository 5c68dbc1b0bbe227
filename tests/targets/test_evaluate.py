"""Measuring the trained network in a ticket."""

import json
from pathlib import Path
from typing import Any

import pytest
from image_folders import numbered, write_folder
from typer.testing import CliRunner

from ticketzoo.cli.main import app
from ticketzoo.errors import DataError, RecipeError, TicketError
from ticketzoo.finding import FindRecipe, find_and_package
from ticketzoo.recipe import parse_recipe
from ticketzoo.targets.evaluate import evaluate_ticket
from ticketzoo.ticket import Ticket

RECIPE = {
    "name": "lenet.digits-imp",
    "model": {"name": "lenet-300-100", "kwargs": {"width": 0.05}},
    "task": {"type": "image-classification", "dataset": {"path": "digits", "classes": [0, 1, 2], "examples": 64}},
    "training": {"steps": "30it", "batch_size": 16, "optimizer": {"lr": 0.1}},
    "finder": {"levels": 2},
    "arms": ["ticket", "dense"],
    "seeds": [0, 1],
    "package_trained": True,
}


def found(out: Path, **keys: Any) -> Ticket:
    return Ticket.from_pretrained(find_and_package(parse_recipe(RECIPE | keys, FindRecipe, "test"), out)[1])


@pytest.fixture(scope="module")
def ticket(tmp_path_factory: pytest.TempPathFactory) -> Ticket:
    return found(tmp_path_factory.mktemp("run"))


def row(ticket: Ticket, arm: str, level: int, metric: str) -> float:
    (value,) = (
        row["value"]
        for row in ticket.results
        if (row["arm"], row["level"], row["seed"], row["at"], row["metric"])
        == (arm, level, ticket.seed, "final", metric)
    )
    return float(value)


@pytest.mark.parametrize("split", ["test", "validation"])
@pytest.mark.parametrize("seed", [0, 1])
def test_ticket_and_dense_score_what_their_rows_say(ticket: Ticket, seed: int, split: str) -> None:
    one = ticket.at(level=2, seed=seed)
    scores = evaluate_ticket(one, split=split)
    assert scores.ticket == {name: row(one, "ticket", 2, f"{split}_{name}") for name in ("loss", "accuracy")}
    assert scores.dense == {name: row(one, "dense", 0, f"{split}_{name}") for name in ("loss", "accuracy")}


def test_the_guess_is_the_share_of_the_largest_class(ticket: Ticket) -> None:
    """scikit-learn's digits 0, 1 and 2: a stratified fifth is 36, 36 and 35 images."""
    scores = evaluate_ticket(ticket)
    assert scores.guess["accuracy"] == 36 / scores.examples
    assert scores.examples == 107
    assert "constant guess" in scores.table().markdown()


def test_other_data_is_measured_without_what_the_rows_say(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one = found(tmp_path / "run", package_from=1)
    assert evaluate_ticket(one).dense == {name: row(one, "dense", 0, f"test_{name}") for name in ("loss", "accuracy")}
    assert caplog.text == ""
    scores = evaluate_ticket(one, overrides=["task.dataset.classes=[3, 4, 5]"])
    assert "its classes are 0, 1, 2, and those of digits-3-5 are 3, 4, 5: scores take the first for the" in caplog.text
    assert scores.dense is None
    assert scores.ticket["accuracy"] < 0.9


def test_of_other_data_it_is_said_that_nothing_is_trained(ticket: Ticket, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "ticketzoo"):
        evaluate_ticket(ticket)
        assert "nothing is trained" not in caplog.text
        evaluate_ticket(ticket, data="digits")
    assert "digits: nothing is trained: a split to train on is read for its classes" in caplog.text


def test_data_that_do_not_fit_are_named(ticket: Ticket) -> None:
    with pytest.raises(RecipeError, match=r"digits-0-1 needs a network with num_classes 2, and lenet.digits-imp has 3"):
        evaluate_ticket(ticket, overrides=["task.dataset.classes=[0, 1]"])


def test_a_ticket_that_holds_no_trained_weights_says_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(TicketError, match="find it again with --set package_trained=true"):
        evaluate_ticket(found(tmp_path, package_trained=False))


def test_a_folder_of_the_recipe_is_not_read_unasked(ticket: Ticket, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()
    with pytest.raises(RecipeError, match="was found on a folder, digits: give --data FOLDER"):
        evaluate_ticket(ticket)


def test_command(tmp_path: Path, ticket: Ticket) -> None:
    folder = ticket.save_pretrained(tmp_path / "ticket")
    done = CliRunner().invoke(app, ["eval", str(folder), "--level", "1", "--seed", "1", "--json", "--device", "cpu"])
    said = json.loads(done.stdout)
    assert (said["level"], said["seed"], said["deciding"]) == (1, 1, "accuracy")
    assert said["ticket"]["accuracy"] == row(ticket.at(level=1, seed=1), "ticket", 1, "test_accuracy")
    done = CliRunner().invoke(app, ["eval", str(folder), "--device", "cpu"])
    assert done.stdout.startswith("level 2, sparsity 0.360, seed 0\n")
    assert "constant guess" in done.stdout


def test_a_folder_with_a_split_to_test_on_alone(ticket: Ticket, tmp_path: Path, caches: Path) -> None:
    """Its classes are numbered as the ticket's: 2 is not the second of those that there are."""
    images = {"0": numbered(4), "2": numbered(6, 10)}
    photos = write_folder(tmp_path / "photos", {"test": images})
    scores = evaluate_ticket(ticket, data=photos, overrides=["task.dataset.image_size=8"])
    assert (scores.examples, scores.guess["accuracy"]) == (10, 0.6)
    write_folder(tmp_path / "photos", {"test": {"cat": numbered(2)}})
    with pytest.raises(DataError, match="has a class 'cat', and the network knows 0, 1, 2: name its folders as these"):
        evaluate_ticket(ticket, data=photos, overrides=["task.dataset.image_size=8"])
