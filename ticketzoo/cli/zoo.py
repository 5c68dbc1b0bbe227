"""Commands that look at tickets: list, info, verify."""

from dataclasses import asdict
from typing import Annotated

import typer

from ticketzoo.cli.options import JsonOption, RegistryOption, TicketArgument


def register(app: typer.Typer) -> None:
    """Add the commands `list`, `info` and `verify`."""
    app.command("list")(list_tickets)
    app.command()(info)
    app.command()(verify)


def list_tickets(
    registry: RegistryOption = None,
    filters: Annotated[
        list[str] | None,
        typer.Option(
            "--filter", metavar="TEXT", help="Only tickets whose name, architecture, data or verdict contains TEXT."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the tickets of a registry.

    Example:

        ticketzoo list --filter fashion
    """
    from rich.table import Table

    from ticketzoo.cli.output import console, print_json
    from ticketzoo.registry import default_registry, ticket_folders
    from ticketzoo.transfer.summary import COLUMNS, read_summary

    folder = registry or default_registry()
    summaries = [read_summary(path) for path in ticket_folders(folder)]
    wanted = [text.lower() for text in filters or []]
    summaries = [
        summary for summary in summaries if all(any(text in value for value in summary.searchable) for text in wanted)
    ]
    if as_json:
        print_json([summary.as_json() for summary in summaries])
        return
    table = Table(*COLUMNS)
    for summary in summaries:
        table.add_row(*summary.cells())
    console().print(table if summaries else f"no such tickets in {folder}")


def info(ticket: TicketArgument, registry: RegistryOption = None, as_json: JsonOption = False) -> None:
    """Say what a ticket is: how sparse, how good, its verdict, its files.

    Example:

        ticketzoo info lenet-300-100.mnist-imp
    """
    from ticketzoo.cli.output import console, print_json
    from ticketzoo.registry import ticket_folder
    from ticketzoo.transfer.summary import read_summary

    summary = read_summary(ticket_folder(ticket, registry))
    if as_json:
        print_json(summary.as_json())
        return
    for line in summary.lines():
        console().print(line, markup=False)


def verify(ticket: TicketArgument, registry: RegistryOption = None, as_json: JsonOption = False) -> None:
    """Check a ticket's digests, coverage, nesting and sizes; exit status 1 and the reason if anything is wrong.

    Example:

        ticketzoo verify ./runs/quickstart/lenet-300-100.digits-0-4-imp
    """
    from ticketzoo.cli.output import print_json
    from ticketzoo.registry import ticket_folder
    from ticketzoo.ticket import verify_ticket

    folder = ticket_folder(ticket, registry)
    checks = verify_ticket(folder)
    if as_json:
        print_json({"ticket": str(folder), "ok": True, "checks": [asdict(check) for check in checks]})
        return
    for check in checks:
        print(f"ok  {check}")
    print(f"{folder}: verified")
