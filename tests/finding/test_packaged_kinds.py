"""Tickets that need format 2: levels with weights of their own, levels that do not nest, supermasks as they are."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from ticketzoo import Ticket, load_ticket
from ticketzoo.finding import FindRecipe, find_and_package
from ticketzoo.finding.config import MethodConfig
from ticketzoo.finding.method import METHODS, Lab, Level
from ticketzoo.recipe import parse_recipe
from ticketzoo.tasks import create_task
from ticketzoo.zoo.verify import verify_ticket

CPU = torch.device("cpu")


def find(folder: Path, **keys: Any) -> Ticket:
    content: dict[str, Any] = {
        "name": "lenet.digits-kind",
        "model": {"name": "lenet-300-100", "kwargs": {"width": 0.1}},
        "task": {"type": "image-classification", "dataset": {"path": "digits", "classes": [0, 1, 2], "examples": 120}},
        "training": {"steps": "20it", "batch_size": 20},
        "arms": ["ticket", "dense"],
        "seeds": [0],
    }
    recipe = parse_recipe(content | keys, FindRecipe, "test")
    return load_ticket(str(find_and_package(recipe, folder)[1]), level=recipe.finder.levels)


def format_of(ticket: Ticket, folder: Path) -> int:
    verify_ticket(folder / ticket.name)
    number: int = json.loads((folder / ticket.name / "ticket.json").read_text())["format"]
    return number


def test_learning_rate_rewinding_is_packaged_at_every_level(tmp_path: Path) -> None:
    ticket = find(tmp_path, finder={"levels": 2, "rate": 0.5, "rewind": "4it", "rewinding": "learning-rate"})
    assert format_of(ticket, tmp_path) == 2
    first, second = ticket.at(level=1), ticket.at(level=2)
    for name in first.masks:
        assert (first.rewind_state[name][~first.masks[name]] == 0).all()
        kept = second.masks[name]
        assert not torch.equal(first.rewind_state[name][kept], second.rewind_state[name][kept])  # trained once more


def test_a_ticket_with_one_state_for_all_levels_stays_format_1(tmp_path: Path) -> None:
    assert format_of(find(tmp_path, finder={"levels": 2, "rewind": "4it"}), tmp_path) == 1


def test_levels_that_do_not_nest_are_packaged(tmp_path: Path) -> None:
    def halves(lab: Lab, config: MethodConfig) -> Iterator[Level]:
        """Keep the first half of each parameter, then the last quarter."""
        yield Level(lab.dense, lab.initial)
        for share in (slice(0, 2), slice(3, 4)):
            masks = {}
            for name, mask in lab.dense.items():
                flat, quarter = torch.zeros(mask.numel(), dtype=torch.bool), mask.numel() // 4
                flat[share.start * quarter : share.stop * quarter] = True
                masks[name] = flat.view(mask.shape)
            yield Level(masks, lab.initial)

    METHODS.add("halves", config=MethodConfig, cite="", words="halves")(halves)
    ticket = find(tmp_path, finder={"method": "halves", "levels": 2})
    assert format_of(ticket, tmp_path) == 2
    assert not any((ticket.at(level=1).masks[name] & mask).any() for name, mask in ticket.masks.items())
    assert all((ticket.rewind_state[name][mask] != 0).all() for name, mask in ticket.masks.items())


@pytest.fixture(scope="module")
def supermask(tmp_path_factory: pytest.TempPathFactory) -> tuple[Ticket, Path]:
    folder = tmp_path_factory.mktemp("supermask")
    finder = {"method": "edge-popup", "rate": 0.5}
    return find(folder, finder=finder, package_from=1, training={"steps": "60it", "batch_size": 20}), folder


def test_a_supermask_is_used_as_it_is_and_scores_what_was_measured(supermask: tuple[Ticket, Path]) -> None:
    ticket, folder = supermask
    assert format_of(ticket, folder) == 2
    assert ticket.config.use == "as-is"
    (measured,) = [
        row["value"] for row in ticket.results
        if (row["arm"], row["metric"], row["level"], row["at"]) == ("ticket", "test_accuracy", 1, "final")
    ]  # fmt: skip
    task = create_task(parse_recipe_task(folder / ticket.name))
    assert task.evaluate(ticket.build().eval(), "test", CPU)["accuracy"] == pytest.approx(measured)


def parse_recipe_task(folder: Path) -> Any:
    import yaml

    recipe = parse_recipe(yaml.safe_load((folder / "recipe.yaml").read_text()), FindRecipe, "packaged")
    return recipe.task
