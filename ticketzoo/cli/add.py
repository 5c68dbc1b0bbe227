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
    rows: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="results.jsonl of a transfer: its rows on other data join the ticket's; of one made from others, all.",
        ),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace another ticket of that name there.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Copy a ticket into a registry, where it is found by its name; prints the new folder.

    A name means the ticket of a run in runs/ here, if there is one. With --rows the verdict is given of all rows, and
    card and plots are made anew; a ticket that is there already keeps the rows it has.

    Examples:

        ticketzoo add lenet-300-100.mine-imp

        ticketzoo add runs/my-ticket/my-ticket

        ticketzoo add my-ticket --rows runs/my-transfer/results.jsonl
    """
    from ticketzoo.cli.output import print_json, say
    from ticketzoo.zoo.add import add_ticket
    from ticketzoo.zoo.join import add_rows, joined_words

    if rows is not None:
        joined = add_rows(_folder(ticket), rows, registry, replace=replace)
        added, more = joined.folder, {"targets": joined.targets, "added": joined.added, "there": joined.there}
        say(f"{added.name}: {joined_words(joined)}")
    else:
        added, more = add_ticket(_folder(ticket), registry, replace=replace), {}
    if as_json:
        print_json({"folder": str(added), "ok": True, **more})
    else:
        print(added)


def _folder(ticket: str) -> Path:
    """Return the folder of a ticket: one here, or by name, that of a run before others.

    Raises:
        RegistryError: there is none of that name, or it is on the Hub.
    """
    from ticketzoo.errors import RegistryError
    from ticketzoo.hub.references import HubReference, NameReference, parse_reference
    from ticketzoo.zoo.places import RUNS, ticket_folder

    if Path(ticket).expanduser().is_dir():
        return Path(ticket)
    match parse_reference(ticket):
        case HubReference():
            raise RegistryError(f"{ticket}: no such folder here; of a ticket on the Hub, run ticketzoo pull {ticket}")
        case NameReference(name):
            with contextlib.suppress(RegistryError):
                return ticket_folder(name, RUNS)
    return ticket_folder(ticket)
