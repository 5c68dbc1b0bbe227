from functools import partial
from typing import TYPE_CHECKING

import typer

from ticketzoo.cli import options
from ticketzoo.cli.recipe_command import Work, recipe_command, until_overrides

if TYPE_CHECKING:
    from ticketzoo.targets.report import TransferReport


def register(app: typer.Typer) -> None:
    """Add the command `transfer`."""
    app.command()(transfer)


@recipe_command
def transfer(
    until: options.UntilOption = None,
    max_seeds: options.MaxSeedsOption = None,
    sweep: options.SweepOption = None,
    registry: options.RegistryOption = None,
) -> "Work[TransferReport]":
    """Retrain tickets on targets, with controls, and say whether they win there.

    Examples:

        ticketzoo transfer quickstart-transfer

        ticketzoo transfer recipes/transfer/mnist-fashion-mnist.yaml --set seeds=[0,1,2,3,4]

        ticketzoo transfer quickstart-transfer --until decided

        ticketzoo transfer quickstart-transfer --sweep head=[dense,random_mask]
    """
    from ticketzoo.targets import TransferRecipe, plan_transfer, run_transfer

    return Work(
        TransferRecipe,
        partial(plan_transfer, registry=registry),
        partial(run_transfer, registry=registry),
        _print,
        until_overrides(until, max_seeds),
        tuple(sweep or ()),
    )


def _print(report: "TransferReport", as_json: bool) -> None:
    from ticketzoo.cli.output import print_json, show_table
    from ticketzoo.targets import sentence
    from ticketzoo.util.text import for_terminal

    if as_json:
        verdicts = {name: verdict.model_dump(mode="json") for name, verdict in report.verdicts.items()}
        print_json({"folder": str(report.folder), "files": report.files, "verdicts": verdicts, "faults": report.faults})
        return
    show_table(report.table, folds=0.75)
    for name, verdict in report.verdicts.items():
        print(for_terminal(f"verdict on {name}: {sentence(verdict)}"))
    for line in report.sentences:
        print(f"sources: {for_terminal(line)}")
    for line in report.faults:
        print(f"fault: {for_terminal(line)}")
    for name, targets in report.carried.items():
        on = for_terminal(", ".join(targets))
        print(f"to keep the rows on {on} in the ticket: ticketzoo add {name} --rows {report.folder / 'results.jsonl'}")
    print(f"plot: {report.folder / 'ticket-minus-dense.png'}")
    print(f"report: {report.folder / 'report.md'}")
    print(report.folder)
