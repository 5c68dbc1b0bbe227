"""The study `forgetting`: which weights move, what is told, and a run that goes on."""

from pathlib import Path
from typing import Any

import pytest
import torch

from ticketzoo.errors import RecipeError, RunError
from ticketzoo.finding.config import RewindingConfig
from ticketzoo.recipe import parse_recipe
from ticketzoo.runs.store import Store
from ticketzoo.studies import StudyRecipe, plan_study, run_study
from ticketzoo.studies.fine_tuning import Stage, fine_tuned, pruned_by
from ticketzoo.studies.forgetting import ForgettingConfig, _forgotten
from ticketzoo.training.parametrisation import FROZEN

RECIPE: dict[str, Any] = {
    "name": "lenet.digits-forgetting",
    "study": {
        "name": "forgetting",
        "model": {"name": "lenet-300-100", "kwargs": {"width": 0.05}},
        "task": {"type": "image-classification", "dataset": {"path": "digits", "classes": [0, 1]}, "name": "low"},
        "then": {"type": "image-classification", "dataset": {"path": "digits", "classes": [8, 9]}, "name": "high"},
        "training": {
            "steps": "6it",
            "batch_size": 20,
            "optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.9, "weight_decay": 0.1},
        },
        "calibrate": "2it",
        "seeds": [0],
    },
}


def recipe_with(**keys: Any) -> StudyRecipe:
    return parse_recipe({**RECIPE, "study": RECIPE["study"] | keys}, StudyRecipe, "test")


@pytest.mark.slow
def test_a_run_measures_both_tasks_three_times_and_is_found_again(tmp_path: Path) -> None:
    recipe = recipe_with(ways=["all", "lotto"])
    plan = plan_study(recipe, tmp_path, seconds=0.01)
    report = run_study(recipe, tmp_path)
    made = {path: path.stat().st_mtime_ns for path in tmp_path.glob("cells/*/cell.json")}
    assert plan.trainings == len(made) == 2 + 2 * 4 + 2 + 3  # at first; after each; trained; of lotto calibrated too
    written = (tmp_path / "results.jsonl").read_bytes()
    accuracy = [row for row in report.rows if row["metric"] == "test_accuracy"]
    assert [(row["way"], row["trained"], row["task"]) for row in accuracy] == [
        (way, trained, task) for way in ("all", "lotto") for trained in range(3) for task in ("low", "high")
    ]
    assert report.tables[0].columns == ("way", "low after it", "low after high", "forgotten", "high after it")
    assert (tmp_path / "forgetting.png").is_file() and "Panda et al. 2024" in (tmp_path / "report.md").read_text()
    run_study(recipe, tmp_path)
    assert (tmp_path / "results.jsonl").read_bytes() == written
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("cells/*/cell.json")} == made


@pytest.mark.parametrize("way", ["lota", "lotto", "magnitude", "random"])
def test_a_tenth_of_all_parameters_moves_and_the_others_are_the_same_bits(way: str, tmp_path: Path) -> None:
    recipe = recipe_with()
    config = recipe.study
    assert isinstance(config, ForgettingConfig)
    prune = pruned_by("movement", {"levels": [0.9]})
    finder = RewindingConfig(levels=1, include=("*",), prune=prune, allow_dead_layers=True)
    with Store(tmp_path / "cells") as store:
        lab = config.search("test", store, finder=finder).lab(0)
        assert sum(mask.numel() for mask in lab.dense.values()) == 960 + 75 + 10 + 15 + 5 + 2
        first, trained = fine_tuned(Stage(lab, lab.initial, lab.dense, 2), way)
        assert sum(int(mask.sum()) for mask in first.values()) == 107
        begun, after = lab.initial.state, trained.final
        for name, mask in first.items():
            assert torch.equal(begun[name][~mask], after[name][~mask])
        assert any(not torch.equal(begun[name], after[name]) for name in first)
        free = {name: ~mask for name, mask in first.items()}
        second, _ = fine_tuned(Stage(lab, lab.initial, free, 2), way)
        shared = sum(int((first[name] & second[name]).sum()) for name in first)
        assert shared == (0 if way == "lotto" else 107)


def test_a_layer_whose_weights_are_all_frozen_is_no_dead_layer(tmp_path: Path) -> None:
    config = recipe_with().study
    assert isinstance(config, ForgettingConfig)
    with Store(tmp_path / "cells") as store:
        lab = config.search("test", store, finder=RewindingConfig(levels=1)).lab(0)
        masks = {name: torch.full_like(mask, name != "fc2.weight") for name, mask in lab.dense.items()}
        trained = lab.train(masks, lab.initial, learn=FROZEN)
        assert torch.equal(trained.final["fc2.weight"], lab.initial.state["fc2.weight"])
        with pytest.raises(RunError, match="fc2"):
            lab.train(masks, lab.initial)


def test_a_loss_is_above_0_where_less_is_better_and_where_more_is() -> None:
    def row(metric: str, trained: int, value: float) -> dict[str, Any]:
        return {"way": "all", "trained": trained, "task": "low", "metric": metric, "value": value, "seed": 0}

    rows = [row("test_accuracy", 1, 0.75), row("test_accuracy", 2, 0.5)]
    rows += [row("test_perplexity", 1, 20.0), row("test_perplexity", 2, 28.0)]
    assert _forgotten(rows, "all", "low", "test_accuracy") == [0.25]
    assert _forgotten(rows, "all", "low", "test_perplexity") == [8.0]


def test_tasks_that_need_two_networks_or_share_a_name_are_refused(tmp_path: Path) -> None:
    three = {"type": "image-classification", "dataset": {"path": "digits", "classes": [7, 8, 9]}, "name": "high"}
    with pytest.raises(RecipeError, match=r"study\.then: it needs another network than study\.task"):
        run_study(recipe_with(then=three), tmp_path)
    with pytest.raises(RecipeError, match=r"study\.then: both tasks are called 'low'"):
        run_study(recipe_with(then=RECIPE["study"]["task"]), tmp_path)
    with pytest.raises(RecipeError, match="not before the end of training"):
        run_study(recipe_with(calibrate="6it"), tmp_path)
