"""Copies of a stretched ticket, trained in data orders of their own, and the lines between them."""

import json
from pathlib import Path
from typing import Any

import pytest
from small_run import RECIPE, made_run

from ticketzoo.api.stretch import stretch_into
from ticketzoo.errors import RecipeError
from ticketzoo.recipe import parse_recipe
from ticketzoo.runs.progress import Quiet
from ticketzoo.targets import TransferRecipe
from ticketzoo.targets.copies import measure_copies


class Labels(Quiet):
    def __init__(self) -> None:
        self.trained: list[str] = []

    def finished(self, label: str, record: Any, metric: str, *, trained: bool) -> None:
        self.trained += [label] * trained


def test_copies_of_a_stretched_ticket_start_alike_and_are_found_again(tmp_path: Path) -> None:
    model = {"name": "mlp", "kwargs": {"hidden": [8, 8, 6]}}
    made_run(tmp_path / "run", name="mlp-2", model=model, finder={"levels": 1, "rate": 0.5})
    stretch_into(tmp_path / "run" / "mlp-2", "mlp", tmp_path / "mlp-3", settings=["hidden=[8,8,8,6]"])
    content = {
        "name": "copies",
        "tickets": [str(tmp_path / "mlp-3")],
        "levels": [1],
        "targets": [{"task": RECIPE["task"], "name": "digits"}],
        "training": RECIPE["training"],
        "head": "keep",
        "seeds": [0, 1],
    }
    recipe = parse_recipe(content, TransferRecipe, "test")
    first, again = Labels(), Labels()
    found = measure_copies(recipe, tmp_path / "out", points=3, progress=first)
    assert first.trained == [f"mlp-3 level 1 on digits seed {seed} copy {copy}" for seed in (0, 1) for copy in (0, 1)]
    cells = [json.loads(path.read_text())["specification"] for path in (tmp_path / "out").glob("copies/*/cell.json")]
    seeds: dict[str, set[int]] = {}
    for cell in cells:
        seeds.setdefault(cell["state"], set()).add(cell["seed"])
    assert sorted(map(len, seeds.values())) == [2, 2]  # of each replicate's weights two orders of the data
    (one,) = found.values()
    assert list(found) == [("mlp-3", "digits", 1)]
    assert (one.rewind_step, one.level, list(one.by_seed)) == (0, 1, [0, 1])
    assert 0.4 < one.sparsity < 0.6 and all(value >= 0 for value in one.by_seed.values())
    assert measure_copies(recipe, tmp_path / "out", points=3, progress=again) == found
    assert again.trained == []
    with pytest.raises(RecipeError, match="two copies or more, to draw a line between"):
        measure_copies(recipe, tmp_path / "out", copies=1)
