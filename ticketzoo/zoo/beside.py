"""Notes of what lies beside a ticket and nothing checks: a card that is not there, files and keys of nobody."""

from collections.abc import Collection, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from ticketzoo.ticket.config import TicketConfig
from ticketzoo.ticket.folder import CONFIG_FILE, file_entries
from ticketzoo.ticket.publish import CARD
from ticketzoo.util.text import for_terminal
from ticketzoo.zoo.checks import Check

MOST = 10
"""As many files or keys are named."""

HUB_FILES = (".gitattributes", ".cache")
"""Files that the Hub and its downloads put beside any repository's."""


def check_beside(folder: Path, config: TicketConfig, plots: Collection[str]) -> Iterator[Check]:
    """Note a card that is not there, files that the ticket does not declare, and keys of ticket.json that none reads.

    Args:
        folder: of the ticket.
        config: of ticket.json.
        plots: names of the plots that its rows give.
    """
    if not (folder / CARD).exists():
        yield Check(CARD, "NOTE: there is none")
    elif not (folder / CARD).is_file():
        yield Check(CARD, "NOTE: is no file, and was not compared")
    known = {CONFIG_FILE, CARD, *plots, *HUB_FILES, *file_entries(config)}
    if extra := [*islice(_undeclared(folder, known), MOST + 1)]:
        yield Check(folder.name, f"NOTE: holds what is no part of the ticket: {_listed(extra)}")
    if keys := [*islice(unknown_keys(config), MOST + 1)]:
        yield Check(CONFIG_FILE, f"NOTE: has keys that this version does not know: {_listed(keys)}")


def _undeclared(folder: Path, known: Collection[str], under: str = "") -> Iterator[str]:
    folders = {name.rpartition("/")[0] for name in known}
    for path in sorted((folder / under).iterdir()):
        name = f"{under}{path.name}"
        if name in folders and path.is_dir():
            yield from _undeclared(folder, known, f"{name}/")
        elif name not in known:
            yield name


def unknown_keys(value: Any, where: str = "") -> Iterator[str]:
    """Yield the keys in a part of ticket.json that none of its fields reads, after those that lead there."""
    if isinstance(value, BaseModel):
        yield from (f"{where}{for_terminal(key)[:40]}" for key in value.model_extra or {})
        for name in type(value).model_fields:
            yield from unknown_keys(getattr(value, name), f"{where}{name}.")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from unknown_keys(inner, f"{where}{number}.")
    elif isinstance(value, dict):
        for key, inner in value.items():
            if isinstance(inner, BaseModel):
                yield from unknown_keys(inner, f"{where}{for_terminal(key)[:40]}.")


def _listed(names: list[str]) -> str:
    more = ", ..." if len(names) > MOST else ""
    return ", ".join(for_terminal(name)[:100] for name in names[:MOST]) + more
