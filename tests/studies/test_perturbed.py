"""The study `perturbed`: accuracy of tickets from changed weights, by the size of the change."""

from pathlib import Path
from typing import Any

import pytest

from ticketzoo.errors import RecipeError
from ticketzoo.recipe import parse_recipe
from ticketzoo.studies import StudyRecipe, plan_study, run_study
from ticketzoo.studies.perturbed import rank_correlation

RECIPE: dict[str, Any] = {
    "name": "lenet.digits-perturbed",
    "study": {
        "name": "perturbed",
        "model": {"name": "lenet-300-100", "kwargs": {"width": 0.05}},
        "task": {"type": "image-classification", "dataset": {"path": "digits", "examples": 100}},
        "training": {"steps": "6it", "batch_size": 20, "optimizer": {"name": "sgd", "lr": 0.5}},
        "finder": {"levels": 2, "rate": 0.5, "rewind": "5it"},
        "arms": ["initial_weights", "initial_magnitudes", "permuted_values", "random_reinit", "noise_2"],
        "arm_levels": [2],
        "seeds": [0],
    },
}


def recipe_with(**keys: Any) -> StudyRecipe:
    return parse_recipe({**RECIPE, "study": RECIPE["study"] | keys}, StudyRecipe, "test")


def test_a_run_measures_sizes_and_accuracies_and_is_found_again(tmp_path: Path) -> None:
    recipe = recipe_with()
    plan = plan_study(recipe, tmp_path, seconds=0.01)
    report = run_study(recipe, tmp_path)
    made = {path: path.stat().st_mtime_ns for path in tmp_path.glob("cells/*/cell.json")}
    assert plan.trainings == len(made) == 3 + 5
    sizes = {row["arm"]: row["effective_std"] for row in report.rows if row["level"] == 2}
    assert sizes["ticket"] == 0 < sizes["initial_magnitudes"] <= sizes["initial_weights"] < 1
    assert sizes["permuted_values"] > 1 and sizes["noise_2"] == pytest.approx(2, rel=0.15)
    assert {row["arm"] for row in report.rows if row["level"] < 2} == {"dense"}
    assert report.tables[0].rows[0][0] == "ticket"
    assert "(6 arms, the ticket included)" in report.text and (tmp_path / "perturbed.png").is_file()
    written = (tmp_path / "results.jsonl").read_bytes()
    run_study(recipe, tmp_path)
    assert (tmp_path / "results.jsonl").read_bytes() == written
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("cells/*/cell.json")} == made


def test_ranks_are_compared_over_means_of_arms() -> None:
    def row(arm: str, size: float, value: float, seed: int = 0) -> dict[str, Any]:
        about = {"arm": arm, "level": 1, "seed": seed, "metric": "test_accuracy"}
        return {**about, "effective_std": size, "value": value}

    rows = [row("ticket", 0, 0.9), row("noise_1", 1, 0.7), row("noise_1", 1, 0.9, 1), row("noise_2", 2, 0.7)]
    assert rank_correlation(rows, 1, "test_accuracy") == pytest.approx(-1)
    rows += [row("constant", 3, 0.85)]  # ranks 1 2 3 4 and 4 2 1 3: 1 - 6 (9 + 0 + 4 + 1) / (4 x 15)
    assert rank_correlation(rows, 1, "test_accuracy") == pytest.approx(-0.4)
    assert rank_correlation(rows[:1], 1, "test_accuracy") is None


def test_arms_that_change_more_than_the_start_and_other_methods_are_refused() -> None:
    with pytest.raises(RecipeError, match="random_mask changes more than the weights that a ticket starts from"):
        recipe_with(arms=["random_mask"])
    with pytest.raises(RecipeError, match="method imp with rewinding weights"):
        recipe_with(finder={"levels": 2, "rewinding": "learning-rate"})
