"""What a plan says of a run, against what the run then does."""

from pathlib import Path

import pytest
from safetensors.torch import load_file

from ticketzoo.finding import FindRecipe, find_and_package, plan_find
from ticketzoo.recipe import parse_recipe
from ticketzoo.runs.plan import Plan
from ticketzoo.targets import TransferRecipe, plan_transfer


def recipe(**changed: object) -> FindRecipe:
    content = {
        "name": "lenet.digits-imp",
        "model": {"name": "lenet-300-100", "kwargs": {"width": 0.05}},
        "task": digits([0, 1, 2]),
        "training": {"steps": "10it", "batch_size": 20},
        "finder": {"levels": 2, "rewind": "4it"},
        "arms": ["random_mask"],
        "arm_levels": [2],
        "seeds": [0, 1],
        "package_from": 1,
    }
    return parse_recipe(content | changed, FindRecipe, "test")


def digits(classes: list[int]) -> dict[str, object]:
    return {"type": "image-classification", "dataset": {"path": "digits", "classes": classes, "examples": 66}}


def tensor_bytes(folder: Path) -> int:
    return sum(tensor.nbytes for file in folder.rglob("*.safetensors") for tensor in load_file(file).values())


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, Path, Path]:
    """A plan, the folder of the run that followed, and its ticket's."""
    folder = tmp_path_factory.mktemp("run") / "out"
    plan = plan_find(recipe(), folder, seconds=0.01)
    assert not folder.exists()
    return plan, folder, find_and_package(recipe(), folder)[1]


def test_a_plan_counts_what_a_run_then_does(run: tuple[Plan, Path, Path]) -> None:
    plan, folder, ticket = run
    assert (plan.trainings, plan.finished) == (2 * 5, 0)  # three levels, and two draws of random_mask at one
    assert plan.iterations == 2 * (10 + 4 * 6)
    # 66 examples in batches of 20, 20, 20 and 6: ten iterations see 66 + 66 + 40 of them, the first four 66
    assert plan.examples == 2 * (172 + 4 * 106)
    assert list(plan.timings) == ["seed 0 level 1/2"]
    (timing,) = plan.timings.values()
    assert plan.seconds > 68 * timing.iteration > 0
    assert plan.disk_bytes["cells"] == tensor_bytes(folder / "cells")
    rounding = 2 * 3  # which weights are pruned is unknown before: each layer's bits may end in another byte
    assert plan.disk_bytes["ticket"] == pytest.approx(tensor_bytes(ticket), abs=rounding)


def test_finished_trainings_are_not_planned_again(run: tuple[Plan, Path, Path]) -> None:
    _, folder, _ = run
    done = plan_find(recipe(), folder)
    assert (done.trainings, done.finished, done.iterations, done.seconds, done.timings) == (0, 10, 0, 0.0, {})
    further = plan_find(recipe(finder={"levels": 3, "rewind": "4it"}), folder, seconds=0.01)
    assert (further.trainings, further.finished, further.iterations) == (2, 10, 2 * 6)


def test_a_transfer_is_planned_with_a_timing_for_each_kind_of_training(
    run: tuple[Plan, Path, Path], tmp_path: Path
) -> None:
    content = {
        "name": "to-other-digits",
        "tickets": [str(run[2])],
        "levels": [1, 2],
        "targets": [
            {"task": digits([3, 4, 5])},
            {"task": digits([6, 7]), "training": {"steps": "3it", "batch_size": 20}},
        ],
        "training": {"steps": "5it", "batch_size": 20},
        "arms": ["ticket", "dense"],
        "seeds": [0, 1],
    }
    plan = plan_transfer(parse_recipe(content, TransferRecipe, "test"), tmp_path / "run", seconds=0.01)
    assert not (tmp_path / "run").exists()
    assert (plan.trainings, plan.iterations) == (2 * 2 * 3, 2 * 3 * (5 + 3))  # dense, and two levels
    assert [label.split(" on ")[1] for label in plan.timings] == [
        "digits-3-5 seed 0 ticket",
        "digits-6-7 seed 0 ticket",
    ]
