"""Publishing a ticket on the Hub, whole, with its card and plots."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from ticketzoo.errors import RegistryError, TicketError
from ticketzoo.hub.push import Destination, Published, publish
from ticketzoo.hub.references import HubReference, parse_reference
from ticketzoo.ticket.card import render_card
from ticketzoo.ticket.card_metadata import tags
from ticketzoo.ticket.config import TicketConfig
from ticketzoo.ticket.files import Files
from ticketzoo.ticket.folder import CONFIG_FILE, file_entries
from ticketzoo.ticket.stored import Stored
from ticketzoo.ticket.write import save
from ticketzoo.util.text import for_terminal

CARD = "README.md"
MAX_CARD_BYTES, MAX_PLOT_BYTES = 10 * 2**20, 10 * 2**20
_PLOT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}\.png")


def push(config: TicketConfig, stored: Stored, to: Destination, card: str | None) -> Published:
    """Publish a ticket. `card` is the text of README.md; else the one in its folder, else what ticket.json says."""
    reference = parse_reference(f"hub:{to.repo_id}")
    if not isinstance(reference, HubReference) or reference.revision:
        raise RegistryError(f"{to.repo_id!r} is not a Hub id: write owner/name, and the branch as revision")
    with _on_disk(config, stored) as files:
        contents: dict[str, Path | bytes] = {CONFIG_FILE: files.folder / CONFIG_FILE}
        for name, entry in file_entries(files.config()).items():
            contents[name] = files.checked(name, entry)
        beside = extra_files(files)
        text = card if card is not None else beside.pop(CARD, b"").decode() or render_card(config, None)
        named, published = (f"load_ticket({json.dumps(name)}" for name in (config.name, to.repo_id))
        contents |= {**beside, CARD: _findable(text.replace(named, published), config).encode()}
        return publish(contents, to)


def _findable(card: str, config: TicketConfig) -> str:
    """Return the card with the tags that search needs, also where someone else has written it."""
    from huggingface_hub import ModelCard

    try:
        parsed = ModelCard(card)
    except (ValueError, TypeError, yaml.YAMLError) as error:
        problem = for_terminal(error)[:300]
        raise TicketError(f"'{config.name}': {CARD}: its metadata cannot be read: {problem}") from None
    data: Any = parsed.data
    has = data.tags if isinstance(data.tags, list) else []
    needed = tags(config)
    if data.library_name == "ticketzoo" and set(needed) <= set(has):
        return card
    data.library_name, data.tags = "ticketzoo", list(dict.fromkeys([*has, *needed]))
    return str(parsed)


def extra_files(files: Files) -> dict[str, bytes]:
    """Return the card and the plots beside a ticket, by name."""
    if files.hub is None:
        found = [path for path in sorted(files.folder.iterdir()) if path.is_file() and not path.is_symlink()]
        return {path.name: path.read_bytes() for path in found if path.name == CARD or _PLOT.fullmatch(path.name)}
    limits = {name: MAX_PLOT_BYTES for name in files.hub.names() if _PLOT.fullmatch(name)}
    limits |= {CARD: MAX_CARD_BYTES} if files.hub.has(CARD) else {}
    return {name: files.hub.path(name, at_most=limit).read_bytes() for name, limit in limits.items()}


@contextmanager
def _on_disk(config: TicketConfig, stored: Stored) -> Iterator[Files]:
    """Give the files of a ticket, written for the time of the block if it was in memory only."""
    if stored.files is not None:
        yield stored.files
        return
    with TemporaryDirectory() as folder:
        yield Files(save(config, stored, Path(folder, "ticket"), {}))
