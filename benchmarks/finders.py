"""Compare finders on MNIST: one network, one budget, one set of arms; every recipe of recipes/finders that takes part.

Of a finder's recipe only the section `finder` counts; model, data, budget, sparsities and arms are those below, and all
tickets start from the initialisation. Rows go to a results file, of which `python docs/build.py` makes the tables in
docs/finders.md.
"""

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from ticketzoo.finding.method import METHODS, Level
from ticketzoo.finding.recipe import FindRecipe
from ticketzoo.finding.run import Finding, Search, find_tickets
from ticketzoo.finding.start import load_task
from ticketzoo.masks.masks import sparsity
from ticketzoo.models import create_from_architecture
from ticketzoo.models.effective_masks import effective_masks
from ticketzoo.recipe import parse_recipe, read_content
from ticketzoo.recipe.reading import apply_override
from ticketzoo.runs.executor import EXECUTORS
from ticketzoo.runs.progress import Quiet
from ticketzoo.runs.store import Store
from ticketzoo.tasks.task import Task
from ticketzoo.ticket.effective import biases_of, example_inputs

ROOT = Path(__file__).resolve().parents[1]
SPARSITIES = (0.8, 0.9, 0.95, 0.98)
ON_THE_WAY = (0.4, 0.6)
"""Levels before those, of methods that train between prunings."""

PROTOCOL: dict[str, Any] = {
    "model": {"name": "lenet-300-100", "kwargs": {"init": "glorot_normal"}},
    "task": {
        "type": "image-classification",
        "dataset": {"path": "ylecun/mnist", "validation": 5000},
        "normalize": [0.1307, 0.3081],
    },
    "training": {
        "steps": "4ep",
        "batch_size": 128,
        "optimizer": {"name": "sgd", "lr": 0.1},
        "schedule": {"name": "cosine"},
    },
    "arms": ["ticket", "dense", "random_reinit", "shuffled_mask", "inverted_mask"],
    "draws": 1,
    "seeds": [0, 1, 2, 3, 4],
}

FINDERS = {
    "imp": ON_THE_WAY,
    "one-shot": (),
    "random-uniform": (),
    "random-erk": (),
    "magnitude-at-init": (),
    "snip": (),
    "snip-iterated": None,
    "grasp": (),
    "grasp-abs": (),
    "synflow": None,
    "phew": (),
    "obd": ON_THE_WAY,
}
"""By name the sparsities that come before those compared; None where masks do not nest: each is found by itself."""

NO_SCORES = ("random-uniform", "random-erk", "phew")
"""Finders that rank by no score: they have no inverted mask."""


def main() -> None:
    """Find, measure and write; run again, it goes on from what is finished."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("finders", nargs="*", help="names; by default all")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a key of it")
    parser.add_argument("--out", type=Path, default=Path("runs/finders"), help="working folder")
    parser.add_argument("--executor", choices=list(EXECUTORS), default="local", help="where to train")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="where to train")
    options = parser.parse_args()
    with Store(options.out / "cells", options.executor, device=torch.device(options.device), progress=Quiet()) as cells:
        for name in options.finders or FINDERS:
            for recipe in recipes(name, options.set):
                rows = list(measured(name, recipe, load_task(recipe.task, recipe.model), cells))
                file = options.out / f"{recipe.name}.jsonl"
                file.write_text("".join(json.dumps(row) + "\n" for row in rows))
                print(f"{recipe.name}: {recipe.trainings} trainings, {len(rows)} rows", flush=True)
    files = sorted(options.out.glob("*.jsonl"))
    (options.out / "all.jsonl.new").write_text("".join(file.read_text() for file in files if file.stem != "all"))
    (options.out / "all.jsonl.new").replace(options.out / "all.jsonl")


def recipes(name: str, overrides: list[str]) -> Iterator[FindRecipe]:
    """Yield the recipes that measure a finder: one, or one for each sparsity."""
    finder = read_content(ROOT / "recipes" / "finders" / f"{name}.yaml")["finder"]
    before = FINDERS[name]
    for sparsities in [(*before, *SPARSITIES)] if before is not None else [(one,) for one in SPARSITIES]:
        prune = finder.get("prune", {})
        prune = {"criterion": prune} if isinstance(prune, str) else dict(prune)
        prune["schedule"] = {"name": "levels", "levels": list(sparsities)}
        kept = {key: value for key, value in finder.items() if key not in ("rate", "rates", "rate_of", "rewinding")}
        content = json.loads(json.dumps(PROTOCOL))
        if name in NO_SCORES:
            content["arms"].remove("inverted_mask")
        content |= {
            "name": name if before is not None else f"{name}-{sparsities[0]:g}",
            "finder": {**kept, "levels": len(sparsities), "prune": prune},
            "arm_levels": [number for number, one in enumerate(sparsities, 1) if one in (0.9, 0.98)] or [1],
        }
        if content["arm_levels"] == [1] and sparsities[0] not in (0.9, 0.98):
            content["arms"] = ["ticket", "dense"]
        for override in overrides:
            apply_override(content, override)
        yield parse_recipe(content, FindRecipe, name)


def measured(name: str, recipe: FindRecipe, task: Task, cells: Store) -> Iterator[dict[str, Any]]:
    """Yield a row for each test accuracy at the end, and of each seed and level what the mask cost and is worth."""
    finding = find_tickets(recipe, task, cells)
    for row in finding.rows:
        if row["metric"] == "test_accuracy" and row["at"] == "final":
            kept = ("level", "sparsity", "arm", "seed", "draw", "metric", "value")
            yield {"finder": name} | {key: row[key] for key in kept}
    with TemporaryDirectory() as folder, Store(folder, device=cells.device, progress=Quiet()) as trained:
        for cell in cells.folder.glob("*/cell.json"):
            (Path(folder) / cell.parent.name).symlink_to(cell.parent.absolute())
        yield from costs(name, recipe, Search(recipe, task, trained), finding)


def costs(name: str, recipe: FindRecipe, search: Search, finding: Finding) -> Iterator[dict[str, Any]]:
    """Yield the seconds of ranking alone, by running the method again with every training at hand and no scores.

    Beside them the effective sparsity of each level.
    """
    for replicate in finding.replicates:
        lab, levels = search.lab(replicate.seed), []
        began = time.perf_counter()
        for number, level in enumerate(METHODS[recipe.finder.method].make(lab, recipe.finder)):
            labels = {"finder": name, "recipe": recipe.name, "level": number, "seed": replicate.seed}
            yield {**labels, "metric": "ranking_seconds", "value": time.perf_counter() - began}
            levels.append((labels, level))
        for labels, level in levels:
            value = effective(level, search.model.architecture)
            yield {**labels, "sparsity": sparsity(level.masks), "metric": "effective_sparsity", "value": value}


def effective(level: Level, architecture: dict[str, Any]) -> float:
    """Return the fraction of the prunable weights that the masks remove or that lies on no path."""
    inputs = example_inputs(architecture["library"], architecture["name"], architecture["kwargs"])
    model = create_from_architecture(architecture, seed=0)
    return sparsity(effective_masks(model, level.masks, inputs, biases_of(level.start.state)))


if __name__ == "__main__":
    main()
