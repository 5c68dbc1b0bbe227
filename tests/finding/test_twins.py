"""The arms on another dense training: `naive_reinit` and `aligned_reinit`."""

from pathlib import Path
from typing import Any

import pytest
import torch
from made_task import CPU

from ticketzoo.aligning.permutation import permuted
from ticketzoo.errors import RecipeError
from ticketzoo.finding import FindRecipe, plan_find
from ticketzoo.finding.run import Replicate, Search
from ticketzoo.finding.start import load_task
from ticketzoo.recipe import parse_recipe
from ticketzoo.runs.store import Job, Store
from ticketzoo.targets import TransferRecipe

CONTENT: dict[str, Any] = {
    "name": "lenet.digits-twins",
    "model": {"name": "lenet-300-100", "kwargs": {"width": 0.05}},
    "task": {"type": "image-classification", "dataset": {"path": "digits", "classes": [0, 1, 2], "examples": 120}},
    "training": {"steps": "6it", "batch_size": 20},
    "finder": {"levels": 1, "rate": 0.5, "rewind": "2it"},
    "arms": ["ticket", "dense", "naive_reinit", "aligned_reinit"],
    "seeds": [0],
}


def recipe(**keys: Any) -> FindRecipe:
    return parse_recipe(CONTENT | keys, FindRecipe, "test")


def jobs(folder: Path, asked: FindRecipe) -> tuple[Replicate, list[tuple[Job, str, int]]]:
    with Store(folder, device=CPU) as cells:
        search = Search(asked, load_task(asked.task, asked.model), cells)
        replicate = search.replicate(0)
        return replicate, [(job, labels["arm"], labels["draw"]) for job, labels in search.controls(replicate)]


def test_the_mask_is_put_on_the_other_training_s_weights_of_the_rewind_step(tmp_path: Path) -> None:
    replicate, found = jobs(tmp_path, recipe(draws=2))
    masks, twins = replicate.levels[1], replicate.twins
    assert [(arm, draw) for _, arm, draw in found] == [
        (arm, draw) for arm in ("naive_reinit", "aligned_reinit") for draw in (0, 1)
    ]
    initial = replicate.initial.state
    for job, arm, draw in found:
        twin = twins[draw]
        assert (job.start_step, job.seed) == (2, twin.seed)
        assert all(torch.equal(job.state[name], tensor) for name, tensor in twin.state.items())
        assert not torch.equal(job.state["fc1.weight"], initial["fc1.weight"])
        expected = masks if arm == "naive_reinit" else permuted(masks, twin.groups, twin.order)
        assert all(torch.equal(mask, expected[name]) for name, mask in job.masks.items())
        assert {name: int(mask.sum()) for name, mask in job.masks.items()} == {
            name: int(mask.sum()) for name, mask in masks.items()
        }
    assert not torch.equal(found[0][0].masks["fc2.weight"], found[2][0].masks["fc2.weight"])
    assert not torch.equal(twins[0].state["fc1.weight"], twins[1].state["fc1.weight"])


def test_the_twin_s_weights_moved_since_its_initialisation(tmp_path: Path) -> None:
    later, _ = jobs(tmp_path, recipe())
    first, _ = jobs(tmp_path, recipe(finder=CONTENT["finder"] | {"rewind": "0it"}))
    assert later.twins[0].seed == first.twins[0].seed
    assert not torch.equal(later.twins[0].state["fc1.weight"], first.twins[0].state["fc1.weight"])


def test_a_plan_counts_the_twins(tmp_path: Path) -> None:
    asked = recipe(draws=2)
    plan = plan_find(asked, tmp_path, seconds=0.001)
    assert plan.trainings == asked.trainings == 2 + 2 + 2 * 2  # levels, twins, two draws of two arms


def test_what_cannot_be_is_said_before_anything_is_trained() -> None:
    finder = CONTENT["finder"] | {"rewinding": "learning-rate"}
    with pytest.raises(RecipeError, match=r"arms: naive_reinit, aligned_reinit takes .* goes with rewinding: weights"):
        recipe(finder=finder)
    with pytest.raises(RecipeError, match="aligned_reinit trains another initialization, and transformers/"):
        recipe(model="transformers/owner/name", arms=["aligned_reinit"])
    with pytest.raises(RecipeError, match="aligned_reinit trains another initialization, and torchvision/resnet18"):
        recipe(model={"name": "torchvision/resnet18", "weights": "DEFAULT"}, arms=["aligned_reinit"])
    target = {"name": "digits", "task": CONTENT["task"], "training": CONTENT["training"]}
    content = {"name": "x", "tickets": ["y"], "levels": [1], "targets": [target], "arms": ["aligned_reinit"]}
    with pytest.raises(RecipeError, match="aligned_reinit needs another dense training: it goes with ticketzoo find"):
        parse_recipe(content, TransferRecipe, "test")
