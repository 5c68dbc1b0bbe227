"""Find tickets by several recipes at once: trainings that are alike, of whatever recipe, are one population."""

import argparse
import time
from pathlib import Path

import torch

from ticketzoo.finding.package import make_card, make_ticket
from ticketzoo.finding.recipe import FindRecipe
from ticketzoo.finding.run import find_tickets
from ticketzoo.finding.start import load_task
from ticketzoo.recipe import read_recipe
from ticketzoo.runs.executor import EXECUTORS
from ticketzoo.runs.progress import Quiet
from ticketzoo.runs.store import Store
from ticketzoo.tasks.task import Task


def main() -> None:
    """Find them and print how long it took; run again, it goes on from what is finished."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("recipes", type=Path, nargs="+", help="recipes of find, as recipes/zoo/*.yaml")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a key of each recipe")
    parser.add_argument("--out", type=Path, default=Path("runs/zoo"), help="working folder; tickets are put into it")
    parser.add_argument("--executor", choices=list(EXECUTORS), default="stacked", help="where to train")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="where to train")
    options = parser.parse_args()
    recipes = [read_recipe(path, FindRecipe, options.set) for path in options.recipes]
    began = time.monotonic()
    with Store(options.out / "cells", options.executor, device=torch.device(options.device), progress=Told()) as cells:
        tasks = {recipe.task.model_dump_json(): recipe for recipe in recipes}
        loaded = {key: load_task(recipe.task, recipe.model) for key, recipe in tasks.items()}
        cells.each(lambda one: find(one, loaded[one.task.model_dump_json()], cells, options.out), recipes)
    trainings = sum(recipe.trainings for recipe in recipes)
    print(f"{len(recipes)} tickets, {trainings:,} trainings: {time.monotonic() - began:.0f} s")


class Told(Quiet):
    """Prints what is odd."""

    def warn(self, message: str) -> None:
        """Print it."""
        print(message)

    def say(self, message: str) -> None:
        """Print it."""
        print(message)


def find(recipe: FindRecipe, task: Task, cells: Store, out: Path) -> None:
    """Find the ticket of one recipe and write it into `out`."""
    finding = find_tickets(recipe, task, cells)
    ticket = make_ticket(recipe, task, finding)
    ticket.save_pretrained(out / recipe.name, extras=make_card(ticket, finding, cells.device))


if __name__ == "__main__":
    main()
