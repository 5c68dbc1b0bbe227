"""Commands that look at tickets: list, info, verify."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ticketzoo.cli.options import REGISTRY_DEFAULT, JsonOption, RegistryOption, TicketArgument, VerboseOption

if TYPE_CHECKING:
    from ticketzoo.ticket.files import Files


def register(app: typer.Typer) -> None:
    """Add the commands `list`, `info` and `verify`."""
    app.command("list")(list_tickets)
    app.command()(info)
    app.command()(verify)


def list_tickets(
    registry: Annotated[
        str | None,
        typer.Option(
            "--registry",
            metavar="DIR|hub:OWNER",
            show_default=REGISTRY_DEFAULT,
            help="A folder of tickets, or one of the Hub's owners.",
        ),
    ] = None,
    filters: Annotated[
        list[str] | None,
        typer.Option(
            "--filter", metavar="TEXT", help="Only tickets whose name, architecture, data or verdict contains TEXT."
        ),
    ] = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """List the tickets that there are: those of `registry/` and `runs/` here, and those that come with ticketzoo.

    Examples:

        ticketzoo list --filter fashion

        ticketzoo list --registry runs

        ticketzoo list --registry hub:OWNER
    """
    from ticketzoo.cli.output import quiet_transfers
    from ticketzoo.cli.search import show
    from ticketzoo.zoo.search import Hits, Query, search

    quiet_transfers()
    hits = search(registry, Query(), limit=1000)
    wanted = [text.lower() for text in filters or []]
    shown = [one for one in hits.summaries if all(any(text in value for value in one.searchable) for text in wanted)]
    show(Hits(shown, hits.left_out, hits.where, shared=hits.shared), as_json)


def info(
    ticket: TicketArgument,
    registry: RegistryOption = None,
    effective: Annotated[
        bool, typer.Option("--effective", help="Follow the paths through the masks of a large ticket, too.")
    ] = False,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Say what a ticket is: how sparse, how good, its verdict, its files. No masks or weights are fetched.

    Examples:

        ticketzoo info lenet-300-100.mnist-imp

        ticketzoo info owner/lenet-300-100.mnist-imp
    """
    from ticketzoo.cli.output import console, print_json, quiet_transfers
    from ticketzoo.zoo.summary import read_summary

    quiet_transfers()
    summary = read_summary(_files(ticket, registry), follow_paths=effective)
    if as_json:
        print_json(summary.as_json())
        return
    for line in summary.lines():
        console().print(line, markup=False)


def verify(
    ticket: TicketArgument,
    registry: RegistryOption = None,
    results: Annotated[
        bool, typer.Option(help="Compute verdict, sparsities and the card's numbers again from the ticket's rows.")
    ] = True,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Check a ticket's digests, coverage, nesting, sizes and claims; exit status 1 and the reason if anything is wrong.

    Files of which the same holds share a line; with --verbose each check has one. A NOTE says what is only claimed: a
    verdict without rows, or by a rule that this version does not know, or free text that speaks of results.

    Example:

        ticketzoo verify ./runs/mine/my-ticket
    """
    from ticketzoo.cli.output import print_json, quiet_transfers
    from ticketzoo.finding.method import found_words
    from ticketzoo.ticket.folder import file_entries
    from ticketzoo.zoo.checks import check_lines
    from ticketzoo.zoo.verify import verify_ticket

    quiet_transfers()
    files = _files(ticket, registry)
    for name, entry in file_entries(files.config()).items():
        files.checked(name, entry)
    folder = files.hub or files.folder
    checks = verify_ticket(files.folder, results=results, found_words=found_words)
    if as_json:
        print_json({"ticket": str(folder), "ok": True, "checks": [asdict(check) for check in checks]})
        return
    for line in check_lines(checks, every=verbose):
        print(line)
    print(f"{folder}: verified")


def _files(ticket: str, registry: Path | None) -> "Files":
    """Return the files of a ticket in a folder or on the Hub, where they are fetched when they are asked for."""
    from ticketzoo.hub.options import HubOptions
    from ticketzoo.hub.references import HubReference, parse_reference
    from ticketzoo.ticket.files import Files, hub_files
    from ticketzoo.zoo.places import ticket_folder

    reference = parse_reference(ticket)
    if isinstance(reference, HubReference):
        return hub_files(reference.repo_id, reference.revision, HubOptions())
    return Files(ticket_folder(ticket, registry))
