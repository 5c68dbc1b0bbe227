"""A run on a user's own model and data: the recipe that it stands for, and what takes the place of its sections."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ticketzoo.api.run import Where, folder_of, kept_journal
from ticketzoo.errors import RecipeError
from ticketzoo.finding import FindRecipe, find_and_package
from ticketzoo.finding.method import METHODS
from ticketzoo.finding.start import SourceModel
from ticketzoo.models.own import OwnArchitecture
from ticketzoo.recipe import parse_recipe
from ticketzoo.tasks.metrics import Metric
from ticketzoo.tasks.own import Evaluate, Loss, OwnTask
from ticketzoo.tasks.own_examples import Given
from ticketzoo.tasks.own_fit import check_fit
from ticketzoo.ticket import Ticket
from ticketzoo.util.random_state import seeded

Data = Given


@dataclass(frozen=True)
class OwnRun:
    """The arguments of `ticketzoo.find` for a model and data of one's own, which says what they are."""

    model: Callable[[], nn.Module] | None
    train: Data | None
    evaluate: Data | Evaluate | None
    validation: Data | None
    loss: Loss | None
    metric: str | Metric | None
    prune: str | Mapping[str, Any]
    finder: Mapping[str, Any] | None
    training: Mapping[str, Any] | None
    arms: Sequence[str]
    seeds: Sequence[int]
    stated: Mapping[str, Any]
    """Keys of the section `verdict`."""
    name: str | None

    def check(self, recipe: object) -> None:
        """Raise RecipeError unless there is a recipe, or all of model, train and evaluate."""
        given = [part is not None for part in (self.model, self.train, self.evaluate)]
        if recipe is not None and any(given):
            raise RecipeError("find: give a recipe, or model, train and evaluate, not both")
        if recipe is None and not all(given):
            raise RecipeError("find: give a recipe, or all of model, train and evaluate")

    def find(self, out: str | Path | None, where: Where, log: str | None = None) -> Ticket:
        """Find and package the ticket in the folder `out`; `where` is what `running` gives. Raises as `find` does."""
        assert self.model is not None and self.train is not None and self.evaluate is not None
        architecture, finder = OwnArchitecture(self.model), dict(self.finder or {})
        method = finder.get("method", "imp")
        name = self.name or f"{_plain(architecture['name'])}.own-{method}"
        task_name = _data_name(name, method)
        task = OwnTask(
            self.train, self.evaluate, validation=self.validation, loss=self.loss, metric=self.metric, name=task_name
        )
        content = {
            "name": name,
            "model": f"own/{architecture['name']}",
            "task": {"type": "own", "name": task.name},
            "training": dict(self.training or {}),
            "finder": finder if self.prune == "magnitude" else finder | {"prune": self.prune},
            "arms": list(self.arms),
            "seeds": list(self.seeds),
            "verdict": dict(self.stated),
            "package_from": _package_from(finder),
        }
        recipe = parse_recipe(content, FindRecipe, name)
        _try(architecture, task, where["device"])
        task.copies.check(task.name)
        with kept_journal("find", recipe, folder := folder_of(name, out), where, log) as told:
            return find_and_package(recipe, folder, task=task, model=SourceModel(architecture), **told)[0]


def _plain(name: str) -> str:
    """Return the name of a class as one that a ticket may have: `_Net` is `net`."""
    return re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("_-")[:64] or "network"


def _package_from(finder: Mapping[str, Any]) -> int:
    """Return the level from which on the ticket is packaged: 0, or the last where a method's ticket holds it alone."""
    method = finder.get("method", "imp")
    if method not in METHODS:
        return 0  # reading the recipe says so
    config: Any = METHODS[method].config.model_construct()
    level = finder.get("levels", config.levels)
    return level if config.last_level_alone else 0


def _data_name(name: str, method: str) -> str:
    """Return what to call the data of a ticket `<network>.<data>-<method>`: `own data` where that says just `own`."""
    data = name.partition(".")[2].removesuffix(f"-{method}")
    return "own data" if data in ("", "own", f"own-{method}") else data


def _try(architecture: OwnArchitecture, task: OwnTask, device: torch.device | None) -> None:
    """Try a fresh network, so that what does not fit, or a metric which is not there, is said before any training."""
    device = device or torch.device("cpu")
    with seeded(0):
        check_fit(task, architecture.build(0).to(device).eval(), device)
