"""Copying a ticket into a folder, or into a registry, where it is found by name."""

import contextlib
import filecmp
import logging
from pathlib import Path

from ticketzoo.errors import RegistryError, TicketError
from ticketzoo.ticket.files import Files
from ticketzoo.ticket.folder import CONFIG_FILE, file_entries
from ticketzoo.ticket.publish import extra_files
from ticketzoo.ticket.write import replacing, write_file
from ticketzoo.zoo.places import own_registry
from ticketzoo.zoo.verify import Check, verify_ticket

_log = logging.getLogger("ticketzoo")


def add_ticket(folder: str | Path, registry: str | Path | None = None, *, replace: bool = False) -> Path:
    """Copy the ticket in `folder` into a registry, under its name, completely and verified, or not at all.

    Returns the new folder. Adding the same ticket again changes nothing, unless the copy there is damaged;
    a card and plots that were edited there stay.

    Args:
        folder: of the ticket, such as `runs/NAME/NAME`.
        registry: by default `$TICKETZOO_REGISTRY`, else `registry/` in the current folder; made where there is none.
        replace: whether to replace another ticket of that name there.

    Raises:
        TicketError: the ticket is damaged, or the registry cannot be written.
        RegistryError: the registry has another ticket of that name.
    """
    files = Files(Path(folder).expanduser().absolute())
    to = (own_registry() if registry is None else Path(registry).expanduser()) / files.config().name
    copy_ticket(files, to, replace=replace)
    return to


def copy_ticket(files: Files, to: Path, *, replace: bool) -> list[Check]:
    """Copy a ticket with its card and plots into the folder `to`, completely and verified, or not at all.

    Where that has the same ticket nothing changes, unless a file that ticket.json lists is damaged: a card or plot that
    says something else may be the user's own, and is warned of. Returns what was verified.

    Args:
        files: of the ticket, in a folder or on the Hub.
        to: the folder.
        replace: whether to replace another ticket there.

    Raises:
        TicketError: the ticket is damaged, or `to` holds something else than a ticket, or cannot be written.
        RegistryError: there is another ticket, or a file cannot be fetched.
    """
    config = files.config()
    if (to / CONFIG_FILE).is_file() and not replace:
        if not filecmp.cmp(files.folder / CONFIG_FILE, to / CONFIG_FILE, shallow=False):
            raise RegistryError(f"{to}: holds another ticket; --replace puts this one in its place")
        with contextlib.suppress(TicketError):
            return _verified_as_it_is(to)
    paths = {name: files.checked(name, entry) for name, entry in file_entries(config).items()}
    extras = {name: content for name, content in extra_files(files).items() if replace or not (to / name).exists()}
    with replacing(to) as new:
        for name, path in paths.items():
            write_file(new / name, path.read_bytes())
        for name, content in extras.items():
            write_file(new / name, content)
        write_file(new / CONFIG_FILE, (files.folder / CONFIG_FILE).read_bytes())
        return verify_ticket(new)


def _verified_as_it_is(folder: Path) -> list[Check]:
    """Verify a ticket, but warn of a card or plot that it disputes. Raises TicketError for any other damage."""
    sound = verify_ticket(folder, results=False)
    try:
        return verify_ticket(folder)
    except TicketError as disputed:
        _log.warning("%s; %s stays as it is: --replace copies the ticket there again", disputed, folder)
        return sound
