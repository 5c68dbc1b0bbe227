from pathlib import Path

from ticketzoo.registry import ticket_folder
from ticketzoo.ticket.ticket import Ticket


def load_ticket(
    reference: str,
    *,
    level: int | None = None,
    sparsity: float | None = None,
    seed: int | None = None,
    registry: str | Path | None = None,
) -> Ticket:
    """Load a ticket by a name in the registry, a folder (`./folder`) or a Hub id (`hub:owner/name@revision`).

    Args:
        reference: the ticket.
        level: a packaged level. Default: the sparsest that the verdict calls winning or matching on its source, or
            else the sparsest of all.
        sparsity: instead of a level, the packaged one nearest to this fraction removed, in [0, 1).
        seed: of a replicate; the first by default.
        registry: folder in which names are looked up. Default: `$TICKETZOO_REGISTRY`, else `registry/` in the current
            folder, else the one that comes with the source.

    Raises:
        RegistryError: there is no such ticket.
        TicketError: it is damaged or of an unknown format, or has no such level, sparsity or seed.
    """
    folder = ticket_folder(reference, Path(registry) if registry else None)
    return Ticket.from_pretrained(folder, level=level, sparsity=sparsity, seed=seed)
