"""Copying a ticket into a registry, where it is found by name."""

import filecmp
from pathlib import Path

from ticketzoo.errors import RegistryError, TicketError
from ticketzoo.ticket.files import Files
from ticketzoo.ticket.folder import CONFIG_FILE, file_entries
from ticketzoo.ticket.publish import extra_files
from ticketzoo.ticket.write import replacing, write_file
from ticketzoo.zoo.places import own_registry
from ticketzoo.zoo.verify import verify_ticket


def add_ticket(folder: str | Path, registry: str | Path | None = None, *, replace: bool = False) -> Path:
    """Copy the ticket in `folder` into a registry, under its name, completely and verified, or not at all.

    Returns the new folder. Adding the same ticket again changes nothing, unless the copy there is damaged.

    Args:
        folder: of the ticket, such as `runs/NAME/NAME`.
        registry: by default `$TICKETZOO_REGISTRY`, else `registry/` in the current folder; made where there is none.
        replace: whether to replace another ticket of that name there.

    Raises:
        TicketError: the ticket is damaged, or the registry cannot be written.
        RegistryError: the registry has another ticket of that name.
    """
    files = Files(Path(folder).expanduser().absolute())
    config = files.config()
    to = (own_registry() if registry is None else Path(registry).expanduser()) / config.name
    if (to / CONFIG_FILE).is_file() and not replace:
        if not filecmp.cmp(files.folder / CONFIG_FILE, to / CONFIG_FILE, shallow=False):
            raise RegistryError(f"{to}: another ticket has that name; --replace puts this one in its place")
        if _is_whole(to):
            return to
    with replacing(to) as new:
        for name, entry in file_entries(config).items():
            write_file(new / name, files.checked(name, entry).read_bytes())
        for name, content in extra_files(files).items():
            write_file(new / name, content)
        write_file(new / CONFIG_FILE, (files.folder / CONFIG_FILE).read_bytes())
        verify_ticket(new)
    return to


def _is_whole(folder: Path) -> bool:
    try:
        verify_ticket(folder)
    except TicketError:
        return False
    return True
