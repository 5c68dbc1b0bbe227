"""The study `grokking`: the steps that it reads off, its arms by hand, its words, and a run."""

from pathlib import Path
from typing import Any

import pytest
import torch

from ticketzoo.errors import RecipeError
from ticketzoo.recipe import parse_recipe
from ticketzoo.studies import StudyRecipe, plan_study, run_study
from ticketzoo.studies.grokking import first_at, outcome_of, spaced
from ticketzoo.studies.grokking_arms import scaled_to

RECIPE: dict[str, Any] = {
    "name": "one-layer.grokking",
    "study": {
        "name": "grokking",
        "model": {"name": "one-layer-transformer", "kwargs": {"width": 8, "units": 8}},
        "task": {"type": "modular-addition", "modulus": 5, "train_fraction": 0.5},
        "training": {
            "steps": "20it",
            "batch_size": 7,
            "optimizer": {"name": "adamw", "lr": 0.02, "weight_decay": 1.0},
            "evaluate_every": "1it",
        },
        "threshold": 0.08,
        "halfway": 0.01,
        "decays": [1.0],
        "seeds": [0],
    },
}


def test_steps_are_those_of_the_first_evaluation_that_found_it() -> None:
    course = [{"step": 10, "a": 0.5}, {"step": 20, "a": 0.99}, {"step": 30, "a": 0.7}, {"step": 40, "a": 1.0}]
    assert first_at(course, "a", 0.99) == 20
    assert first_at(course, "a", 0.4) == 10
    assert first_at(course[:1], "a", 0.99) is None
    assert [point["step"] for point in spaced(course)] == [10, 20, 30, 40]
    steps = [point["step"] for point in spaced([{"step": 10 * number} for number in range(1, 1001)])]
    assert steps[0] == 10 and steps[-1] == 10_000 and len(steps) <= 32


def test_the_dense_network_is_scaled_to_the_norm_of_the_ticket() -> None:
    state = {"a": torch.tensor([3.0, 4.0]), "b": torch.tensor([12.0])}  # norm 13
    masks = {"a": torch.tensor([True, True]), "b": torch.tensor([False])}  # norm 5
    scaled = scaled_to(state, masks)
    assert torch.allclose(scaled["a"], torch.tensor([3.0, 4.0]) * 5 / 13)
    assert torch.allclose(scaled["b"], torch.tensor([12.0]) * 5 / 13)


def row(arm: str, metric: str, value: float, decay: float = 1.0, seed: int = 0, **more: int) -> dict[str, Any]:
    about = {"study": "grokking", "arm": arm, "decay": decay, "seed": seed, "sparsity": 0.6, "iterations": 3000}
    return {**about, "metric": metric, "value": value, **more}


def rows_of(arm: str, fits: int | None, generalises: int | None, **keys: Any) -> list[dict[str, Any]]:
    steps = {"steps_to_train": fits, "steps_to_test": generalises}
    if fits is not None and generalises is not None:
        steps["delay"] = generalises - fits
    rows = [row(arm, metric, step, **keys) for metric, step in steps.items() if step is not None]
    courses = [(metric, at) for metric in ("train_accuracy", "test_accuracy") for at in (1000, 3000)]
    return rows + [row(arm, metric, 0.5, at=at, **keys) for metric, at in courses]


def test_delays_are_told_beside_that_of_the_dense_network() -> None:
    rows = rows_of("dense", 300, 2300) + rows_of("ticket", 200, 200) + rows_of("dense", 300, None, decay=0.0)
    outcome = outcome_of(rows)
    assert (
        "fits 99% of the training split after 300 iterations and reaches 99% test accuracy after 2,300" in outcome.text
    )
    assert "a delay of 2,000." in outcome.text and "Delays with weight decay 1: ticket 0." in outcome.text
    assert "Delays with weight decay 0: dense not reached in 3,000, ticket not trained." in outcome.text
    first, second = outcome.tables
    assert first.rows[0][2:5] == ("300", "2,300", "2,000") and second.rows[0][2:4] == ("300", "not reached in 3,000")
    assert outcome.curves[0].label == "dense, training"


def test_means_are_of_the_seeds_that_came_so_far() -> None:
    rows = [one for seed in (0, 1) for one in rows_of("dense", 300, 2300, seed=seed)]
    rows += rows_of("ticket", 200, 400, seed=0) + rows_of("ticket", 200, None, seed=1)
    outcome = outcome_of(rows)
    assert outcome.tables[0].rows[1][2:5] == ("200 ± 0", "400 (1 of 2 seeds)", "200 (1 of 2 seeds)")


def test_of_tickets_of_a_dense_network_that_did_not_generalise_nothing_is_said() -> None:
    rows = rows_of("dense", 300, None) + rows_of("ticket", 200, 200)
    text = outcome_of(rows).text
    assert text == (
        "The dense network reached 99% test accuracy in 0 of 1 seeds within 3,000 iterations with weight decay 1: "
        "of tickets nothing is said."
    )


def test_a_run_has_every_arm_and_is_found_again(tmp_path: Path) -> None:
    recipe = parse_recipe(RECIPE, StudyRecipe, "test")
    plan = plan_study(recipe, tmp_path, seconds=0.01)
    report = run_study(recipe, tmp_path)
    arms = {"dense", "ticket", "memorising_ticket", "halfway_ticket", "dense_scaled", "random_mask", "random", "snip"}
    assert {row["arm"] for row in report.rows} == arms | {"grasp"}
    sparse = {row["sparsity"] for row in report.rows if not row["arm"].startswith("dense")}
    kept = 2 * 5 * 8 + 6 * 8 * 8
    assert sparse == {round(0.6 * kept) / kept}
    made = {path: path.stat().st_mtime_ns for path in tmp_path.glob("cells/*/cell.json")}
    assert len(made) <= plan.trainings == 9  # tickets of one and the same step are the same
    of_dense = [row for row in report.rows if (row["arm"], row["decay"]) == ("dense", 1.0)]
    delay = [row["value"] for row in of_dense if row["metric"] == "delay"]
    by = {row["metric"]: row["value"] for row in of_dense if "at" not in row}
    assert delay == [by["steps_to_test"] - by["steps_to_train"]]
    written = (tmp_path / "results.jsonl").read_bytes()
    run_study(recipe, tmp_path)
    assert (tmp_path / "results.jsonl").read_bytes() == written
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("cells/*/cell.json")} == made
    assert (tmp_path / "grokking.png").is_file() and "Minegishi" in (tmp_path / "report.md").read_text()


def test_a_task_that_is_measured_at_the_end_alone_is_refused(tmp_path: Path) -> None:
    task = {"type": "image-classification", "dataset": {"path": "digits"}}
    study = RECIPE["study"] | {"task": task, "model": {"name": "lenet-300-100", "kwargs": {"width": 0.05}}}
    recipe = parse_recipe({**RECIPE, "study": study}, StudyRecipe, "test")
    with pytest.raises(RecipeError, match="image-classification measures trainings at their end"):
        run_study(recipe, tmp_path)
