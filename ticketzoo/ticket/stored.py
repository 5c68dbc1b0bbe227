"""The content of a ticket's files: read when it is asked for, checked when it is read, and read once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any

from torch import Tensor

from ticketzoo.errors import TicketError
from ticketzoo.masks.digests import state_sha256
from ticketzoo.models.pretrained import base_state
from ticketzoo.ticket.base import base_weights
from ticketzoo.ticket.config import (
    RECIPE_FILE,
    RESULTS_FILE,
    BaseRewind,
    Replicate,
    TicketConfig,
)
from ticketzoo.ticket.encoding import read_masks, read_rewind
from ticketzoo.ticket.files import Files
from ticketzoo.ticket.folder import masks_path, rewind_path
from ticketzoo.ticket.levels import PackedLevels
from ticketzoo.ticket.rewind import pack_rewind, unpack_rewind
from ticketzoo.util.strict_json import parse_json


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
    """Everything a ticket holds beside its config: replicates by seed, and its documents by file name.

    `files` are those it is read from; None for a ticket in memory.
    """

    replicates: Mapping[int, StoredReplicate]
    read_document: Callable[[str], bytes | None]
    files: Files | None = None
    read_base: Callable[[], dict[str, Tensor]] | None = None
    """Gives the base model's weights, whole, named as the masks; None where the replicates have their own."""

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


def stored_in(files: Files, config: TicketConfig, *, masks_only: bool = False, base: Path | None = None) -> Stored:
    """Return what the ticket in `files` holds; whatever it gives is checked against `config`, or raises TicketError.

    With `masks_only` the rewind weights need not be there, and asking for them raises TicketError. `base` is a folder
    to read base weights from, instead of the Hub.
    """
    read_base = None
    read_rewind = partial(_read_packed_rewind, files, config)
    if config.rewind.kind == "base":
        read_base = cache(partial(_read_base, files, config, config.rewind, base))
        read_rewind = partial(_pack_base, read_base)
    elif base is not None:
        raise TicketError(f"'{config.name}': has rewind weights of its own, none of a base model: leave out base")
    if masks_only:
        read_base, read_rewind = None, partial(_refuse_rewind, config)
    replicates = {
        replicate.seed: StoredReplicate(
            partial(_read_levels, files, config, replicate, masks_only),
            partial(read_rewind, replicate),
        )
        for replicate in config.replicates
    }
    return Stored(replicates, partial(_read_document, files, config), files, read_base)


def _read_levels(files: Files, config: TicketConfig, replicate: Replicate, masks_only: bool) -> PackedLevels:
    name = masks_path(replicate.seed)
    files.require({name: replicate.files[name]} if masks_only else replicate.files)
    path, where = files.checked(name, replicate.files[name]), files.where(name)
    levels = read_masks(path, where, config.shapes, config.levels)
    if (digest := levels.sha256()) != replicate.mask_sha256:
        raise TicketError(f"{where}: the masks have digest {digest}, but ticket.json says {replicate.mask_sha256}")
    return levels


def _refuse_rewind(config: TicketConfig, replicate: Replicate, levels: PackedLevels) -> dict[str, Tensor]:
    raise TicketError(f"'{config.name}': only its masks were loaded: load it without masks_only to have weights")


def _read_base(files: Files, config: TicketConfig, rewind: BaseRewind, folder: Path | None) -> dict[str, Tensor]:
    found = base_weights(rewind, files.hub_options, folder)
    return base_state(config.architecture.library, config.architecture.name, found.state)


def _pack_base(read: Callable[[], dict[str, Tensor]], replicate: Replicate, levels: PackedLevels) -> dict[str, Tensor]:
    return pack_rewind(read(), levels.masks(levels.densest))


def _read_packed_rewind(
    files: Files, config: TicketConfig, replicate: Replicate, levels: PackedLevels
) -> dict[str, Tensor]:
    name = rewind_path(replicate.seed)
    path, where = files.checked(name, replicate.files[name]), files.where(name)
    packed = read_rewind(path, where, levels)
    if (digest := state_sha256(unpack_rewind(packed, levels, levels.densest))) != replicate.rewind_sha256:
        declared = f"ticket.json says {replicate.rewind_sha256}"
        raise TicketError(f"{where}: the rewind weights have digest {digest}, but {declared}")
    return packed


def _read_document(files: Files, config: TicketConfig, name: str) -> bytes | None:
    entries = {str(known): entry for known, entry in config.files.items()}
    return files.checked(name, entries[name]).read_bytes() if name in entries else None
