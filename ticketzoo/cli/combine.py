from pathlib import Path
from typing import Annotated

import typer

from ticketzoo.cli.options import JsonOption, RegistryOption


def register(app: typer.Typer) -> None:
    """Add the command `combine`."""
    app.command()(combine)


def combine(
    tickets: Annotated[
        list[str], typer.Argument(metavar="TICKET", help="Two or more names, folders or Hub ids, of one network.")
    ],
    way: Annotated[
        str,
        typer.Option(
            "--with",
            metavar="and|or|minus",
            help="and: weights that all keep; or: that any keeps; minus: of the first, those that no other keeps.",
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help="The new folder; its name is that of the new ticket.")
    ],
    level: Annotated[
        int | None, typer.Option(help="One pruning level of the first ticket.", show_default="all that go together")
    ] = None,
    sparsity: Annotated[float | None, typer.Option(help="Instead, the level nearest to this sparsity.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the new ticket.", show_default="that of the folder")] = None,
    registry: RegistryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a ticket of others, of one network and one start, from their masks; prints its folder.

    Nothing is measured: the new ticket has no results and no verdict. `ticketzoo verify` makes it again.

    Examples:

        ticketzoo combine lenet-300-100.mnist-imp lenet-300-100.fashion-mnist-imp --with and --out both

        ticketzoo combine lenet-300-100.mnist-imp lenet-300-100.fashion-mnist-imp --with minus --level 9 --out digits
    """
    from ticketzoo.api.compare import combine_into
    from ticketzoo.cli.output import quiet_transfers, show_made
    from ticketzoo.errors import TicketError
    from ticketzoo.ticket.ways import way_called

    quiet_transfers()
    try:
        way_called(way)
    except TicketError as error:
        raise typer.BadParameter(str(error), param_hint="--with") from None
    made = combine_into(tickets, way, out, level=level, sparsity=sparsity, name=name, registry=registry)
    show_made(made, out, as_json)
