"""The study `freeze`: the values of pruned weights by hand, and a run that goes on."""

from pathlib import Path
from typing import Any

import pytest
import torch

from ticketzoo.errors import RecipeError
from ticketzoo.recipe import parse_recipe
from ticketzoo.studies import StudyRecipe, plan_study, run_study
from ticketzoo.studies.actions import ACTIONS, Round
from ticketzoo.studies.freeze import FreezeConfig, _text

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
    assert "freeze less zero: " in report.text and "not decided, as one seed has no interval" in report.text
    assert "none is packaged" in report.text
    assert report.tables[0].columns[:2] == ("sparsity", "zero")
    assert report.tables[0].markdown() in (tmp_path / "report.md").read_text()
    assert (tmp_path / "freeze.png").is_file() and "Zhou et al. 2019" in (tmp_path / "report.md").read_text()
    run_study(recipe, tmp_path)
    assert (tmp_path / "results.jsonl").read_bytes() == written
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("cells/*/cell.json")} == cells


def test_criteria_that_look_at_the_network_are_refused() -> None:
    """They would score a network with 0 in place of frozen weights."""
    finder = {"finder": {"prune": "snip"}}
    with pytest.raises(RecipeError, match="criterion snip looks at a network whose pruned weights are 0") as caught:
        parse_recipe(RECIPE | {"study": RECIPE["study"] | finder}, StudyRecipe, "test")
    assert "\n" not in str(caught.value) and "choose one of magnitude, random, " in str(caught.value)


def test_a_difference_without_a_clear_sign_is_not_decided() -> None:
    """Of 0.01, 0.02, 0.03 the interval is 0.02 +- 4.3027 x 0.01 / sqrt(3) = 0.0248; of 0.04, 0.05, 0.06 all above 0."""
    differences = {0.5: (0.04, 0.05, 0.06), 0.75: (0.01, 0.02, 0.03)}
    recipe = parse_recipe(RECIPE, StudyRecipe, "test").study
    assert isinstance(recipe, FreezeConfig)
    config = recipe.model_copy(update={"actions": ("zero", "freeze"), "seeds": (0, 1, 2)})
    rows: list[dict[str, Any]] = []
    for sparsity, own in differences.items():
        for seed, more in enumerate(own):
            for action, value in (("zero", 0.5), ("freeze", 0.5 + more)):
                rows.append({"action": action, "sparsity": sparsity, "seed": seed, "metric": "acc", "value": value})
    text = _text(rows, config, "acc")
    assert "freeze less zero: +0.0200 (95% interval -0.0048 to +0.0448); of 2 levels above at 1, below at 0" in text
    assert "not decided at 1." in text
