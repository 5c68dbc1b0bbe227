"""Tickets made from others, held against these where they are at hand."""

import os
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path

from ticketzoo.deriving.again import check_of
from ticketzoo.errors import ModelError, TicketError
from ticketzoo.hub.push import CARD
from ticketzoo.ticket.config import TicketConfig
from ticketzoo.ticket.fields import Parent
from ticketzoo.ticket.folder import CONFIG_FILE, read_config
from ticketzoo.ticket.ticket import Ticket
from ticketzoo.util.text import for_terminal
from ticketzoo.zoo.checks import Check
from ticketzoo.zoo.effective import card_of
from ticketzoo.zoo.places import registries, ticket_folders


def check_derived(folder: Path, config: TicketConfig) -> Iterator[Check]:
    """Make a derived ticket again of its parents, which are looked for beside it and where names are looked up.

    Yields:
        what holds, or a note where a parent is not at hand or this version does not know the way.

    Raises:
        TicketError: its parents make something else.
    """
    derived = config.derived
    if derived is None:
        return
    check = check_of(config)
    if check is None:
        yield Check(CONFIG_FILE, f"NOTE: made from others by {for_terminal(derived.method)}: that is only claimed")
        return
    parents = [parent_in(folder, one) for one in derived.parents]
    if None in parents:
        missing = derived.parents[parents.index(None)]
        said = f"{for_terminal(missing.name)} (masks {missing.mask_sha256[:12]}) is not at hand"
        yield Check(CONFIG_FILE, f"NOTE: made from others by {derived.method}: that is only claimed, as {said}")
        return
    try:
        loaded = [Ticket.from_pretrained(one) for one in parents if one]
        weights = check(Ticket.from_pretrained(folder), loaded)
    except (TicketError, ModelError) as error:
        raise TicketError(f"{folder / CONFIG_FILE}: {error}") from None
    also = ", its rewind weights theirs" if weights else ""
    yield Check(CONFIG_FILE, f"masks are those that its parents give by {derived.method}{also}")


def save_derived(made: Ticket, out: Path) -> None:
    """Save a derived ticket with its card in the folder `out`; where it is there already nothing is done.

    Raises:
        TicketError: the folder holds anything else, or cannot be written.
    """
    if not os.path.lexists(out):
        made.save_pretrained(out, extras={CARD: card_of(made).encode()})
        return
    there = read_config(out) if (out / CONFIG_FILE).is_file() else None
    key = attrgetter("name", "mask_sha256", "derived")
    if there is None or key(there) != key(made.config):
        raise TicketError(f"{out}: exists: choose another folder")


def parent_in(folder: Path, parent: Parent) -> Path | None:
    """Return the folder of a parent, by its name and the digest of its masks; None where there is none."""
    beside = [one for one in folder.parent.iterdir() if one.name == parent.name and (one / CONFIG_FILE).is_file()]
    for one in (*beside, *_looked_up(parent.name)):
        if one.samefile(folder):  # a ticket that names itself proves nothing
            continue
        try:
            config = read_config(one)
        except TicketError:
            continue
        if (config.name, config.mask_sha256) == (parent.name, parent.mask_sha256):
            return one
    return None


def _looked_up(name: str) -> Iterator[Path]:
    """Yield the folders of that name where names are looked up."""
    for place in registries():
        if place.is_dir():
            yield from (folder for folder in ticket_folders(place) if folder.name == name)
