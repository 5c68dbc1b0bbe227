from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ticketzoo.cli import options
from ticketzoo.cli.recipe_command import Work, recipe_command, until_overrides

if TYPE_CHECKING:
    from ticketzoo.runs.plan import Plan
    from ticketzoo.ticket import Ticket


def register(app: typer.Typer) -> None:
    """Add the command `find`."""
    app.command()(find)


@recipe_command
def find(
    until: options.UntilOption = None,
    max_seeds: options.MaxSeedsOption = None,
    sweep: options.SweepOption = None,
    allow_dead_layers: options.DeadLayersOption = False,
) -> "Work[tuple[Ticket, Path]]":
    """Find tickets by a recipe; prints the ticket's folder.

    Give the same command again after a run was stopped, in whatever way: it goes on from what was finished.

    Examples:

        ticketzoo find quickstart

        ticketzoo find recipes/lenet-300-100.mnist-imp.yaml --set seeds=[0] --set training.steps=5ep --out runs/try

        ticketzoo find quickstart --until decided --max-seeds 7

        ticketzoo find quickstart --sweep finder.rate=[0.2,0.5] --sweep training.optimizer.lr=[0.05,0.1]

        ticketzoo find quickstart --log csv

        ticketzoo find imagenet/resnet-50 --plan

        ticketzoo find quickstart --set finder.rewind=auto
    """
    from ticketzoo.finding import FindRecipe, find_and_package, plan_find

    def plan(recipe: FindRecipe, out: Path, **where: Any) -> "Plan":
        if recipe.rewinds_auto:
            from ticketzoo.instability.auto import plan_from_stable

            return plan_from_stable(recipe, out, **where)
        return plan_find(recipe, out, **where)

    def run(recipe: FindRecipe, out: Path, **where: Any) -> "tuple[Ticket, Path]":
        if recipe.rewinds_auto:
            from ticketzoo.instability.auto import find_from_stable

            return find_from_stable(recipe, out, **where)
        return find_and_package(recipe, out, **where)

    keys = until_overrides(until, max_seeds)
    if allow_dead_layers:
        keys["finder.allow_dead_layers=true"] = "--allow-dead-layers"
    return Work(FindRecipe, plan, run, print_found, keys, tuple(sweep or ()))


def print_found(found: "tuple[Ticket, Path]", as_json: bool) -> None:
    """Print a ticket that was found: its numbers, its verdict and where it is."""
    from ticketzoo.cli.output import print_json, show_table
    from ticketzoo.evaluation.diagnosis import diagnose
    from ticketzoo.evaluation.evidence import density_lines
    from ticketzoo.evaluation.statistics import deciding_metrics
    from ticketzoo.targets import arms_tables, sentence
    from ticketzoo.ticket.effective import effective_sparsity
    from ticketzoo.ticket.empty import heading
    from ticketzoo.util.text import for_terminal

    ticket, folder = found
    if as_json:
        print_json(
            {
                "ticket": str(folder),
                "name": ticket.config.name,
                "mask_sha256": ticket.config.mask_sha256,
                "verdict": ticket.config.model_dump(mode="json")["verdict"],
                "empty_layers": ticket.empty_layers,
                "effective": asdict(effective_sparsity(ticket)),
                "densities": density_lines(ticket.results, ticket.config.verdict),
                "faults": diagnose(ticket.results),
            }
        )
    else:
        rows, verdict = ticket.results, ticket.config.verdict
        for table in arms_tables(rows, target=rows[0]["target"], verdict=verdict):
            show_table(table, folds=0.75)
        if verdict:
            print(f"verdict: {for_terminal(sentence(verdict))}")
        for line in density_lines(rows, verdict):
            print(f"controls: {for_terminal(line)}")
        for line in ticket.empty_layers:
            print(f"{heading(line)}: {for_terminal(line)}")
        for line in effective_sparsity(ticket).lines():
            print(f"paths: {for_terminal(line)}")
        for line in diagnose(rows):
            print(f"fault: {for_terminal(line)}")
        plotted = deciding_metrics(rows)[rows[0]["target"]].removeprefix("test_")
        print(f"plot: {folder / plotted}.png")
        print(f"card: {folder / 'README.md'}")
        print(folder)
