"""Seeds of a transfer beyond a ticket's replicates, which retrain the same masks again."""

from ticketzoo.ticket import Ticket
from ticketzoo.util.text import counted


def replicate_of(ticket: Ticket, number: int) -> int:
    """Return the seed of the replicate that seed `number` of a recipe, from 0, retrains; they begin anew at the end."""
    return ticket.seeds[number % len(ticket.seeds)]


def masks_again(ticket: Ticket, seeds: int) -> str:
    """Return a sentence where `seeds` are more than the ticket's replicates; empty where they are not."""
    if seeds <= (replicates := len(ticket.seeds)):
        return ""
    return (
        f"{ticket.name}: {seeds} seeds retrain {counted(replicates, 'replicate')}, so masks are used again: "
        "the verdict and its 5% are about these masks, retrained, not about what a search finds with other seeds"
    )
