from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from ticketzoo.cli import options

if TYPE_CHECKING:
    from ticketzoo.targets.reproduction import Reproduction


def register(app: typer.Typer) -> None:
    """Add the command `reproduce`."""
    app.command()(reproduce)


def reproduce(
    ticket: options.TicketArgument,
    levels: Annotated[
        list[int] | None,
        typer.Option("--level", help="Level; 0 is dense. Repeatable.", show_default="the ticket's own choice, and 0"),
    ] = None,
    seeds: Annotated[
        list[int] | None, typer.Option("--seed", help="Replicate; repeatable.", show_default="all")
    ] = None,
    arms: Annotated[
        list[str] | None, typer.Option("--arm", help="Arm; repeatable.", show_default="all that the ticket has rows of")
    ] = None,
    data: Annotated[
        str | None, typer.Option(metavar="FOLDER|ID", help="Where its data are.", show_default="as its recipe says")
    ] = None,
    base: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="A copy of the pretrained model that it was found on.")
    ] = None,
    overrides: options.SetOption = None,
    out: options.OutOption = None,
    device: options.DeviceOption = None,
    executor: options.ExecutorOption = "local",
    checkpoint_seconds: options.CheckpointOption = 60.0,
    plan: options.PlanOption = False,
    registry: options.RegistryOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Measure a ticket's numbers again, from its masks and weights, and say how they compare.

    Each training is bit-identical to the stated one, or its number lies within the interval of the stated seeds, or it
    differs; then the exit status is 1.

    Examples:

        ticketzoo reproduce lenet-300-100.mnist-imp --level 3 --seed 0

        ticketzoo reproduce lenet-300-100.mnist-imp --level 3 --arm ticket --data path/to/mnist --plan
    """
    from ticketzoo import load_ticket
    from ticketzoo.cli.running import RunOptions, plan_or_run
    from ticketzoo.distributed.joining import joined
    from ticketzoo.targets.reproduce import Request, plan_reproduction, run_reproduction

    with joined(device):
        loaded = load_ticket(ticket, registry=registry)
        request = Request(
            loaded, levels or [0, loaded.level], seeds or loaded.seeds, arms or None, data, base, overrides or ()
        )
        asked = RunOptions(out, device, executor, checkpoint_seconds, plan, as_json)
        plan_or_run("reproduce", request, asked, plan=plan_reproduction, run=run_reproduction, show=_print)


def _print(found: "Reproduction", as_json: bool) -> None:
    from ticketzoo.cli.output import console, print_json
    from ticketzoo.util.text import for_terminal

    if as_json:
        print_json(asdict(found))
    else:
        console().print(found.table().rich())
        for line in found.elsewhere:
            print(for_terminal(line))
        for line in found.left_out:
            print(f"left out: {for_terminal(line)}")
    if not found.holds:
        raise typer.Exit(1)
