"""The study `freeze`: the values of pruned weights by hand, and a run that goes on."""

from pathlib import Path
from typing import Any

import pytest
import torch

from ticketzoo.recipe import parse_recipe
from ticketzoo.studies import StudyRecipe, plan_study, run_study
from ticketzoo.studies.freeze import ACTIONS, Round

INITIAL = torch.tensor([0.5, -0.4, 0.1, -0.2, 0.3, -0.6])
AFTER = torch.tensor([0.6, 0.3, -0.5, -0.25, 0.05, -0.6])  # away from 0: 0, 2, 3, and 5, which did not move


@pytest.mark.parametrize(
    ("action", "held"),
    [
        ("zero", [0, 0, 0, 0, 0, 0]),
        ("freeze", [0.5, -0.4, 0.1, -0.2, 0.3, -0.6]),
        ("freeze-away", [0.5, 0, 0.1, -0.2, 0, -0.6]),
        ("freeze-away-all", [0.5, 0, 0.1, -0.2, 0, -0.6]),
        ("freeze-toward", [0, -0.4, 0, 0, 0.3, 0]),
    ],
)
def test_values_at_which_pruned_weights_are_held(action: str, held: list[float]) -> None:
    found = ACTIONS[action].make(Round(INITIAL, INITIAL, AFTER, torch.ones(6, dtype=torch.bool), 0))
    assert found.tolist() == pytest.approx(held)


def test_the_random_control_zeroes_as_many_of_the_pruned_ones() -> None:
    newly = torch.tensor([1, 1, 0, 1, 1, 1]).bool()  # two of these five moved towards 0
    drawn = [ACTIONS["freeze-random"].make(Round(INITIAL, INITIAL, AFTER, newly, seed)) for seed in range(8)]
    assert {int((one[newly] == 0).sum()) for one in drawn} == {2}
    assert len({tuple(one.tolist()) for one in drawn}) > 1


RECIPE: dict[str, Any] = {
    "name": "lenet.digits-freeze",
    "study": {
        "name": "freeze",
        "model": {"name": "lenet-300-100", "kwargs": {"width": 0.05}},
        "task": {"type": "image-classification", "dataset": {"path": "digits", "classes": [0, 1, 2], "examples": 90}},
        "training": {"steps": "5it", "batch_size": 20},
        "finder": {"scope": "layerwise", "rate": 0.5},
        "actions": ["zero", "freeze", "freeze-away"],
        "levels": 2,
        "seeds": [0],
    },
}


def test_a_run_writes_rows_and_a_report_and_is_found_again(tmp_path: Path) -> None:
    recipe = parse_recipe(RECIPE, StudyRecipe, "test")
    assert plan_study(recipe, tmp_path, seconds=0.01).trainings == 1 + 2 * 3
    report = run_study(recipe, tmp_path)
    cells = {path: path.stat().st_mtime_ns for path in tmp_path.glob("cells/*/cell.json")}
    written = (tmp_path / "results.jsonl").read_bytes()
    assert len(cells) == 1 + 2 * 3
    frozen = {(row["action"], row["level"]): row["frozen"] for row in report.rows}
    assert (frozen["zero", 2], frozen["freeze", 2]) == (0, frozen["freeze", 2])
    pruned = 960 + 75 + 15 - 480 // 2 - 38 // 2 - 8 // 2
    assert abs(frozen["freeze", 2] - pruned) <= 6
    assert 0 < frozen["freeze-away", 2] < frozen["freeze", 2]
    assert "zero" in report.text and "none is packaged" in report.text
    assert (tmp_path / "freeze.png").is_file() and "Zhou et al. 2019" in (tmp_path / "report.md").read_text()
    run_study(recipe, tmp_path)
    assert (tmp_path / "results.jsonl").read_bytes() == written
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("cells/*/cell.json")} == cells
