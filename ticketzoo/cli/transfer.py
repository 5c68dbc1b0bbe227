from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ticketzoo.cli.options import (
    CheckpointOption,
    DeviceOption,
    ExecutorOption,
    JsonOption,
    PlanOption,
    RecipeArgument,
    RegistryOption,
    SetOption,
)

if TYPE_CHECKING:
    from ticketzoo.transfer.report import TransferReport


def register(app: typer.Typer) -> None:
    """Add the command `transfer`."""
    app.command()(transfer)


def transfer(
    recipe: RecipeArgument,
    overrides: SetOption = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Working folder.", show_default="runs/<name of the recipe>")
    ] = None,
    registry: RegistryOption = None,
    device: DeviceOption = None,
    executor: ExecutorOption = "local",
    checkpoint_seconds: CheckpointOption = 60.0,
    plan: PlanOption = False,
    as_json: JsonOption = False,
) -> None:
    """Retrain tickets on targets, with controls, and say whether they win there.

    Examples:

        ticketzoo transfer quickstart-transfer

        ticketzoo transfer recipes/transfer/mnist-fashion-mnist.yaml --set seeds=[0,1,2,3,4]
    """
    from ticketzoo.cli.plan import print_plan
    from ticketzoo.cli.recipes import read_for
    from ticketzoo.cli.running import running_in
    from ticketzoo.interruption import interruptible
    from ticketzoo.training.device import training_device
    from ticketzoo.training.joining import joined
    from ticketzoo.training.processes import rank
    from ticketzoo.transfer import TransferRecipe, plan_transfer, run_transfer

    with joined(device):
        parsed = read_for("transfer", recipe, TransferRecipe, overrides)
        folder = out or Path("runs") / parsed.name
        if plan:
            with interruptible("interrupted; a plan writes nothing"):
                print_plan(plan_transfer(parsed, folder, registry=registry, device=training_device(device)), as_json)
            return
        with running_in(folder) as progress:
            report = run_transfer(
                parsed,
                folder,
                registry=registry,
                device=None if device is None and executor == "ray" else training_device(device),
                executor=executor,
                checkpoint_seconds=checkpoint_seconds,
                progress=progress,
            )
        if rank() == 0:
            _print(report, folder, as_json)


def _print(report: "TransferReport", folder: Path, as_json: bool) -> None:
    from ticketzoo.cli.output import console, print_json
    from ticketzoo.escaping import for_terminal
    from ticketzoo.transfer import sentence

    if as_json:
        print_json({"folder": str(folder), "files": report.files, "verdicts": report.verdicts})
        return
    console().print(report.table.rich())
    for name, verdict in report.verdicts.items():
        print(for_terminal(f"verdict on {name}: {sentence(verdict)}"))
    print(f"plot: {folder / 'ticket-minus-dense.png'}")
    print(f"report: {folder / 'report.md'}")
    print(folder)
