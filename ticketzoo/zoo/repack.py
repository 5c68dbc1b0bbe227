"""Copying a ticket with its masks encoded anew."""

import os
from pathlib import Path
from typing import NamedTuple

from ticketzoo.errors import TicketError
from ticketzoo.ticket.config import MASKS_FILE, check_config
from ticketzoo.ticket.encoding import check_asked
from ticketzoo.ticket.files import Files
from ticketzoo.ticket.folder import CONFIG_FILE, entry_of, file_entries, replicate_path
from ticketzoo.ticket.masks_file import masks_to_bytes
from ticketzoo.ticket.publish import extra_files
from ticketzoo.ticket.stored import stored_in
from ticketzoo.ticket.write import replacing, write_file
from ticketzoo.zoo.places import ticket_folder
from ticketzoo.zoo.verify import verify_ticket


class Repacked(NamedTuple):
    """A new folder, and the bytes of all masks in the old one and in it."""

    folder: Path
    before: int
    after: int


def repack_ticket(
    reference: str | Path, encoding: str, out: str | Path | None = None, *, registry: str | Path | None = None
) -> Repacked:
    """Copy a ticket, its masks encoded anew, into a new folder, completely and verified, or not at all.

    Everything but the masks' files is copied byte for byte, with the card and plots; of ticket.json the sizes and
    digests of these files change, and the number of the format where the masks need another.

    Args:
        reference: a name, a folder, or a Hub id; see `ticketzoo.load_ticket`.
        encoding: `bits` or `range`.
        out: the new folder. Default: `<name>-<encoding>` in the current folder.
        registry: folder in which a name is looked up.

    Raises:
        TicketError: a damaged ticket, an unknown encoding, a folder that exists or cannot be written.
        RegistryError: there is no such ticket, or it cannot be fetched.
    """
    check_asked(encoding)
    files = Files(ticket_folder(reference, registry).absolute())
    config = files.config()
    to = Path(f"{config.name}-{encoding}") if out is None else Path(out).expanduser()
    if os.path.lexists(to):
        raise TicketError(f"{to}: exists; choose another folder with --out")
    paths = {name: files.checked(name, entry) for name, entry in file_entries(config).items()}
    stored, at_least = stored_in(files, config, masks_only=True), 1
    content = config.model_dump(mode="json")
    before = after = 0
    with replacing(to) as new:
        for replicate in content["replicates"]:
            levels = stored.replicates[replicate["seed"]].levels.encoded_as(encoding)
            at_least = max(at_least, levels.first_format)
            name, data = replicate_path(replicate["seed"], MASKS_FILE), masks_to_bytes(levels)
            before, after = before + replicate["files"][name]["bytes"], after + len(data)
            replicate["files"][name] = entry_of(data).model_dump()
            write_file(new / name, data)
            del paths[name]
        for name, path in paths.items():
            write_file(new / name, path.read_bytes())
        for name, data in extra_files(files).items():
            write_file(new / name, data)
        made = check_config(content | {"format": 2}, str(to)).in_its_format(at_least)
        write_file(new / CONFIG_FILE, made.to_json().encode())
        verify_ticket(new)
    return Repacked(to, before, after)
