"""A small finished run: two seeds, two levels, eight updates on three digits."""

from pathlib import Path
from typing import Any

from ticketzoo.finding import FindRecipe, find_and_package
from ticketzoo.recipe import parse_recipe

RECIPE = {
    "name": "small",
    "model": {"name": "lenet-300-100", "kwargs": {"width": 0.05}},
    "task": {"type": "image-classification", "dataset": {"path": "digits", "classes": [0, 1, 2], "examples": 64}},
    "training": {"steps": "8it", "batch_size": 16, "optimizer": {"lr": 0.1}},
    "finder": {"levels": 2, "rate": 0.5},
    "arms": ["ticket", "dense"],
    "seeds": [0, 1],
}


def made_run(folder: Path, **keys: Any) -> Path:
    find_and_package(parse_recipe(RECIPE | keys, FindRecipe, "small"), folder)
    return folder
