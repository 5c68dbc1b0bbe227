"""Another ticket where a run's is to be written: it is kept beside."""

import hashlib
import re
from pathlib import Path

from ticketzoo.errors import TicketError
from ticketzoo.ticket import Ticket
from ticketzoo.ticket.folder import CONFIG_FILE

_KEPT = re.compile(r"\.[0-9a-f]{8}$")


def keep_another(folder: Path, ticket: Ticket) -> Path | None:
    """Rename the ticket in `folder` unless it has the masks and the recipe of `ticket`; return its new folder.

    That is `<folder>.<first digits of the sha256 of its ticket.json>`.

    Raises:
        TicketError: it cannot be renamed.
    """
    if not (folder / CONFIG_FILE).is_file() or _is_like(folder, ticket):
        return None
    digest = hashlib.sha256((folder / CONFIG_FILE).read_bytes()).hexdigest()
    kept = folder.with_name(f"{folder.name}.{digest[:8]}")
    if (kept / CONFIG_FILE).is_file():  # the same one, found again
        return kept
    try:
        return folder.rename(kept)
    except OSError as error:
        raise TicketError(f"{folder}: cannot be kept as {kept}: {error.strerror}") from None


def kept_of(name: str) -> str | None:
    """Return the name of the ticket that one of this name was kept beside; None if it is no name of `keep_another`."""
    return _KEPT.sub("", name) if _KEPT.search(name) else None


def _is_like(folder: Path, ticket: Ticket) -> bool:
    try:
        other = Ticket.from_pretrained(folder, masks_only=True)
        return (other.config.mask_sha256, other.recipe_text) == (ticket.config.mask_sha256, ticket.recipe_text)
    except TicketError:
        return False
