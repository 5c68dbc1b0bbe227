"""Measure untrained criterion supermasks as a function of the length of the training that they are scored by.

LeNet-300-100 on MNIST, Adam at 1.2e-3, batches of 60, 20% of each layer and 10% of the last a level (Zhou et al. 2019).
Rows go to a results file, of which `python docs/build.py` makes table and figure of docs/finders.md.
"""

import argparse
import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import torch

from ticketzoo.finding.recipe import FindRecipe
from ticketzoo.finding.run import find_tickets
from ticketzoo.finding.start import load_task
from ticketzoo.recipe import parse_recipe
from ticketzoo.recipe.reading import apply_override
from ticketzoo.runs.progress import Quiet
from ticketzoo.runs.store import Store

LENGTHS = (30, 100, 1000, 4000, 18000)
CRITERIA = ("magnitude", "large-final-same-sign")

PROTOCOL: dict[str, Any] = {
    "model": {"name": "lenet-300-100", "kwargs": {"init": "glorot_normal"}},
    "task": {"type": "image-classification", "dataset": {"path": "ylecun/mnist", "validation": 5000}},
    "training": {"steps": "18000it", "batch_size": 60, "optimizer": {"name": "adam", "lr": 1.2e-3}},
    "arms": ["ticket", "dense"],
    "seeds": [0, 1, 2],
}


def main() -> None:
    """Find, measure and write; run again, it goes on from what is finished."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="override a key of the protocol"
    )
    parser.add_argument("--out", type=Path, default=Path("runs/supermasks"), help="working folder")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="where to train")
    options = parser.parse_args()
    with Store(options.out / "cells", device=torch.device(options.device), progress=Quiet()) as cells:
        rows = [row for recipe in recipes(options.set) for row in measured(recipe, cells)]
    (options.out / "supermasks.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def recipes(overrides: list[str]) -> Iterator[FindRecipe]:
    """Yield a recipe for each length, criterion and kind of weights."""
    for length, criterion, signed in product(LENGTHS, CRITERIA, (False, True)):
        schedule = {"rate": 0.2, "rates": {"fc3": 0.1}}
        finder = {
            "method": "criterion-supermask",
            "scored_at": f"{length}it",
            "signed": signed,
            "levels": 9,
            "prune": {"criterion": criterion, "scope": "layerwise", "schedule": schedule},
        }
        content = {**json.loads(json.dumps(PROTOCOL)), "name": "supermasks", "finder": finder, "package_from": 1}
        for override in overrides:
            apply_override(content, override)
        if length == LENGTHS[-1]:
            del finder["scored_at"]  # the end
        yield parse_recipe(content, FindRecipe, "supermasks")


def measured(recipe: FindRecipe, cells: Store) -> Iterator[dict[str, Any]]:
    """Yield the accuracies of every mask on the validation and on the test images."""
    task = load_task(recipe.task, recipe.model)
    finder = recipe.finder.model_dump()
    labels = {
        "scored_at": str(finder["scored_at"] or recipe.training.steps),
        "criterion": recipe.finder.pruning.criterion.name,
        "signed": finder["signed"],
    }
    of_tickets = (row for row in find_tickets(recipe, task, cells).rows if row["arm"] == "ticket")
    for row in of_tickets:
        if row["metric"] in ("test_accuracy", "validation_accuracy") and row["at"] == "final":
            yield labels | {key: row[key] for key in ("level", "sparsity", "seed", "metric", "value")}


if __name__ == "__main__":
    main()
