"""Compare the masks of tickets, and combine them."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from ticketzoo.comparing.compare import compare_tickets
from ticketzoo.comparing.comparison import Comparison
from ticketzoo.comparing.stages import chosen, stages_of
from ticketzoo.comparing.unread import Unread, read_unread, unread_in_data
from ticketzoo.deriving.combine import combine_tickets
from ticketzoo.errors import TicketError
from ticketzoo.ticket import Ticket
from ticketzoo.util.arguments import checked
from ticketzoo.util.text import for_terminal, show_names
from ticketzoo.zoo.effective import card_of
from ticketzoo.zoo.load import load_ticket


@checked
def compare(
    *tickets: str | Path | Ticket,
    level: int | None = None,
    sparsity: float | None = None,
    data: Mapping[str, str | Path | None] | None = None,
    unread: str | Path | None = None,
    registry: str | Path | None = None,
) -> Comparison:
    """Compare the masks of tickets of one network: their overlap beside that of random masks as dense in each layer.

        ticketzoo.compare("lenet-300-100.mnist-imp", "lenet-300-100.fashion-mnist-imp")

    All pairs of replicates are compared, within tickets and between them, at all packaged levels that go together: a
    level goes with that of the other ticket which keeps the nearest number of weights.

    Args:
        tickets: names in the registry, folders, Hub ids, or tickets that are loaded.
        level: one level of the first ticket, instead of all.
        sparsity: instead of a level, the packaged one nearest to this fraction removed, in [0, 1).
        data: by the name of a data set, such as `ylecun/mnist`, a folder with a copy of it, or None to load it as the
            ticket's recipe says: weights of tickets found on it that read an input which is the same in all training
            images are counted apart.
        unread: instead, a safetensors file: by the name of a mask a tensor of the shape of one row of it, 1 where
            that input never changes, for all tickets.
        registry: folder in which names are looked up.

    Returns:
        Rows, tables that show in notebooks, and `plot()`.

    Raises:
        TicketError: tickets of different networks, naming the parameter; nothing to compare.
        RegistryError: there is no such ticket, or it cannot be fetched.
        DataError: the data cannot be loaded.
    """
    loaded = [one if isinstance(one, Ticket) else load_ticket(one, registry=registry) for one in tickets]
    never: list[Unread | None] = []
    if data is not None and unread is not None:
        raise TicketError("compare: give data, or a file of inputs that never change, not both")
    if data is not None:
        never = _of_data(loaded, data)
    elif unread is not None and loaded:
        never = [read_unread(unread, loaded[0].config.shapes)] * len(loaded)
    return compare_tickets(loaded, level=level, sparsity=sparsity, unread=never)


def combine_into(
    tickets: Sequence[str | Path],
    way: str,
    out: Path,
    *,
    level: int | None = None,
    sparsity: float | None = None,
    name: str | None = None,
    registry: str | Path | None = None,
) -> Ticket:
    """Save what tickets make in a new folder, with its card, and return it; see `ticketzoo combine`.

    Args:
        tickets: at least two names, folders or Hub ids.
        way: `and`, `or` or `minus`.
        out: the folder, which may not exist.
        level: one level of the first ticket, instead of all that go together.
        sparsity: instead of a level.
        name: of the new ticket, by default that of the folder.
        registry: folder in which names are looked up.

    Raises:
        TicketError: tickets of other networks or other starts, nothing to keep, or a folder that exists.
        RegistryError: there is no such ticket.
    """
    if os.path.lexists(out):
        raise TicketError(f"{out}: exists: choose another folder")
    loaded = [load_ticket(one, registry=registry) for one in tickets]
    stages = [one for one in stages_of(loaded) if len(one.levels) == len(loaded)]
    levels = [[one.levels[place] for place in range(len(loaded))] for one in chosen(stages, loaded[0], level, sparsity)]
    if not levels:
        raise TicketError("combine: no level of the first ticket goes with one of every other: see ticketzoo compare")
    made = combine_tickets(loaded, way, levels, name=name or out.name)
    made.save_pretrained(out, extras={"README.md": card_of(made).encode()})
    return made


def _of_data(tickets: list[Ticket], data: Mapping[str, str | Path | None]) -> list[Unread | None]:
    """Return the inputs that never change, of tickets that were found on one of the data sets."""
    sources = [ticket.config.source.dataset for ticket in tickets]
    if unknown := [name for name in data if name not in sources]:
        known = show_names(list(dict.fromkeys(sources)))
        raise TicketError(f"data: no ticket was found on {for_terminal(unknown[0])!r}: they were found on {known}")
    found: dict[str, Unread] = {}
    for ticket, source in zip(tickets, sources, strict=True):
        if source in data and source not in found:
            found[source] = unread_in_data(ticket, data[source])
    return [found.get(source) for source in sources]
