from pathlib import Path

from ticketzoo.registry import ticket_folder
from ticketzoo.ticket.ticket import Ticket


def load_ticket(
    reference: str | Path,
    *,
    level: int | None = None,
    sparsity: float | None = None,
    seed: int | None = None,
    registry: Path | None = None,
) -> Ticket:
    """Load a ticket: `load_ticket("lenet-300-100.mnist-imp", sparsity=0.8)`.

    Args:
        reference: a name in the registry, or a folder (a path, or `./name`).
        level: a packaged level. Default: the sparsest that the verdict calls winning or matching, or else the
            sparsest of all.
        sparsity: instead of a level, the packaged one nearest to this fraction removed, in [0, 1).
        seed: of a replicate; the first by default.
        registry: where names are looked up; see `ticketzoo.registry.default_registry`.

    Raises RegistryError for an unknown reference, TicketError as `Ticket.from_pretrained` does.
    """
    folder = reference if isinstance(reference, Path) else ticket_folder(reference, registry)
    return Ticket.from_pretrained(folder, level=level, sparsity=sparsity, seed=seed)
