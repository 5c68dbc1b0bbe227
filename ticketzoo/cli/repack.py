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
        str, typer.Option(metavar="ENCODING", help="range, which takes the fewest bytes, or bits, the usual one.")
    ],
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The new folder.", show_default="<its name>-ENCODING")
    ] = None,
    registry: RegistryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy a ticket into a new folder with its masks encoded in another way; prints the folder.

    Masks, weights, results and all other documents stay as they are. Releases of ticketzoo before this encoding refuse
    it in one line.

    Examples:

        ticketzoo repack lenet-300-100.mnist-imp --encoding range

        ticketzoo repack ./runs/mine/mine --encoding range --out smaller
    """
    from ticketzoo.cli.output import print_json, say
    from ticketzoo.zoo.repack import repack_ticket

    made = repack_ticket(ticket, encoding, out, registry=registry)
    if as_json:
        print_json({"folder": str(made.folder), "ok": True, "mask_bytes": made.after, "mask_bytes_before": made.before})
    else:
        say(f"ticketzoo: masks: {made.after:,} bytes; before: {made.before:,}")
        print(made.folder)
