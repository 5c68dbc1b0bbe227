from dataclasses import asdict
from typing import Annotated

import typer

from ticketzoo.cli.options import DeviceOption, JsonOption, RegistryOption, SetOption, TicketArgument


def register(app: typer.Typer) -> None:
    """Add the command `eval`."""
    app.command("eval")(evaluate)


def evaluate(
    ticket: TicketArgument,
    data: Annotated[
        str | None,
        typer.Option(metavar="FOLDER|ID", help="Data to measure on.", show_default="the data it was found on"),
    ] = None,
    split: Annotated[str, typer.Option(metavar="test|validation", help="Part of the data.")] = "test",
    level: Annotated[int | None, typer.Option(help="Pruning level.", show_default="the ticket's own choice")] = None,
    seed: Annotated[int | None, typer.Option(help="Replicate.", show_default="the first")] = None,
    overrides: SetOption = None,
    device: DeviceOption = None,
    registry: RegistryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure the trained network in a ticket, beside dense and the best constant guess.

    A ticket holds trained weights if it was found with `package_trained: true`.

    Examples:

        ticketzoo eval ./runs/NAME/NAME

        ticketzoo eval ./runs/NAME/NAME --data photos --level 5 --json
    """
    from ticketzoo import load_ticket
    from ticketzoo.cli.output import console, print_json
    from ticketzoo.distributed.device import training_device
    from ticketzoo.targets.evaluate import evaluate_ticket

    loaded = load_ticket(ticket, level=level, seed=seed, registry=registry)
    found = evaluate_ticket(loaded, data=data, overrides=overrides or [], split=split, device=training_device(device))
    if as_json:
        print_json({"level": loaded.level, "sparsity": loaded.sparsity, "seed": loaded.seed, **asdict(found)})
    else:
        print(f"level {loaded.level}, sparsity {loaded.sparsity:.3f}, seed {loaded.seed}")
        console().print(found.table().rich())
