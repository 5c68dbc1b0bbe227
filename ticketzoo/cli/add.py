import contextlib
from pathlib import Path
from typing import Annotated

import typer

from ticketzoo.cli.options import JsonOption


def register(app: typer.Typer) -> None:
    """Add the command `add`."""
    app.command()(add)


def add(
    ticket: Annotated[str, typer.Argument(metavar="TICKET", help="Its name, or its folder, such as runs/NAME/NAME.")],
    registry: Annotated[
        Path | None,
        typer.Option(metavar="DIR", show_default="TICKETZOO_REGISTRY, else registry/ here", help="Where to put it."),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace another ticket of that name there.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Copy a ticket into a registry, where it is found by its name; prints the new folder.

    A name means the ticket of a run in runs/ here, if there is one.

    Examples:

        ticketzoo add lenet-300-100.mine-imp

        ticketzoo add runs/my-ticket/my-ticket
    """
    from ticketzoo.cli.output import print_json
    from ticketzoo.zoo.add import add_ticket

    added = add_ticket(_folder(ticket), registry, replace=replace)
    if as_json:
        print_json({"folder": str(added), "ok": True})
    else:
        print(added)


def _folder(ticket: str) -> Path:
    """Return the folder of a ticket: one here, or by name, that of a run before others.

    Raises:
        RegistryError: there is none of that name, or it is on the Hub.
    """
    from ticketzoo.errors import RegistryError
    from ticketzoo.hub.references import HubReference, NameReference, parse_reference
    from ticketzoo.zoo import ticket_folder
    from ticketzoo.zoo.places import RUNS

    if Path(ticket).expanduser().is_dir():
        return Path(ticket)
    match parse_reference(ticket):
        case HubReference():
            raise RegistryError(f"{ticket}: no such folder here; of a ticket on the Hub, run ticketzoo pull {ticket}")
        case NameReference(name):
            with contextlib.suppress(RegistryError):
                return ticket_folder(name, RUNS)
    return ticket_folder(ticket)
