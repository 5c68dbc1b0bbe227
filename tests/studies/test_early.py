"""The study `early`: statistics of the first iterations, by hand and on digits."""

from pathlib import Path
from typing import Any

import pytest
import torch

from ticketzoo.recipe import parse_recipe
from ticketzoo.studies import StudyRecipe, plan_study, run_study
from ticketzoo.studies.early import cosine, flat, iterations

RECIPE: dict[str, Any] = {
    "name": "lenet.digits-early",
    "study": {
        "name": "early",
        "model": {"name": "lenet-300-100", "kwargs": {"width": 0.05}},
        "task": {"type": "image-classification", "dataset": {"path": "digits", "examples": 100}},
        "training": {"steps": "5it", "batch_size": 20, "optimizer": {"name": "sgd", "lr": 0.1}},
        "seeds": [0],
    },
}


def test_iterations_are_powers_of_two_and_the_end() -> None:
    assert iterations(1) == [0, 1]
    assert iterations(8) == [0, 1, 2, 4, 8]
    assert iterations(10) == [0, 1, 2, 4, 8, 10]


def test_a_cosine_by_hand() -> None:
    assert cosine(torch.tensor([3.0, 4.0]), torch.tensor([4.0, 3.0])) == pytest.approx(24 / 25)
    assert cosine(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 0.0])) == 0
    assert flat({"a": torch.ones(1, 2), "b": torch.zeros(1), "c": torch.ones(9)}, ["b", "a"]).tolist() == [0, 1, 1]


def test_a_run_begins_at_the_start_and_ends_at_the_end_and_is_found_again(tmp_path: Path) -> None:
    recipe = parse_recipe(RECIPE, StudyRecipe, "test")
    plan = plan_study(recipe, tmp_path, seconds=0.01)
    report = run_study(recipe, tmp_path)
    made = {path: path.stat().st_mtime_ns for path in tmp_path.glob("cells/*/cell.json")}
    assert plan.trainings == len(made) == 1 + 5  # the training, and the states after 0, 1, 2, 4 and 5
    by = {(row["iteration"], row["metric"]): row["value"] for row in report.rows}
    assert [step for step, metric in by if metric == "mean_magnitude"] == [0, 1, 2, 4, 5]
    assert by[0, "distance_from_start"] == by[0, "sign_changes"] == by[5, "distance_to_end"] == 0
    assert by[0, "distance_to_end"] == by[5, "distance_from_start"] > by[1, "distance_from_start"] > 0
    assert by[0, "update"] == by[1, "distance_from_start"]  # the first update is all that moved
    assert by[4, "update"] == pytest.approx(by[4, "distance_to_end"])
    assert 0 < by[5, "sign_changes"] < 1 and all(0 <= by[step, "test_accuracy"] <= 1 for step in (0, 1, 2, 4, 5))
    assert [step for step, metric in by if metric == "update_cosine"] == [1, 2, 4]
    assert "Frankle et al. 2020b" in (tmp_path / "report.md").read_text() and (tmp_path / "early.png").is_file()
    written = (tmp_path / "results.jsonl").read_bytes()
    run_study(recipe, tmp_path)
    assert (tmp_path / "results.jsonl").read_bytes() == written
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("cells/*/cell.json")} == made
