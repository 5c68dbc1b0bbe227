"""Copying a ticket from the Hub into a folder."""

from pathlib import Path

from ticketzoo.hub.options import HubOptions
from ticketzoo.ticket.files import hub_files
from ticketzoo.zoo.add import copy_ticket
from ticketzoo.zoo.verify import Check


def pull_ticket(
    repo_id: str,
    to: str | Path | None = None,
    *,
    revision: str | None = None,
    replace: bool = False,
    options: HubOptions | None = None,
) -> tuple[Path, list[Check]]:
    """Copy a ticket from the Hub into a folder, completely and verified, or not at all.

    Where the folder has the same ticket, undamaged, nothing changes; a card edited there stays. Returns the folder and
    what was verified.

    Args:
        repo_id: `owner/name`.
        to: the folder. Default: `registry/<name of the ticket>`.
        revision: branch, tag or commit; the main branch by default.
        replace: whether to replace another ticket in the folder.
        options: how to fetch.

    Raises:
        RegistryError: what cannot be fetched, and a folder with another ticket, TicketError for a damaged ticket and a
            folder that holds something else or cannot be written, ModelError for an unknown architecture.
    """
    files = hub_files(repo_id, revision, options or HubOptions())
    folder = Path(to) if to is not None else Path("registry") / files.config().name
    return folder, copy_ticket(files, folder, replace=replace)
