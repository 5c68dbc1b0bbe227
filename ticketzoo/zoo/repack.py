"""Copying a ticket with its masks encoded anew, or with its start weights given by their seed."""

import os
from pathlib import Path
from typing import Any, NamedTuple

from ticketzoo.errors import TicketError
from ticketzoo.seeds import derive_seed
from ticketzoo.ticket.card_kinds import rewind_fact
from ticketzoo.ticket.config import MASKS_FILE, REWIND_FILE, TicketConfig, check_config
from ticketzoo.ticket.encoding import check_asked
from ticketzoo.ticket.files import Files
from ticketzoo.ticket.folder import CONFIG_FILE, entry_of, file_entries, replicate_path
from ticketzoo.ticket.masks_file import masks_to_bytes
from ticketzoo.ticket.publish import extra_files
from ticketzoo.ticket.rewinds import PackedRewind
from ticketzoo.ticket.stored import stored_in
from ticketzoo.ticket.write import replacing, write_file
from ticketzoo.zoo.places import ticket_folder
from ticketzoo.zoo.verify import verify_ticket


class Repacked(NamedTuple):
    """A new folder, and the bytes of all masks and weights in the old one and in it."""

    folder: Path
    before: int
    after: int


def repack_ticket(
    reference: str | Path,
    encoding: str | None = None,
    out: str | Path | None = None,
    *,
    rewind: str | None = None,
    registry: str | Path | None = None,
) -> Repacked:
    """Copy a ticket, its masks encoded anew or its start weights left out, into a new folder.

    The copy is complete and verified, or there is none. Everything but the files of masks and start weights is copied
    byte for byte, with the card and plots; the card's line on start weights changes with them, and of ticket.json the
    sizes and digests of these files, the kind of start weights, and the number of the format where they need another.

    Args:
        reference: a name, a folder, or a Hub id; see `ticketzoo.load_ticket`.
        encoding: of the masks, `bits` or `range`. Default: as they are.
        out: the new folder. Default: `<name>-<encoding>`, or `<name>-seed`, in the current folder.
        rewind: `seed` leaves out start weights that are the initialisation: they are drawn again when the ticket is
            loaded, and compared with their digest. Normal draws of PyTorch depend on the processor's instructions, so
            that a ticket may be refused on another machine. Default: as they are.
        registry: folder in which a name is looked up.

    Raises:
        TicketError: a damaged ticket, an unknown encoding, start weights that no seed draws, a folder that exists or
            cannot be written.
        RegistryError: there is no such ticket, or it cannot be fetched.
    """
    if encoding is not None:
        check_asked(encoding)
    if rewind not in (None, "seed"):
        raise TicketError(f"start weights cannot be stored as '{rewind}': choose seed")
    files = Files(ticket_folder(reference, registry).absolute())
    config = files.config()
    to = Path(f"{config.name}-{encoding or rewind}") if out is None else Path(out).expanduser()
    if os.path.lexists(to):
        raise TicketError(f"{to}: exists; choose another folder with --out")
    content = config.model_dump(mode="json")
    anew = _masks_anew(files, config, encoding) if encoding is not None else {}
    left_out = _left_to_seeds(config, content) if rewind is not None else set()
    with replacing(to) as new:
        for name, entry in file_entries(config).items():
            if name not in left_out:
                write_file(new / name, anew[name][0] if name in anew else files.checked(name, entry).read_bytes())
        for replicate in content["replicates"]:
            stated = replicate["files"].items()
            kept = {name: entry for name, entry in stated if name not in left_out}
            replicate["files"] = {
                name: entry_of(anew[name][0]).model_dump() if name in anew else entry for name, entry in kept.items()
            }
        at_least = max((first_format for _, first_format in anew.values()), default=config.format)
        made = check_config(content | {"format": 2}, str(to)).in_its_format(at_least)
        write_file(new / CONFIG_FILE, made.to_json().encode())
        for name, data in extra_files(files).items():
            write_file(new / name, _card_of(data, config, made) if name == "README.md" else data)
        verify_ticket(new)
    return Repacked(to, _bytes(config), _bytes(made))


def _masks_anew(files: Files, config: TicketConfig, encoding: str) -> dict[str, tuple[bytes, int]]:
    """Return the files of masks, encoded, with the first format that knows each."""
    stored = stored_in(files, config, masks_only=True)
    levels = {seed: one.levels.encoded_as(encoding) for seed, one in stored.replicates.items()}
    return {replicate_path(seed, MASKS_FILE): (masks_to_bytes(of), of.first_format) for seed, of in levels.items()}


def _left_to_seeds(config: TicketConfig, content: dict[str, Any]) -> set[str]:
    """State the seeds of the initialisations in `content`; return the files of weights that they stand for."""
    if not isinstance(config.rewind, PackedRewind) or config.rewind.step or config.rewind.levels:
        raise TicketError(
            f"{config.name}: its start weights are not an initialisation, or not stored: no seed draws them"
        )
    if config.architecture.library != "ticketzoo":
        raise TicketError(f"{config.name}: seeds draw ticketzoo's own networks alone")
    content["rewind"] = {"kind": "seed", "seeds": [derive_seed(one.seed, "init") for one in config.replicates]}
    return {replicate_path(one.seed, REWIND_FILE) for one in config.replicates}


def _card_of(card: bytes, old: TicketConfig, new: TicketConfig) -> bytes:
    """Return a card on which the line of the start weights is the new ticket's."""
    before, after = ("- **{}**: {}\n".format(*rewind_fact(config)).encode() for config in (old, new))
    return card.replace(before, after, 1)


def _bytes(config: TicketConfig) -> int:
    """Return how many bytes masks and weights take."""
    return sum(entry.bytes for one in config.replicates for entry in one.files.values())
