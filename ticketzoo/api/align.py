"""Put the hidden units of a ticket in the order of another seed's network, in a folder of its own."""

from pathlib import Path

from ticketzoo.connecting.kept import KeptRun
from ticketzoo.connecting.match import matched_units
from ticketzoo.deriving.align import aligned
from ticketzoo.distributed.device import training_device
from ticketzoo.errors import RunError
from ticketzoo.runs.progress import Progress
from ticketzoo.ticket import Ticket
from ticketzoo.zoo.derived import save_derived
from ticketzoo.zoo.places import ticket_folder


def align_into(  # noqa: PLR0913 - the options of the command
    ticket: str | Path,
    to_seed: int,
    out: Path,
    *,
    seed: int | None = None,
    by: str = "activations",
    keep_weights: bool = False,
    run: str | Path | None = None,
    data: str | None = None,
    name: str | None = None,
    registry: str | Path | None = None,
    device: str | None = None,
    progress: Progress | None = None,
) -> Ticket:
    """Save a replicate's masks with units matched to another seed's dense network; see `ticketzoo align`.

    A folder that holds this very ticket already is left as it is.

    Args:
        ticket: a name or folder.
        to_seed: of the dense network, a replicate of the same run.
        out: the folder.
        seed: of the replicate; by default the first that is not `to_seed`.
        by: `activations` or `weights`.
        keep_weights: whether the ticket keeps its own rewind weights, with units moved, in place of that seed's.
        run: working folder of the run that found it, by default the one that the ticket's folder is in.
        data: folder or Hub id of the data, in place of the recipe's.
        name: of the new ticket, by default that of the folder.
        registry: folder in which names are looked up.
        device: where to compute.
        progress: told how it goes.

    Raises:
        RunError: the run, or a training of it, is not there, or found another ticket.
        ModelError: units of the network cannot be put in another order.
        TicketError: a folder that holds anything else.
        RegistryError: there is no such ticket.
    """
    folder = ticket_folder(ticket, registry)
    if run is None and not (folder.parent / "cells").is_dir():
        lacks = "has no cells/ beside it, and aligning needs the trained dense networks of both seeds"
        raise RunError(f"{folder}: {lacks}: give --run, the working folder of its ticketzoo find")
    kept, source = KeptRun.read(run or folder, data=data), Ticket.from_pretrained(folder, masks_only=True)
    if kept.ticket.config.mask_sha256 != source.config.mask_sha256:
        raise RunError(f"{kept.folder}: that run found other masks than those of {folder}: give the run that found it")
    seed = next((one for one in source.seeds if one != to_seed), to_seed) if seed is None else seed
    where = training_device(device)
    match = matched_units(kept, seed, to_seed, by, keep_weights=keep_weights, device=where, progress=progress)
    made = aligned(source, match, name=name or out.name)
    save_derived(made, out)
    return made
