"""Tickets combined at all levels that go together."""

from collections.abc import Sequence

from ticketzoo.masks.masks import kept, total
from ticketzoo.ticket.combined import combined, paired_seeds
from ticketzoo.ticket.ticket import Ticket
from ticketzoo.ticket.ways import Way, way_called


def combine_tickets(
    tickets: Sequence[Ticket], way: str, levels: Sequence[Sequence[int]], *, name: str | None = None
) -> Ticket:
    """Return what tickets make, from the left. Levels at which nothing would be kept, or removed, are left out.

    Args:
        tickets: at least two, of one network and one start.
        way: a name in `ticketzoo.ticket.ways.WAYS`, or its short one: `and`, `or`, `minus`.
        levels: a level of each ticket for each new level, rising; those of the first number the new ones.
        name: of the new ticket; made of all names by default.

    Raises:
        TicketError: tickets of other networks or other starts, an unknown way, or nothing would be kept.
    """
    row = way_called(way)
    some = [each for each in levels if _is_pruned(tickets, row, each)] or list(levels[:1])
    made: Ticket = combined(tickets, way, levels=some, name=name)
    return made


def _is_pruned(tickets: Sequence[Ticket], way: Way, levels: Sequence[int]) -> bool:
    """Tell whether something is kept, and something removed, in every replicate."""
    if len({tuple(ticket.config.shapes.items()) for ticket in tickets}) > 1:
        return True  # an error, told when they are combined
    for seeds in paired_seeds(tickets):
        each = [one.at(level=at, seed=seed).masks for one, at, seed in zip(tickets, levels, seeds, strict=True)]
        masks = way.masks(each)
        if not 0 < kept(masks) < total(masks):
            return False
    return True
