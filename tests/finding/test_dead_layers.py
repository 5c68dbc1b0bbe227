"""A sparsity that kills a layer is refused before it is trained, unless the recipe allows it."""

from pathlib import Path
from typing import Any

import pytest

from ticketzoo import load_ticket
from ticketzoo.errors import RunError, TicketError
from ticketzoo.finding import FindRecipe, find_and_package, plan_find
from ticketzoo.recipe import dump_recipe, parse_recipe
from ticketzoo.runs.progress import Quiet
from ticketzoo.ticket.effective import effective_sparsity

CONTENT: dict[str, Any] = {
    "name": "lenet.digits-magnitude",
    "model": {"name": "lenet-300-100", "kwargs": {"width": 0.1}},
    "task": {"type": "image-classification", "dataset": {"path": "digits", "classes": [0, 1, 2], "examples": 60}},
    "training": {"steps": "2it", "batch_size": 20},
    "finder": {"method": "at-init", "levels": 2, "scope": "layerwise", "rates": {"fc3": 0.99}, "rate": 0.1},
    "arms": ["ticket", "dense"],
    "seeds": [0],
}


def recipe(**finder: Any) -> FindRecipe:
    """The last layer has 30 weights, of which level 1 keeps none."""
    return parse_recipe(CONTENT | {"finder": CONTENT["finder"] | finder}, FindRecipe, "test")


class Told(Quiet):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def warn(self, message: str) -> None:
        self.lines.append(message)


def test_it_is_refused_in_one_line_with_level_and_layer(tmp_path: Path) -> None:
    expected = (
        r"^seed 0 level 1/2 \(sparsity 0.112\): no weight is kept of fc3.weight, so nothing before it would learn; "
        r"ask for a lower sparsity, or allow it: --allow-dead-layers \(finder.allow_dead_layers: true\)$"
    )
    with pytest.raises(RunError, match=expected):
        find_and_package(recipe(), tmp_path)
    with pytest.raises(RunError, match=expected):
        plan_find(recipe(), tmp_path / "plan", seconds=0.01)


def test_masks_that_follow_from_no_training_are_looked_at_before_any(tmp_path: Path) -> None:
    """Of 30 weights level 1 keeps 3 and level 2 none: nothing is trained, not even the dense network."""
    finder = CONTENT["finder"] | {"rates": {"fc3": 0.9}}
    with pytest.raises(RunError, match=r"^seed 0 level 2/2 \(sparsity 0\.\d+\): no weight is kept of fc3\.weight"):
        find_and_package(parse_recipe(CONTENT | {"finder": finder}, FindRecipe, "test"), tmp_path)
    assert not list((tmp_path / "cells").glob("*/*"))


def test_allowed_it_goes_on_and_says_how_many_weights_are_effective(tmp_path: Path) -> None:
    told = Told()
    ticket, folder = find_and_package(recipe(allow_dead_layers=True), tmp_path, progress=told)
    (first, _) = told.lines
    assert first.startswith("seed 0 level 1/2 (sparsity 0.112): no weight is kept of fc3.weight, so nothing")
    assert first.endswith("; 0 of 1,998 kept weights are on a path from input to output")
    assert any(line.startswith("fc3.weight keeps nothing") for line in ticket.empty_layers)
    with pytest.raises(TicketError, match=r"no weight is kept of fc3\.weight"):
        load_ticket(str(folder), level=2).build()


@pytest.mark.parametrize(("init", "on_paths"), [("kaiming_normal", 0), ("default", 330)])
def test_the_number_is_that_of_the_ticket(init: str, on_paths: int, tmp_path: Path) -> None:
    """The first layer keeps nothing, so that paths begin at its biases alone: at none that is 0."""
    told, model = Told(), {"name": "lenet-300-100", "kwargs": {"width": 0.1, "init": init}}
    finder = CONTENT["finder"] | {"levels": 1, "rates": {"fc1": 0.9999}, "rate": 0.001, "allow_dead_layers": True}
    dead = parse_recipe(CONTENT | {"model": model, "finder": finder}, FindRecipe, "test")
    ticket, _ = find_and_package(dead, tmp_path, progress=told)
    assert told.lines[0].endswith(f"; {on_paths} of 330 kept weights are on a path from input to output")
    assert effective_sparsity(ticket).levels[1].effective == on_paths


def test_the_key_stands_in_a_recipe_where_it_is_used() -> None:
    assert "allow_dead_layers" not in dump_recipe(recipe())
    assert "allow_dead_layers: true" in dump_recipe(recipe(allow_dead_layers=True))
