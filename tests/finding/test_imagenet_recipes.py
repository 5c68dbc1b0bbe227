"""The shipped ImageNet recipes, made small by overrides, on JPEGs of many sizes: to the end, and stopped."""

import multiprocessing
from pathlib import Path
from typing import Any

import pytest
from small_imagenet import SMALL, write_photos

from ticketzoo.finding import FindRecipe, find_and_package
from ticketzoo.recipe import read_recipe
from ticketzoo.runs.progress import Quiet
from ticketzoo.ticket import Ticket

RECIPES = Path(__file__).parents[2] / "recipes" / "imagenet"


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """30 photographs of 3 classes to train on and 9 to test on, in folders as ImageNet's lie."""
    root = tmp_path_factory.mktemp("imagenet")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TICKETZOO_CACHE", str(root / "cache"))
        patch.setattr("datasets.config.HF_DATASETS_CACHE", root / "datasets-cache")
        yield write_photos(root / "photos", classes=3, train=10, val=3)


def small(recipe: str, photos: Path, *overrides: str) -> FindRecipe:
    return read_recipe(RECIPES / recipe, FindRecipe, [*SMALL, f"task.dataset.mirror={photos}", *overrides])


@pytest.mark.slow
def test_the_fast_recipe_from_photographs_to_a_ticket(photos: Path, tmp_path: Path) -> None:
    sizes = "task.augment.random_resized_crop.sizes={0ep: 36, 1ep: 40}"
    recipe = small("resnet-50-fast.yaml", photos, "model=torchvision/resnet18", "training.steps=2ep", sizes)
    _, folder = find_and_package(recipe, tmp_path)
    ticket = Ticket.from_pretrained(folder)
    assert (ticket.config.architecture.name, ticket.config.rewind.step) == (
        "resnet18",
        4,
    )  # 30 images in 8s: 4 an epoch
    assert ticket.config.source.dataset == "ILSVRC/imagenet-1k"  # of which the folder is said to be a mirror
    assert [round(level.sparsity, 3) for level in ticket.config.levels] == [0.0, 0.2]
    pruned = [parameter.name for parameter in ticket.config.pruning.parameters]
    assert "layer1.0.conv1.weight" in pruned and "fc.weight" not in pruned
    measured = [(row["arm"], row["level"]) for row in ticket.results if row["metric"] == "test_accuracy"]
    random = [("random_mask", 1)] * 2
    assert sorted(measured) == [("chance", 0), ("dense", 0), *random, ("ticket", 0), ("ticket", 1)]


class StopsInLevelOne(Quiet):
    """Stands for a crash, at the last step of a training."""

    def step(self, label: str, step: int, total: int) -> None:
        if label == "seed 0 level 1/1" and step == total:
            raise KeyboardInterrupt


class Trained(Quiet):
    def __init__(self) -> None:
        self.labels: dict[str, bool] = {}

    def finished(self, label: str, record: Any, metric: str, *, trained: bool) -> None:
        self.labels[label] = trained


@pytest.mark.slow
def test_the_recipe_stopped_in_the_middle_goes_on_and_ends_the_same(photos: Path, tmp_path: Path) -> None:
    recipe = small("resnet-50.yaml", photos, "model={name: resnet-20, kwargs: {width: 0.25}}", "training.steps=6ep")
    whole, _ = find_and_package(recipe, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        find_and_package(recipe, tmp_path / "stopped", checkpoint_seconds=0, progress=StopsInLevelOne())
    assert multiprocessing.active_children() == []
    (unfinished,) = (tmp_path / "stopped" / "cells").glob("*.partial")
    assert list(unfinished.iterdir())
    progress = Trained()
    resumed, _ = find_and_package(recipe, tmp_path / "stopped", progress=progress)
    assert list(progress.labels.values()) == [False, True, True, True]  # the level before was done
    assert resumed.config.mask_sha256 == whole.config.mask_sha256
    assert resumed.results == whole.results
