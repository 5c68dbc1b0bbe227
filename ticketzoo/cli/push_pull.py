from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ticketzoo.cli.options import JsonOption, RegistryOption, TicketArgument, VerboseOption


def register(app: typer.Typer) -> None:
    """Add the commands `push` and `pull`."""
    app.command()(push)
    app.command()(pull)


def push(
    ticket: TicketArgument,
    repo_id: Annotated[
        str, typer.Argument(metavar="REPO_ID", help="owner/name on the Hub; created if it does not exist.")
    ],
    private: Annotated[bool, typer.Option("--private", help="Make it private; refuse a public one.")] = False,
    create_pr: Annotated[bool, typer.Option("--create-pr", help="Open a pull request instead.")] = False,
    revision: Annotated[
        str | None, typer.Option(metavar="BRANCH", help="Branch to push to; created if it does not exist.")
    ] = None,
    message: Annotated[str | None, typer.Option(help="Of the commit.", show_default="Publish ticket")] = None,
    replace_card: Annotated[
        bool, typer.Option("--replace-card", help="Overwrite a README.md that was edited on the Hub.")
    ] = False,
    registry: RegistryOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Publish a ticket on the Hub, in one commit; prints the commit's address.

    The same ticket again makes no new commit. Log in first, with `hf auth login` or HF_TOKEN.

    Examples:

        ticketzoo push lenet-300-100.mnist-imp owner/lenet-300-100.mnist-imp

        ticketzoo push ./runs/mine/my-ticket owner/digits --private
    """
    from ticketzoo.cli.output import print_json, quiet_transfers, say
    from ticketzoo.ticket import Ticket
    from ticketzoo.zoo.effective import card_of
    from ticketzoo.zoo.places import ticket_folder

    quiet_transfers()
    folder = ticket_folder(_folder_first(ticket), registry)
    loaded = Ticket.from_pretrained(folder)
    card = None
    if not (folder / "README.md").is_file():
        card = card_of(loaded)
    published = loaded.push_to_hub(
        repo_id,
        private=private or None,
        revision=revision,
        create_pr=create_pr,
        commit_message=message,
        card=card,
        replace_card=replace_card,
    )
    if published.card_kept:
        note = "README.md was edited there and is kept; --replace-card overwrites it"
        say(f"ticketzoo: hub:{repo_id}: {note}")
    if not published.changed:
        say(f"ticketzoo: hub:{repo_id}: holds this ticket already")
    if as_json:
        print_json(asdict(published))
    else:
        print(published.url)


def pull(
    repo_id: Annotated[str, typer.Argument(metavar="REPO_ID[@REVISION]", help="owner/name, at a branch or commit.")],
    to: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The folder to write.", show_default="registry/ and its name"),
    ] = None,
    force: Annotated[bool, typer.Option("--force-download", help="Fetch again what is in the cache.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Replace another ticket in the folder.")] = False,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Copy a ticket from the Hub into a folder, completely and verified, or not at all; prints the folder.

    Examples:

        ticketzoo pull owner/lenet-300-100.mnist-imp

        ticketzoo pull owner/lenet-300-100.mnist-imp@v1 --to copy
    """
    from ticketzoo.cli.output import print_json, quiet_transfers
    from ticketzoo.hub.options import HubOptions
    from ticketzoo.hub.references import hub_reference
    from ticketzoo.zoo.pull import pull_ticket

    quiet_transfers()
    reference = hub_reference(repo_id)
    folder, checks = pull_ticket(
        reference.repo_id,
        to,
        revision=reference.revision,
        replace=replace,
        options=HubOptions(force_download=force),
    )
    if as_json:
        print_json({"folder": str(folder), "ok": True, "checks": len(checks)})
    else:
        print(folder)


def _folder_first(ticket: str) -> str:
    """Return `registry/NAME` of the current folder as a folder: what is pushed is local."""
    return f"./{ticket}" if Path(ticket, "ticket.json").is_file() and not ticket.startswith(("/", ".", "~")) else ticket
