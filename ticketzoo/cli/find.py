from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from ticketzoo.cli.options import (
    CheckpointOption,
    DeviceOption,
    ExecutorOption,
    JsonOption,
    PlanOption,
    RecipeArgument,
    SetOption,
)

if TYPE_CHECKING:
    from ticketzoo.ticket import Ticket
    from ticketzoo.transfer.verdict import Verdict


def register(app: typer.Typer) -> None:
    """Add the command `find`."""
    app.command()(find)


def find(
    recipe: RecipeArgument,
    overrides: SetOption = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Working folder.", show_default="runs/<name of the recipe>")
    ] = None,
    device: DeviceOption = None,
    executor: ExecutorOption = "local",
    checkpoint_seconds: CheckpointOption = 60.0,
    plan: PlanOption = False,
    as_json: JsonOption = False,
) -> None:
    """Find tickets by a recipe; prints the ticket's folder.

    A run that was stopped, however, goes on from what it had finished when the same command is given again.

    Examples:

        ticketzoo find quickstart

        ticketzoo find recipes/lenet-300-100.mnist-imp.yaml --set seeds=[0] --set training.steps=5ep --out runs/try

        ticketzoo find imagenet/resnet-50 --plan
    """
    from ticketzoo.cli.plan import print_plan
    from ticketzoo.cli.recipes import read_for
    from ticketzoo.cli.running import running_in
    from ticketzoo.finding import FindRecipe, find_and_package, plan_find
    from ticketzoo.interruption import interruptible
    from ticketzoo.training.device import training_device
    from ticketzoo.training.joining import joined
    from ticketzoo.training.processes import rank

    with joined(device):
        parsed = read_for("find", recipe, FindRecipe, overrides)
        working_folder = out or Path("runs") / parsed.name
        if plan:
            with interruptible("interrupted; a plan writes nothing"):
                print_plan(plan_find(parsed, working_folder, device=training_device(device)), as_json)
            return
        with running_in(working_folder) as progress:
            ticket, folder = find_and_package(
                parsed,
                working_folder,
                device=None if device is None and executor == "ray" else training_device(device),
                executor=executor,
                checkpoint_seconds=checkpoint_seconds,
                progress=progress,
            )
        if rank() == 0:
            _print(ticket, folder, as_json)


def _print(ticket: "Ticket", folder: Path, as_json: bool) -> None:
    from ticketzoo.cli.output import console, print_json
    from ticketzoo.escaping import for_terminal
    from ticketzoo.transfer import arms_table, sentence
    from ticketzoo.transfer.statistics import deciding_metrics

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
            print(f"verdict: {for_terminal(sentence(cast('Verdict', verdict.model_dump())))}")
        plotted = deciding_metrics(rows)[rows[0]["target"]].removeprefix("test_")
        print(f"plot: {folder / plotted}.png")
        print(f"card: {folder / 'README.md'}")
        print(folder)
