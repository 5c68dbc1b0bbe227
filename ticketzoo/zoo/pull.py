"""Copying a ticket from the Hub into a folder."""

from pathlib import Path

from ticketzoo.hub.options import HubOptions
from ticketzoo.ticket.files import hub_files
from ticketzoo.ticket.folder import CONFIG_FILE, file_entries
from ticketzoo.ticket.publish import extra_files
from ticketzoo.ticket.write import replacing, write_file
from ticketzoo.zoo.verify import Check, verify_ticket


def pull_ticket(
    repo_id: str, to: str | Path | None = None, *, revision: str | None = None, options: HubOptions | None = None
) -> tuple[Path, list[Check]]:
    """Copy a ticket from the Hub into a folder, completely and verified, or not at all.

    Returns the folder and what was verified.

    Args:
        repo_id: `owner/name`.
        to: the folder; a ticket there is replaced. Default: `registry/<name of the ticket>`.
        revision: branch, tag or commit; the main branch by default.
        options: how to fetch.

    Raises:
        RegistryError: what cannot be fetched, TicketError for a damaged ticket and a folder that holds something
            else or cannot be written, ModelError for an unknown architecture.
    """
    files = hub_files(repo_id, revision, options or HubOptions())
    config = files.config()
    folder = Path(to) if to is not None else Path("registry") / config.name
    entries = file_entries(config)
    paths = {name: files.checked(name, entry) for name, entry in entries.items()}
    extras = extra_files(files)
    with replacing(folder) as new:
        for name, path in paths.items():
            write_file(new / name, path.read_bytes())
        for name, content in extras.items():
            write_file(new / name, content)
        write_file(new / CONFIG_FILE, (files.folder / CONFIG_FILE).read_bytes())
        checks = verify_ticket(new)
    return folder, checks
