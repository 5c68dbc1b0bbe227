from pathlib import Path
from typing import Annotated

import typer

from ticketzoo.cli.options import JsonOption


def register(app: typer.Typer) -> None:
    """Add the command `add`."""
    app.command()(add)


def add(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The ticket's folder, such as runs/NAME/NAME.")],
    registry: Annotated[
        Path | None,
        typer.Option(metavar="DIR", show_default="TICKETZOO_REGISTRY, else registry/ here", help="Where to put it."),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace another ticket of that name there.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Copy a ticket into a registry, where it is found by its name; prints the new folder.

    Example:

        ticketzoo add runs/my-ticket/my-ticket
    """
    from ticketzoo.cli.output import print_json
    from ticketzoo.zoo.add import add_ticket

    added = add_ticket(folder, registry, replace=replace)
    if as_json:
        print_json({"folder": str(added), "ok": True})
    else:
        print(added)
