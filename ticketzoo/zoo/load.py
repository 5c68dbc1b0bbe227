"""Load a ticket by name, folder or Hub id."""

from pathlib import Path

from ticketzoo.hub.references import HubReference, parse_reference
from ticketzoo.ticket.ticket import Ticket
from ticketzoo.util.arguments import checked
from ticketzoo.zoo.places import ticket_folder


@checked
def load_ticket(  # noqa: PLR0913 - every way to load, by keyword
    reference: str | Path,
    *,
    level: int | None = None,
    sparsity: float | None = None,
    seed: int | None = None,
    registry: str | Path | None = None,
    masks_only: bool = False,
    mask_sha256: str | None = None,
    base: str | Path | None = None,
    revision: str | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
    token: str | bool | None = None,
    force_download: bool = False,
) -> Ticket:
    """Load a ticket by a name in the registry, a folder (`./folder`) or a Hub id (`owner/name`, `hub:owner/name@v1`).

    Args:
        reference: the ticket; a Path is a folder.
        level: a packaged level. Default: the sparsest that the verdict calls winning or matching on its source, or
            else the sparsest of all.
        sparsity: instead of a level, the packaged one nearest to this fraction removed, in [0, 1).
        seed: of a replicate; the first by default.
        registry: folder in which names are looked up. Default: `registry/` in the current folder, `runs/` there, and
            the tickets that come with ticketzoo; `$TICKETZOO_REGISTRY` takes the place of the first and the last.
        masks_only: whether to do without rewind weights: they are not fetched and need not be there.
        mask_sha256: digest that the ticket's masks must have, as `ticketzoo info` shows it.
        base: folder with a copy of the model that the ticket rewinds to, read instead of the Hub's. It must have the
            digest that the ticket states.
        revision: branch, tag or commit on the Hub; the main branch by default.
        cache_dir: where the Hub's client keeps what it fetched; `HF_HUB_CACHE` by default.
        local_files_only: whether to use nothing but that cache.
        token: for the Hub; by default that of `HF_TOKEN` or `hf auth login`. False for none.
        force_download: whether to fetch again what is in the cache.

    Raises:
        RegistryError: there is no such ticket, or it cannot be fetched.
        TicketError: it is damaged or of an unknown format, has other masks than `mask_sha256`, or has no such level,
            sparsity or seed.
    """
    on_hub = isinstance(parse_reference(reference), HubReference)
    return Ticket.from_pretrained(
        reference if on_hub else ticket_folder(reference, registry),
        level=level,
        sparsity=sparsity,
        seed=seed,
        masks_only=masks_only,
        mask_sha256=mask_sha256,
        base=base,
        revision=revision,
        cache_dir=cache_dir,
        local_files_only=local_files_only,
        token=token,
        force_download=force_download,
    )
