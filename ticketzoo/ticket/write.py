"""Writing a ticket into a folder: all of it, or nothing."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ticketzoo.errors import TicketError
from ticketzoo.ticket.config import RECIPE_FILE, RESULTS_FILE, TicketConfig, check_config
from ticketzoo.ticket.folder import (
    CONFIG_FILE,
    entry_of,
    is_ours,
    masks_path,
    replacing,
    replicate_paths,
    rewind_path,
    values_path,
    write_file,
)
from ticketzoo.ticket.masks_file import masks_to_bytes
from ticketzoo.ticket.state_file import states_to_bytes
from ticketzoo.ticket.stored import Stored, StoredReplicate


def save(config: TicketConfig, stored: Stored, folder: Path, extras: Mapping[str, bytes]) -> Path:
    """Write the ticket so that `folder` ever holds all of the old one or all of the new. Returns `folder`."""
    for name in extras:
        if not re.fullmatch(r"\w[\w.-]*", name) or is_ours(name):
            raise TicketError(f"{folder}: '{name}' cannot be the name of an extra file of a ticket")
    content = config.model_dump(mode="json")
    with replacing(folder) as new:
        for replicate in content["replicates"]:
            seed = replicate["seed"]
            replicate["files"] = {
                path: _write(new, path, _content(config, stored.replicates[seed], seed, path))
                for path in replicate_paths(config, seed)
            }
        documents = {name: stored.read_document(name) for name in (RECIPE_FILE, RESULTS_FILE, *config.files)}
        content["files"] = {name: _write(new, name, held) for name, held in documents.items() if held is not None}
        for name, data in extras.items():
            write_file(new / name, data)
        write_file(new / CONFIG_FILE, check_config(content, str(folder)).to_json().encode())
    return folder


def _content(config: TicketConfig, replicate: StoredReplicate, seed: int, path: str) -> bytes:
    if path == masks_path(seed):
        return masks_to_bytes(replicate.levels)
    if path == rewind_path(seed):
        return states_to_bytes(replicate.rewind, config.rewind.kind)
    assert path == values_path(seed)
    return states_to_bytes(replicate.values, "packed")


def _write(folder: Path, name: str, content: bytes) -> dict[str, Any]:
    write_file(folder / name, content)
    return entry_of(content).model_dump()
