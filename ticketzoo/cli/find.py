from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ticketzoo.cli import options

if TYPE_CHECKING:
    from ticketzoo.ticket import Ticket


def register(app: typer.Typer) -> None:
    """Add the command `find`."""
    app.command()(find)


def find(
    recipe: options.RecipeArgument,
    overrides: options.SetOption = None,
    out: options.OutOption = None,
    device: options.DeviceOption = None,
    executor: options.ExecutorOption = "local",
    checkpoint_seconds: options.CheckpointOption = 60.0,
    plan: options.PlanOption = False,
    as_json: options.JsonOption = False,
) -> None:
    """Find tickets by a recipe; prints the ticket's folder.

    Give the same command again after a run was stopped, in whatever way: it goes on from what was finished.

    Examples:

        ticketzoo find quickstart

        ticketzoo find recipes/lenet-300-100.mnist-imp.yaml --set seeds=[0] --set training.steps=5ep --out runs/try

        ticketzoo find imagenet/resnet-50 --plan
    """
    from ticketzoo.cli.recipes import read_for
    from ticketzoo.cli.running import RunOptions, plan_or_run
    from ticketzoo.distributed.joining import joined
    from ticketzoo.finding import FindRecipe, find_and_package, plan_find

    asked = RunOptions(out, device, executor, checkpoint_seconds, plan, as_json)
    with joined(device):
        parsed = read_for("find", recipe, FindRecipe, overrides)
        plan_or_run(parsed, asked, plan=plan_find, run=find_and_package, show=_print)


def _print(found: "tuple[Ticket, Path]", as_json: bool) -> None:
    from ticketzoo.cli.output import console, print_json
    from ticketzoo.evaluation.statistics import deciding_metrics
    from ticketzoo.transfer import arms_table, sentence
    from ticketzoo.util.text import for_terminal

    ticket, folder = found
    if as_json:
        print_json(
            {
                "ticket": str(folder),
                "name": ticket.config.name,
                "mask_sha256": ticket.config.mask_sha256,
                "verdict": ticket.config.model_dump(mode="json")["verdict"],
            }
        )
    else:
        rows, verdict = ticket.results, ticket.config.verdict
        console().print(arms_table(rows, target=rows[0]["target"]).rich())
        if verdict:
            print(f"verdict: {for_terminal(sentence(verdict))}")
        plotted = deciding_metrics(rows)[rows[0]["target"]].removeprefix("test_")
        print(f"plot: {folder / plotted}.png")
        print(f"card: {folder / 'README.md'}")
        print(folder)
