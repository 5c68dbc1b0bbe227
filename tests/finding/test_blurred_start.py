"""Tickets that start from a network trained on blurred images, by the two commands of docs/finders.md."""

from pathlib import Path
from typing import Any

import pytest
import torch
from small_run import RECIPE

from ticketzoo.finding import FindRecipe, find_and_package
from ticketzoo.recipe import parse_recipe
from ticketzoo.ticket.export import export_ticket

pytestmark = pytest.mark.slow


def found(folder: Path, **keys: Any) -> Any:
    return find_and_package(parse_recipe(RECIPE | keys, FindRecipe, "small"), folder)[0]


def test_a_ticket_starts_from_weights_that_were_trained_on_blurred_images(tmp_path: Path) -> None:
    task = RECIPE["task"]
    assert isinstance(task, dict)
    blurred = {**task, "dataset": {**task["dataset"], "blur": 4}}
    before = found(tmp_path / "before", task=blurred, package_trained=True, seeds=[0])
    assert before.config.source.fingerprint != found(tmp_path / "plain", seeds=[0]).config.source.fingerprint
    export_ticket(before.at(level=0), "trained", tmp_path / "start.safetensors")
    model = {"name": "lenet-300-100", "kwargs": {"width": 0.05}, "weights": str(tmp_path / "start.safetensors")}
    after = found(tmp_path / "after", model=model)
    trained = before.at(level=0).trained_state
    for seed in after.seeds:
        start = after.at(level=0, seed=seed).rewind_state
        assert all(torch.equal(start[name], tensor) for name, tensor in trained.items())
