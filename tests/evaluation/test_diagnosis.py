"""Trainings that went wrong without an error."""

from pathlib import Path
from typing import Any

import pytest
from image_folders import numbered, write_folder

from ticketzoo.evaluation.diagnosis import diagnose
from ticketzoo.finding import FindRecipe, find_and_package
from ticketzoo.recipe import parse_recipe


def row(arm: str, value: float, *, level: int = 0, seed: int = 0, metric: str = "test_accuracy", **keys: Any) -> Any:
    labels = {"ticket": "t", "level": level, "sparsity": 0.5 if level else 0.0, "arm": arm, "target": "d"}
    return labels | {"seed": seed, "draw": 0, "at": "final", "step": 9, "metric": metric, "value": value} | keys


def test_all_is_well() -> None:
    assert diagnose([row("dense", 0.9), row("chance", 0.37), row("ticket", 0.8, level=1)]) == []
    assert diagnose([row("dense", 0.1)]) == []  # nothing is known of guesses
    assert diagnose([row("chance", 0.37), row("shuffled_labels", 0.2, level=1)]) == []  # is there to learn nothing


def test_one_answer_throughout_and_less_than_that() -> None:
    rows = [row("chance", 0.37), row("dense", 0.9), row("ticket", 0.37, level=1), row("ticket", 0.37, level=1, seed=2)]
    assert diagnose([*rows, row("random_mask", 0.3, level=1)]) == [
        "random mask at level 1 learned nothing: it is no better than the best constant guess, 37.00% (seed 0)",
        "ticket at level 1 gives one answer throughout: it scores just what that does, 37.00% (seeds 0, 2)",
    ]


def test_what_was_never_trained_has_not_failed_to_learn() -> None:
    """Its controls are there to be no better than a guess, and its loss may be huge."""
    as_it_is: Any = {"level": 1, "trained": False, "step": 0}
    rows = [row("chance", 0.37), row("dense", 0.9), row("ticket", 0.3, **as_it_is), row("random_mask", 0.3, **as_it_is)]
    assert diagnose([*rows, row("ticket", 3e6, metric="test_loss", **as_it_is)]) == [
        "ticket at level 1 is no better than the best constant guess, 37.00% (seed 0)"
    ]


def test_less_is_better_of_perplexities() -> None:
    keys = {"metric": "test_perplexity", "decides": True, "higher_is_better": False}
    rows = [row("chance", 300.0, **keys), row("dense", 40.0, **keys), row("ticket", 400.0, level=1, **keys)]
    assert diagnose(rows) == [
        "ticket at level 1 learned nothing: it is no better than the best constant guess, 300.0000 (seed 0)"
    ]


def test_a_huge_loss_of_a_classifier() -> None:
    """Of values to predict, a large squared error means nothing by itself."""
    loss = row("dense", 3.2e6, metric="test_loss")
    assert diagnose([row("dense", 0.5), loss]) == [
        "dense at level 0 diverged: its test loss is 3.2e+06; lower training.optimizer.lr (seed 0)"
    ]
    assert diagnose([row("dense", 0.5, metric="test_pearson", decides=True), loss]) == []


@pytest.mark.parametrize(("lr", "fault"), [(1e-9, "constant guess"), (0.1, None)])
def test_a_run_says_it_on_the_card(lr: float, fault: str | None, tmp_path: Path) -> None:
    """A training that moves nothing stays near chance, and labels 0 and 1 of three are as many: 36 of 107."""
    recipe = {
        "name": "lenet.digits-imp",
        "model": {"name": "lenet-300-100", "kwargs": {"width": 0.05}},
        "task": {"type": "image-classification", "dataset": {"path": "digits", "classes": [0, 1, 2]}},
        "training": {"steps": "30it", "batch_size": 32, "optimizer": {"lr": lr}},
        "finder": {"levels": 1},
        "arms": ["ticket", "dense"],
        "seeds": [0, 1, 2],
    }
    ticket, folder = find_and_package(parse_recipe(recipe, FindRecipe, "test"), tmp_path)
    card = (folder / "README.md").read_text()
    assert ("Trainings that went wrong without an error" in card) == (fault is not None)
    assert (fault or "") in " ".join(diagnose(ticket.results))
    assert bool(diagnose(ticket.results)) == (fault is not None)


def test_examples_that_could_not_be_read_are_counted_on_the_card(tmp_path: Path, caches: Path) -> None:
    train = {"a": numbered(8), "b": numbered(8, 10)}
    path = write_folder(tmp_path / "photos", {"train": train, "test": {"a": numbered(2, 20), "b": numbered(2, 30)}})
    (path / "train/a/0003.png").write_bytes(b"no image")
    recipe = {
        "name": "lenet.photos-imp",
        "model": {"name": "lenet-300-100", "kwargs": {"width": 0.05}},
        "task": {
            "type": "image-classification",
            "dataset": {"path": str(path), "validation": 0, "on_error": "skip", "in_memory": False},
        },
        "training": {"steps": "4it", "batch_size": 8},
        "finder": {"levels": 1},
        "arms": ["ticket", "dense"],
        "seeds": [0],
    }
    _, folder = find_and_package(parse_recipe(recipe, FindRecipe, "test"), tmp_path / "run")
    assert "- **left out**: 1 that could not be read" in (folder / "README.md").read_text()
