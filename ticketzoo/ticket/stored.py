"""What a ticket's files hold, read when it is asked for, checked when it is read, and read once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from torch import Tensor

from ticketzoo.errors import TicketError
from ticketzoo.ticket.config import RECIPE_FILE, RESULTS_FILE, Replicate, TicketConfig
from ticketzoo.ticket.digests import state_sha256
from ticketzoo.ticket.format import check_file, check_sizes, masks_path, rewind_path
from ticketzoo.ticket.packed import PackedLevels, unpack_rewind
from ticketzoo.ticket.strict_json import parse_json
from ticketzoo.ticket.tensor_files import read_masks, read_rewind


@dataclass(frozen=True)
class StoredReplicate:
    """Masks and rewind weights of one seed."""

    read_levels: Callable[[], PackedLevels]
    read_rewind: Callable[[PackedLevels], dict[str, Tensor]]

    @cached_property
    def levels(self) -> PackedLevels:
        """The masks of every packaged level."""
        return self.read_levels()

    @cached_property
    def rewind(self) -> dict[str, Tensor]:
        """The rewind weights as `pack_rewind` gives them."""
        return self.read_rewind(self.levels)


@dataclass(frozen=True)
class Stored:
    """Everything a ticket holds beside its config: replicates by seed, and its documents by file name."""

    replicates: Mapping[int, StoredReplicate]
    read_document: Callable[[str], bytes | None]

    @cached_property
    def recipe_text(self) -> str | None:
        """The recipe that made the ticket, as YAML; None when it has none."""
        text = self.read_document(RECIPE_FILE)
        return None if text is None else text.decode(errors="replace")

    @cached_property
    def results(self) -> list[dict[str, Any]]:
        """Every measured number, a dict each."""
        lines = (self.read_document(RESULTS_FILE) or b"").splitlines()
        rows = [parse_json(line, f"{RESULTS_FILE} line {number}") for number, line in enumerate(lines, 1)]
        for number, row in enumerate(rows, 1):
            if not isinstance(row, dict):
                raise TicketError(f"{RESULTS_FILE} line {number}: must be a JSON object")
        return rows


def stored_in(folder: Path, config: TicketConfig) -> Stored:
    """What the ticket in `folder` holds; whatever it gives is checked against `config`, or raises TicketError."""
    replicates = {
        replicate.seed: StoredReplicate(
            partial(_read_levels, folder, config, replicate), partial(_read_rewind, folder, config, replicate)
        )
        for replicate in config.replicates
    }
    return Stored(replicates, partial(_read_document, folder, config))


def _read_levels(folder: Path, config: TicketConfig, replicate: Replicate) -> PackedLevels:
    check_sizes(folder, replicate)
    name = masks_path(replicate.seed)
    path = check_file(folder, name, replicate.files[name])
    levels = read_masks(path, str(path), config.shapes, config.levels)
    if (digest := levels.sha256()) != replicate.mask_sha256:
        raise TicketError(f"{path}: the masks have digest {digest}, but ticket.json says {replicate.mask_sha256}")
    return levels


def _read_rewind(folder: Path, config: TicketConfig, replicate: Replicate, levels: PackedLevels) -> dict[str, Tensor]:
    if config.rewind.kind == "base":
        base = f"{config.rewind.repo_id} at {config.rewind.revision}"
        raise TicketError(f"{folder}: rewinds to the weights of {base}, which this ticketzoo cannot fetch: upgrade")
    name = rewind_path(replicate.seed)
    path = check_file(folder, name, replicate.files[name])
    packed = read_rewind(path, str(path), levels)
    if (digest := state_sha256(unpack_rewind(packed, levels, levels.densest))) != replicate.rewind_sha256:
        declared = f"ticket.json says {replicate.rewind_sha256}"
        raise TicketError(f"{path}: the rewind weights have digest {digest}, but {declared}")
    return packed


def _read_document(folder: Path, config: TicketConfig, name: str) -> bytes | None:
    entries = {str(known): entry for known, entry in config.files.items()}
    return check_file(folder, name, entries[name]).read_bytes() if name in entries else None
