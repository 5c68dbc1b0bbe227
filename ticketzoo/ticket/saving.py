"""Write a ticket into a folder: every level and replicate, its documents, and ticket.json last."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ticketzoo.errors import TicketError
from ticketzoo.ticket.config import RECIPE_FILE, RESULTS_FILE, TicketConfig, check_config
from ticketzoo.ticket.format import CONFIG_FILE, entry_of, is_ours, masks_path, replacing, rewind_path, write_file
from ticketzoo.ticket.stored import Stored
from ticketzoo.ticket.tensor_files import masks_to_bytes, rewind_to_bytes


def save(config: TicketConfig, stored: Stored, folder: Path, extras: Mapping[str, bytes]) -> Path:
    """Write the ticket so that `folder` ever holds all of the old one or all of the new. Returns `folder`."""
    for name in extras:
        if not re.fullmatch(r"\w[\w.-]*", name) or is_ours(name):
            raise TicketError(f"{folder}: '{name}' cannot be the name of an extra file of a ticket")
    content = config.model_dump(mode="json")
    with replacing(folder) as new:
        for replicate in content["replicates"]:
            replicate["files"] = _write_replicate(new, config, stored, replicate["seed"])
        content["files"] = _write_documents(new, stored)
        for name, data in extras.items():
            write_file(new / name, data)
        write_file(new / CONFIG_FILE, check_config(content, str(folder)).to_json().encode())
    return folder


def _write_replicate(folder: Path, config: TicketConfig, stored: Stored, seed: int) -> dict[str, Any]:
    replicate = stored.replicates[seed]
    entries = {masks_path(seed): _write(folder, masks_path(seed), masks_to_bytes(replicate.levels))}
    if config.rewind.kind == "packed":
        entries[rewind_path(seed)] = _write(folder, rewind_path(seed), rewind_to_bytes(replicate.rewind))
    return entries


def _write_documents(folder: Path, stored: Stored) -> dict[str, Any]:
    contents = {name: stored.read_document(name) for name in (RECIPE_FILE, RESULTS_FILE)}
    return {name: _write(folder, name, content) for name, content in contents.items() if content is not None}


def _write(folder: Path, name: str, content: bytes) -> dict[str, Any]:
    write_file(folder / name, content)
    return entry_of(content).model_dump()
