"""Pruning at initialization, from a recipe to a packaged ticket."""

from pathlib import Path
from typing import Any

import pytest
import torch
from launched import results_of

from ticketzoo import load_ticket
from ticketzoo.finding import FindRecipe, find_and_package, plan_find
from ticketzoo.models.create import initial_state
from ticketzoo.recipe import parse_recipe

CONTENT: dict[str, Any] = {
    "name": "lenet.digits-snip",
    "model": {"name": "lenet-300-100", "kwargs": {"width": 0.1}},
    "task": {"type": "image-classification", "dataset": {"path": "digits", "classes": [0, 1, 2], "examples": 120}},
    "training": {"steps": "20it", "batch_size": 20},
    "finder": {
        "method": "at-init",
        "prune": {"criterion": "snip", "schedule": {"levels": [0.5, 0.9]}},
        "levels": 2,
    },
    "arms": ["ticket", "dense", "random_mask"],
    "arm_levels": [2],
    "seeds": [0, 1],
}


def recipe(**finder: Any) -> FindRecipe:
    finder = CONTENT["finder"] | finder
    return parse_recipe(CONTENT | {"finder": finder, "arm_levels": [finder["levels"]]}, FindRecipe, "test")


def test_snip_is_packaged_with_its_initial_weights(tmp_path: Path) -> None:
    _, folder = find_and_package(recipe(), tmp_path)
    ticket = load_ticket(str(folder), level=2)
    total = sum(mask.numel() for mask in ticket.masks.values())
    assert [level.kept for level in ticket.levels] == [total, round(0.5 * total), round(0.1 * total)]
    pruning = ticket.config.pruning
    assert (pruning.criterion, pruning.schedule, pruning.rate) == ("snip", "levels", None)
    assert "snip pruning at initialisation" in (folder / "README.md").read_text()
    initial = initial_state(ticket.config.architecture.model_dump(), 0)
    assert all(
        torch.equal(tensor, initial[name] * ticket.masks.get(name, 1)) for name, tensor in ticket.rewind_state.items()
    )
    assert {(row["arm"], row["level"]) for row in ticket.results} == {
        ("ticket", 0), ("dense", 0), ("chance", 0), ("ticket", 1), ("ticket", 2), ("random_mask", 2),
    }  # fmt: skip


def test_another_criterion_gives_other_masks(tmp_path: Path) -> None:
    snip, _ = find_and_package(recipe(), tmp_path / "snip")
    magnitude, _ = find_and_package(recipe(prune={"schedule": {"levels": [0.5, 0.9]}}), tmp_path / "magnitude")
    assert snip.config.mask_sha256 != magnitude.config.mask_sha256


@pytest.mark.parametrize("method", ["at-init", "one-shot-initial", "one-shot"])
def test_the_dense_network_is_scored_once_for_all_levels(tmp_path: Path, method: str) -> None:
    """As Lee et al. 2019 do: the densest level on the way changes nothing."""
    by_levels, _ = find_and_package(recipe(method=method), tmp_path / "two")
    prune = {"criterion": "snip", "schedule": {"levels": [0.9]}}
    at_once, _ = find_and_package(recipe(method=method, prune=prune, levels=1), tmp_path / "one")
    last, only = by_levels.at(level=2).masks, at_once.at(level=1).masks
    assert all(torch.equal(last[name], only[name]) for name in only)
    assert len(list((tmp_path / "two" / "cells").glob("*/gradients*"))) == 2  # of two seeds


def test_its_plan_counts_the_trainings(tmp_path: Path) -> None:
    plan = plan_find(recipe(), tmp_path, seconds=0.01)
    assert (plan.trainings, plan.iterations) == (2 * 5, 2 * 5 * 20)  # random positions have two draws
    assert not (tmp_path / "cells").exists()


def found(folder: str) -> list[str]:
    ticket, _ = find_and_package(recipe(), Path(folder))
    return [ticket.config.mask_sha256]


@pytest.mark.parametrize("count", [2])
def test_processes_end_with_the_same_masks(tmp_path: Path, count: int) -> None:
    first, second = results_of(count, found, tmp_path, str(tmp_path / "run"))
    assert first == second
