"""Time whole experiments: a chain of IMP on ResNet-20, or all that Frankle & Carbin (2019) trained of LeNet-300-100."""

import argparse
import json
import tempfile
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from measuring import Report, Stopwatch, arguments, parse

import ticketzoo
from ticketzoo.finding import FindRecipe
from ticketzoo.recipe import read_recipe
from ticketzoo.runs.executor import EXECUTORS

RECIPES = Path(__file__).parents[1] / "recipes"
EXPERIMENTS = {
    "resnet-20": ["resnet-20.fashion-mnist-imp-record.yaml"],
    "lenet-300-100": ["lenet-300-100.mnist-imp-frankle2019.yaml", "arms=[ticket,dense,random_reinit,random_mask]"],
}
"""The recipe of each, and what of it is set otherwise: of LeNet 5 trials of 16 levels, four arms at four of them."""
Run = tuple[float, list[dict[str, Any]]]
"""Seconds, and rows of results.jsonl."""


def main() -> None:
    """Run one in a folder that is removed, so that nothing is found there, and print its seconds and accuracies."""
    parser = arguments(__doc__, rounds=1)
    parser.add_argument("experiment", choices=list(EXPERIMENTS), help="which")
    parser.add_argument("--data", help="folder that holds the data set; from the Hub if not given")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a key of the recipe")
    parser.add_argument("--executor", choices=list(EXECUTORS), default="stacked", help="where to train")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="where to train")
    options = parse(parser)
    file, *changed = EXPERIMENTS[options.experiment]
    changed += options.set + ([f"task.dataset.mirror={options.data}"] if options.data else [])
    recipe = read_recipe(RECIPES / file, FindRecipe, changed)
    runs = [timed(recipe, options) for _ in range(options.rounds)]
    print_report(recipe, runs, options)


def timed(recipe: FindRecipe, options: argparse.Namespace) -> Run:
    """The wall-clock seconds of finding and packaging, data read and device warmed up within, and the rows."""
    with tempfile.TemporaryDirectory() as out, Stopwatch() as watch:
        ticketzoo.find(recipe, out=out, device=options.device, executor=options.executor, progress=False)
        lines = (Path(out) / recipe.name / "results.jsonl").read_text().splitlines()
    return watch.seconds, [json.loads(line) for line in lines]


def print_report(recipe: FindRecipe, runs: list[Run], options: argparse.Namespace) -> None:
    """Seconds of each run, and mean test accuracies of the last at the end of training."""
    _, rows = runs[-1]
    final = [row for row in rows if (row["at"], row["metric"]) == ("final", "test_accuracy")]
    deepest = max((row["level"], row["sparsity"]) for row in final if row["arm"] == "ticket")
    facts = {
        "recipe": ", ".join([recipe.name, *options.set]),
        "trainings": f"{recipe.trainings:,}",
        "executor": options.executor,
        "seconds": ", ".join(f"{seconds:.1f}" for seconds, _ in runs),
        "accuracy of dense": f"{100 * fmean(row['value'] for row in final if row['arm'] == 'dense'):.2f}%",
    }
    level, sparsity = deepest
    last = [row["value"] for row in final if (row["arm"], row["level"]) == ("ticket", level)]
    facts[f"accuracy of tickets at level {level}, sparsity {sparsity:.3f}"] = f"{100 * fmean(last):.2f}%"
    Report(f"A whole experiment: {options.experiment}", [], facts).print(options.json)


if __name__ == "__main__":
    main()
