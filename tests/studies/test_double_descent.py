"""The study `double-descent`: phases by hand, an ordinary search on noisy digits, and its numbers."""

from pathlib import Path
from typing import Any

import pytest
import torch

from ticketzoo.errors import RecipeError
from ticketzoo.recipe import parse_recipe
from ticketzoo.runs.store import Store
from ticketzoo.studies import StudyRecipe, plan_study, run_study
from ticketzoo.studies.double_descent import DoubleDescentConfig, outcome_of, phases

NOISE = {"kind": "flip", "fraction": 0.4}
RECIPE: dict[str, Any] = {
    "name": "lenet.digits-double-descent",
    "study": {
        "name": "double-descent",
        "model": {"name": "lenet-300-100", "kwargs": {"width": 0.05}},
        "task": {
            "type": "image-classification",
            "dataset": {"path": "digits", "examples": 60, "validation": 0, "label_noise": NOISE},
        },
        "training": {"steps": "6it", "batch_size": 20, "optimizer": {"name": "sgd", "lr": 0.1}},
        "finder": {"rate": 0.5, "levels": 2, "exclude": ["fc3"]},
        "arms": ["random_reinit"],
        "arm_levels": [2],
        "seeds": [0],
    },
}  # fmt: skip


def test_phases_by_hand() -> None:
    dip = [0.80, 0.80, 0.797, 0.75, 0.70, 0.80, 0.86, 0.84, 0.80, 0.40, 0.10]
    assert phases(dip, 0.005) == [
        *("light", "light", "light", "critical", "critical", "between"),
        *("sweet", "sweet", "between", "collapsed", "collapsed"),
    ]
    assert phases([0.9, 0.9, 0.88, 0.5], 0.005) == ["light", "light", "collapsed", "collapsed"]  # without noise
    assert phases([0.9, 0.8, 0.92, 0.1], 0.05) == ["light", "between", "between", "collapsed"]  # a dip alone
    assert phases([], 0.005) == []


def row(level: int, metric: str, value: float, arm: str = "ticket", seed: int = 0) -> dict[str, Any]:
    sparsity = 1 - 0.5**level
    labels = {"arm": arm, "level": level, "sparsity": sparsity, "seed": seed, "draw": 0}
    return {"study": "double-descent", **labels, "metric": metric, "value": value}


def test_the_text_says_where_phases_are_and_where_weights_went_farthest() -> None:
    values = enumerate([(0.8, 1.0), (0.7, 3.0), (0.9, 2.0)])
    rows = [
        row(level, name, value)
        for level, pair in values
        for name, value in zip(("test_accuracy", "distance_of_kept"), pair, strict=True)
    ]
    outcome = outcome_of(rows, "test_accuracy")
    assert "Dense: test accuracy 80.00." in outcome.text
    assert "Critical: level 1, lowest at level 1, -10.00 to dense." in outcome.text
    assert "Sweet: level 2, highest at level 2, +10.00 to dense." in outcome.text
    assert "Kept weights end farthest from the start at level 1." in outcome.text
    assert list(outcome.curves[0].points) == [(0.0, 0.8), (1.0, 0.7), (2.0, 0.9)]
    assert [line[0] for line in outcome.tables[0].rows] == ["0: 0.000, light", "1: 0.500, critical", "2: 0.750, sweet"]


def test_of_a_dense_network_that_did_not_learn_no_phase_is_told() -> None:
    rows = [row(level, "test_accuracy", value) for level, value in enumerate((0.12, 0.10, 0.13))]
    guess = row(0, "test_accuracy", 0.12, arm="chance")
    outcome = outcome_of([*rows, guess], "test_accuracy")
    assert outcome.text == (
        "Dense: test accuracy 12.00, which is not above a guess by three standard deviations, so that nothing is said "
        "of phases."
    )
    assert [line[0] for line in outcome.tables[0].rows] == ["0: 0.000", "1: 0.500", "2: 0.750"]
    assert [curve.label for curve in outcome.curves] == ["test accuracy"]
    assert "Sweet: level 2" in outcome_of([*rows, {**guess, "value": 0.11}], "test_accuracy").text


def test_a_metric_of_which_less_is_better_is_refused(tmp_path: Path) -> None:
    task = {"type": "causal-language-modelling", "dataset": {"path": "emma"}, "tokens": {"kind": "words"}, "length": 8}
    model = {"name": "lstm-lm", "kwargs": {"embedding": 4, "hidden": 4, "layers": 1}}
    study = RECIPE["study"] | {"model": model, "task": task, "finder": {"levels": 1}, "arm_levels": [1]}
    with pytest.raises(RecipeError, match=r"^study\.task: of perplexity less is better, and phases are of acc"):
        run_study(parse_recipe({**RECIPE, "study": study}, StudyRecipe, "test"), tmp_path)


def test_it_is_an_ordinary_search_whose_trainings_are_found_again(tmp_path: Path) -> None:
    recipe = parse_recipe(RECIPE, StudyRecipe, "test")
    plan = plan_study(recipe, tmp_path, seconds=0.01)
    report = run_study(recipe, tmp_path)
    made = {path: path.stat().st_mtime_ns for path in tmp_path.glob("cells/*/cell.json")}
    assert plan.trainings == len(made) == 3 + 1
    by = {(row["arm"], row["level"], row["metric"]): row["value"] for row in report.rows}
    for level in (0, 1, 2):
        for metric in ("test_accuracy", "train_accuracy", "train_clean_accuracy"):
            assert 0 <= by["ticket", level, metric] <= 1
    assert ("random_reinit", 2, "test_accuracy") in by and ("random_reinit", 1, "test_accuracy") not in by
    assert by["ticket", 0, "distance_from_start"] == by["ticket", 0, "distance_of_kept"] > 0
    with Store(tmp_path / "cells") as store:
        config = recipe.study
        assert isinstance(config, DoubleDescentConfig)
        replicate = config.search("again", store, finder=config.finder).replicate(0)
    masks, start = replicate.levels[2], replicate.initial.state
    assert "fc3.weight" not in masks
    trained = replicate.found[2].trained
    assert trained is not None
    moved = {name: trained.final[name].double() - start[name].double() for name in masks}
    whole = torch.cat([tensor.flatten() for tensor in moved.values()]).norm()
    kept = torch.cat([moved[name][mask] for name, mask in masks.items()]).norm()
    assert by["ticket", 2, "distance_from_start"] == pytest.approx(float(whole))
    assert by["ticket", 2, "distance_of_kept"] == pytest.approx(float(kept))
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("cells/*/cell.json")} == made
    assert "He et al. 2022" in (tmp_path / "report.md").read_text() and (tmp_path / "double-descent.png").is_file()
    written = (tmp_path / "results.jsonl").read_bytes()
    run_study(recipe, tmp_path)
    assert (tmp_path / "results.jsonl").read_bytes() == written


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"finder": {"method": "one-shot", "levels": 2}}, "method imp prunes round by round"),
        ({"arms": ["dense"]}, "dense is no training beside each level's ticket"),
    ],
)
def test_what_is_not_looked_at_level_by_level_is_refused(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        parse_recipe({**RECIPE, "study": RECIPE["study"] | keys}, StudyRecipe, "test")
