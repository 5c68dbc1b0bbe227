"""The network that a ticket was made of: its config.json and the names in its files, or its name in a library."""

from typing import Any, TypeVar

from ticketzoo.errors import TicketError
from ticketzoo.ticket.config import EXTRA
from ticketzoo.ticket.contents import Contents
from ticketzoo.util.strict_json import parse_json

T = TypeVar("T")

CONFIG, NAMES = "config.json", "names.json"
"""Further files of tickets of `transformers` models: the model's config.json, and how it names its tensors."""
NETWORK = "network.json"
"""Further file of tickets of brought networks of torchvision and timm: library, name and arguments."""


def config_of(ticket: Contents) -> bytes:
    """Return the config.json of a ticket's network. Raises TicketError where it has none."""
    if f"{EXTRA}/{CONFIG}" not in ticket.config.files:
        how = "a ticket has one that is made of a transformers model or its folder; export it as state-dict"
        raise TicketError(f"'{ticket.name}' knows no {CONFIG}: {how}")
    return ticket.read_file(CONFIG)


def names_there(ticket: Contents, named: dict[str, T]) -> dict[str, T]:
    """Return `named`, by the ticket's names, under those of the network's own files."""
    if f"{EXTRA}/{NAMES}" not in ticket.config.files:
        return named
    stated: Any = parse_json(ticket.read_file(NAMES), f"'{ticket.name}': {NAMES}")
    prefix, outside = (stated.get("prefix"), stated.get("outside")) if isinstance(stated, dict) else (None, None)
    if not isinstance(prefix, str) or not isinstance(outside, list):
        raise TicketError(f"'{ticket.name}': {NAMES} does not state a prefix and the names outside it")
    return {name if name in outside else prefix + name: one for name, one in named.items()}
