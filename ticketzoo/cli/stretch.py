from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ticketzoo.cli.options import JsonOption, RegistryOption, TicketArgument

if TYPE_CHECKING:
    from ticketzoo import Ticket

ToOption = Annotated[
    str, typer.Option(metavar="MODEL", help="A network of its family: mlp, resnet-*, vgg-*, transformers/*.")
]
OutOption = Annotated[
    Path, typer.Option("--out", "-o", metavar="DIR", help="The new folder; its name is that of the new ticket.")
]
OrderOption = Annotated[
    str,
    typer.Option(metavar="append|interpolate", help="Repeat all units, or put the copies of each next to each other."),
]
MapOption = Annotated[
    str | None,
    typer.Option(
        "--map",
        metavar="UNIT:COPIES;...",
        help="Instead, the copies of each unit in all stages, or with / between stages. Unit 0, the first, stays.",
        show_default="by --order",
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="An argument of the network unlike the ticket's; repeatable."),
]
BaseOption = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Of a ticket that refers to a base model: a copy of that.")
]


def register(app: typer.Typer) -> None:
    """Add the command `stretch`."""
    app.command()(stretch)


def stretch(
    ticket: TicketArgument,
    to: ToOption,
    out: OutOption,
    order: OrderOption = "append",
    units: MapOption = None,
    set_: SetOption = None,
    name: Annotated[str | None, typer.Option(help="Name of the new ticket.", show_default="that of the folder")] = None,
    base: BaseOption = None,
    registry: RegistryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a ticket of a deeper or shallower network from one of its family, by copying units; prints its folder.

    Blocks of a ResNet, convolutions of a VGG with their norm, linear layers of an MLP and layers of a transformer are
    copied with their masks, early weights and statistics. Nothing is trained or measured: retrain the new ticket with
    `ticketzoo transfer`, beside one found on the deeper network. `ticketzoo verify` makes it again.

    Examples:

        ticketzoo stretch resnet-20.fashion-mnist-imp-reduced --to resnet-32 -o resnet-32.stretched

        ticketzoo stretch resnet-20.fashion-mnist-imp-reduced --to resnet-32 --map "1:1,2;2:3,4" -o resnet-32.stretched

        ticketzoo stretch ./mlp-2 --to mlp --set hidden=[300,300,300,100] -o mlp-3.stretched

        ticketzoo stretch ./bert-6 --to transformers/bert --set config.num_hidden_layers=12 -o bert-12.stretched
    """
    from ticketzoo.api.stretch import stretch_into
    from ticketzoo.cli.output import print_json, quiet_transfers, say
    from ticketzoo.deriving.units import ORDERS

    if order not in ORDERS:
        raise typer.BadParameter(f"give {' or '.join(ORDERS)}, not {order!r}", param_hint="--order")
    quiet_transfers()
    made, source = stretch_into(
        ticket, to, out, copies=units or order, settings=set_ or (), name=name, registry=registry, base=base
    )
    before = {entry.level: entry.sparsity for entry in source.levels}
    copied: Any = made.config.derived and made.config.derived.arguments["units"]
    if as_json:
        levels = [{**one.model_dump(mode="json"), "sparsity_before": before[one.level]} for one in made.levels]
        told = {"folder": str(out), "ok": True, "name": made.name, "units": copied, "levels": levels}
        print_json({**told, "seeds": made.seeds})
        return
    if made.config.architecture == source.config.architecture:
        say("ticketzoo: this is the ticket's own network, so nothing is copied: --to or --set names another depth")
    _tell(made, copied, before)
    print(out)


def _tell(made: "Ticket", copied: list[list[int]], before: dict[int, float]) -> None:
    from ticketzoo.cli.output import say

    for stage, of_stage in enumerate(copied, 1):
        say(f"ticketzoo: stage {stage}: copies of units {', '.join(map(str, [0, *of_stage]))}")
    for entry in made.levels:
        was = f"sparsity {before[entry.level]:.3f} before, {entry.sparsity:.3f} now"
        say(f"ticketzoo: level {entry.level}: {was}, {entry.kept_in_words} weights kept")
