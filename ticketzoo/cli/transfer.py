from functools import partial
from typing import TYPE_CHECKING

import typer

from ticketzoo.cli import options

if TYPE_CHECKING:
    from ticketzoo.transfer.report import TransferReport


def register(app: typer.Typer) -> None:
    """Add the command `transfer`."""
    app.command()(transfer)


def transfer(
    recipe: options.RecipeArgument,
    overrides: options.SetOption = None,
    out: options.OutOption = None,
    registry: options.RegistryOption = None,
    device: options.DeviceOption = None,
    executor: options.ExecutorOption = "local",
    checkpoint_seconds: options.CheckpointOption = 60.0,
    plan: options.PlanOption = False,
    as_json: options.JsonOption = False,
) -> None:
    """Retrain tickets on targets, with controls, and say whether they win there.

    Examples:

        ticketzoo transfer quickstart-transfer

        ticketzoo transfer recipes/transfer/mnist-fashion-mnist.yaml --set seeds=[0,1,2,3,4]
    """
    from ticketzoo.cli.recipes import read_for
    from ticketzoo.cli.running import RunOptions, plan_or_run
    from ticketzoo.distributed.joining import joined
    from ticketzoo.transfer import TransferRecipe, plan_transfer, run_transfer

    asked = RunOptions(out, device, executor, checkpoint_seconds, plan, as_json)
    with joined(device):
        parsed = read_for("transfer", recipe, TransferRecipe, overrides)
        plan_or_run(
            parsed,
            asked,
            plan=partial(plan_transfer, registry=registry),
            run=partial(run_transfer, registry=registry),
            show=_print,
        )


def _print(report: "TransferReport", as_json: bool) -> None:
    from ticketzoo.cli.output import console, print_json
    from ticketzoo.transfer import sentence
    from ticketzoo.util.text import for_terminal

    if as_json:
        verdicts = {name: verdict.model_dump(mode="json") for name, verdict in report.verdicts.items()}
        print_json({"folder": str(report.folder), "files": report.files, "verdicts": verdicts})
        return
    console().print(report.table.rich())
    for name, verdict in report.verdicts.items():
        print(for_terminal(f"verdict on {name}: {sentence(verdict)}"))
    print(f"plot: {report.folder / 'ticket-minus-dense.png'}")
    print(f"report: {report.folder / 'report.md'}")
    print(report.folder)
