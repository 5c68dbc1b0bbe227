"""The study `tangent`: a run on a few digits, its words, and what is refused."""

from pathlib import Path
from typing import Any

import pytest
import torch
from made_cells import cells_in, job

from ticketzoo.errors import RecipeError
from ticketzoo.recipe import parse_recipe
from ticketzoo.studies import StudyRecipe, plan_study, run_study
from ticketzoo.studies.study import learned
from ticketzoo.studies.tangent import outcome_of
from ticketzoo.training.tangent import TANGENT

RECIPE: dict[str, Any] = {
    "name": "lenet.digits-tangent",
    "study": {
        "name": "tangent",
        "model": {"name": "lenet-300-100", "kwargs": {"width": 0.05}},
        "task": {"type": "image-classification", "dataset": {"path": "digits", "examples": 60, "validation": 0}},
        "training": {"steps": "6it", "batch_size": 20, "optimizer": {"name": "sgd", "lr": 0.1}},
        "finder": {"rate": 0.5, "levels": 1},
        "rewinds": ["2it"],
        "seeds": [0],
    },
}


def test_a_linear_training_is_stored_as_weights_and_their_changes(tmp_path: Path) -> None:
    made = job(learn=TANGENT)
    with cells_in(tmp_path) as cells:
        cell = cells.run(made, "made", keep_final=True)
        again = cells.run(made, "made", keep_final=True)
    state = cell.final_state()
    assert again.folder == cell.folder and state.keys() == made.state.keys()
    assert made.specification()["learn"] == {"name": "tangent"}
    for name, mask in made.masks.items():
        assert not state[name][~mask].any()
        assert not torch.equal(state[name][mask], made.state[name][mask])
    model = made.model(torch.device("cpu"))
    assert [name for name, one in model.named_parameters() if one.requires_grad] == [
        f"tangent_change_{number}" for number in range(len(made.state))
    ]


@pytest.mark.slow
def test_a_run_trains_every_mask_in_both_ways_and_is_found_again(tmp_path: Path) -> None:
    recipe = parse_recipe(RECIPE, StudyRecipe, "test")
    plan = plan_study(recipe, tmp_path, seconds=0.01)
    report = run_study(recipe, tmp_path)
    made = {path: path.stat().st_mtime_ns for path in tmp_path.glob("cells/*/cell.json")}
    arms = {"ticket", "random_mask", "random_reinit", "tangent_ticket", "tangent_ticket_by_change"}
    expected = {(arm, way, 1) for arm in arms for way in ("linear", "nonlinear")}
    expected |= {("dense", "linear", 0), ("dense", "nonlinear", 0), ("chance", "", 0)}
    assert {(row["arm"], row["training"], row["level"]) for row in report.rows} == expected
    assert len(made) == plan.trainings == 2 * (1 + len(arms))
    assert {row["rewind"] for row in report.rows} == {2}
    assert all(abs(row["sparsity"] - 0.5) < 0.001 for row in report.rows if row["level"])
    written = (tmp_path / "results.jsonl").read_bytes()
    run_study(recipe, tmp_path)
    assert (tmp_path / "results.jsonl").read_bytes() == written
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("cells/*/cell.json")} == made
    assert (tmp_path / "tangent.png").is_file()


def row(arm: str, training: str, value: float, seed: int = 0) -> dict[str, Any]:
    level = 0 if arm in ("dense", "chance") else 1
    about = {"study": "tangent", "rewind": 0, "seed": seed, "arm": arm, "training": training, "level": level}
    return {**about, "sparsity": 0.5 * level, "metric": "test_accuracy", "value": value}


def test_the_ticket_is_told_beside_random_masks_where_dense_learned() -> None:
    rows = [row("chance", "", 0.1, seed) for seed in (0, 1, 2)]
    values = {"dense": 0.9, "ticket": 0.85, "random_mask": 0.6}
    rows += [row(arm, "nonlinear", of + 0.01 * seed, seed) for arm, of in values.items() for seed in (0, 1, 2)]
    rows += [row(arm, "linear", 0.1, seed) for arm in values for seed in (0, 1, 2)]
    text = outcome_of(rows, "test_accuracy").text
    assert "dense nonlinear training gives 91.00; ticket less random_mask is above 0 at 1 levels" in text
    assert "dense linear training is not above chance, so that nothing is said of it." in text


def test_dense_has_learned_when_it_is_above_chance_by_three_standard_deviations() -> None:
    assert learned([0.5, 0.6, 0.7], [0.1]) and not learned([0.2, 0.3, 0.4], [0.1])
    assert learned([3.0, 2.0], [9.0], higher=False) and not learned([], [0.1])


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"training": {"precision": "bf16"}}, "changes of weights are lost in bf16"),
        ({"finder": {"rewinding": "learning-rate"}}, "networks are linear around rewind weights"),
        ({"arms": ["dense"]}, "dense is no training beside each level's ticket"),
    ],
)
def test_what_cannot_be_linear_is_refused(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        parse_recipe({**RECIPE, "study": RECIPE["study"] | keys}, StudyRecipe, "test")
