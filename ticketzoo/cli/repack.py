from pathlib import Path
from typing import Annotated

import typer

from ticketzoo.cli.options import JsonOption, RegistryOption, TicketArgument


def register(app: typer.Typer) -> None:
    """Add the command `repack`."""
    app.command()(repack)


def repack(
    ticket: TicketArgument,
    encoding: Annotated[
        str | None,
        typer.Option(
            metavar="ENCODING",
            help="Of the masks: range, which takes the fewest bytes, or bits, the usual one.",
            show_default="as they are",
        ),
    ] = None,
    rewind: Annotated[
        str | None,
        typer.Option(
            metavar="KIND",
            help="Of start weights that are the initialisation: seed leaves them out; loading draws them again.",
            show_default="as they are",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="DIR", help="The new folder.", show_default="its name, -ENCODING or -seed"),
    ] = None,
    registry: RegistryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy a ticket into a smaller folder; prints the folder.

    Masks are encoded in another way, and start weights that are the initialisation left to their seed. Masks, weights,
    results and all other documents stay as they are. Releases of ticketzoo that do not know the encoding or kind
    refuse the copy in one line. What PyTorch draws depends on the processor's instructions: where a seed draws other
    start weights the ticket is refused when they are asked for, so keep them in tickets for others.

    Examples:

        ticketzoo repack lenet-300-100.mnist-imp --encoding range

        ticketzoo repack ./runs/mine/mine --encoding range --out smaller

        ticketzoo repack ./runs/mine/mine --encoding range --rewind seed --out smallest
    """
    from ticketzoo.cli.output import print_json, say
    from ticketzoo.zoo.repack import repack_ticket

    if encoding is None and rewind is None:
        raise typer.BadParameter("say what is stored in another way: --encoding range, --rewind seed, or both")
    made = repack_ticket(ticket, encoding, out, rewind=rewind, registry=registry)
    if as_json:
        print_json({"folder": str(made.folder), "ok": True, "bytes": made.after, "bytes_before": made.before})
    else:
        say(f"ticketzoo: masks and weights: {made.after:,} bytes; before: {made.before:,}")
        print(made.folder)
