from pathlib import Path
from typing import Annotated

import typer

from ticketzoo.cli.options import JsonOption, VerboseOption


def register(app: typer.Typer) -> None:
    """Add the command `site`."""
    app.command()(site)


def site(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the pages; a gallery there is replaced.")],
    registry: Annotated[
        list[str] | None,
        typer.Option(
            "--registry",
            metavar="DIR|hub:OWNER",
            help="A folder of tickets, or one of the Hub's owners; repeatable.",
            show_default="registry/ here, or what TICKETZOO_REGISTRY says; without it runs/ and the shipped tickets",
        ),
    ] = None,
    title: Annotated[str | None, typer.Option(help="Name at the top of each page.", show_default="Ticket zoo")] = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Write a gallery: static pages of tickets with their numbers, intervals, controls and rows.

    OUT/index.html opens in a browser as it is, from a disk or any web server. No masks and weights are fetched. A
    damaged ticket is named and left out.

    Examples:

        ticketzoo site public

        ticketzoo site public --registry registry --registry hub:OWNER --title "Our tickets"
    """
    from ticketzoo.api.site import TITLE
    from ticketzoo.api.site import site as write
    from ticketzoo.cli.output import print_json, quiet_transfers, say
    from ticketzoo.util.text import counted, for_terminal, show_bytes

    quiet_transfers()
    made = write(out, registry or None, title=TITLE if title is None else title)
    for reason in made.left_out:
        say(f"ticketzoo: left out: {for_terminal(reason)}")
    if not made.tickets:
        say("ticketzoo: no ticket was found: --registry names a folder whose folders are tickets")
    if as_json:
        document = {"index": str(made.index), "tickets": made.tickets, "left_out": made.left_out, "bytes": made.bytes}
        print_json(document)
        return
    print(f"{made.index}: {counted(len(made.tickets), 'ticket')}, {show_bytes(made.bytes)}")
