"""A small run with its journal, which may be stopped after some trainings."""

from pathlib import Path
from typing import Any

from ticketzoo.api.run import Where, kept_journal
from ticketzoo.finding import FindRecipe, find_and_package
from ticketzoo.recipe import parse_recipe
from ticketzoo.runs.progress import Quiet

SMALL: dict[str, Any] = {
    "name": "small",
    "model": {"name": "lenet-300-100", "kwargs": {"width": 0.05}},
    "task": {"type": "image-classification", "dataset": {"path": "digits", "classes": [0, 1, 2], "examples": 64}},
    "training": {"steps": "8it", "batch_size": 16, "evaluate_every": "4it"},
    "finder": {"levels": 2, "rate": 0.5},
    "arms": ["ticket", "dense", "random_mask"],
    "seeds": [0, 1],
}
PLANNED = 2 * (1 + 2 + 2 * 2)
"""Two seeds: dense, two levels, two draws of random positions at each."""


class Stopped(Exception):
    pass


class StopAfter(Quiet):
    """Stops a run once so many trainings were measured."""

    def __init__(self, trainings: int) -> None:
        self.left = trainings

    def measured(self, rows: Any) -> None:
        if self.left == 0:
            raise Stopped
        self.left -= 1


def run(folder: Path, progress: Any, **keys: Any) -> None:
    recipe = parse_recipe(SMALL | keys, FindRecipe, "small")
    where = Where(device=None, executor="local", progress=progress)
    with kept_journal("find", recipe, folder, where) as told:
        find_and_package(recipe, folder, **told)
