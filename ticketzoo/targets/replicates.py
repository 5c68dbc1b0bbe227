"""Seeds of a transfer beyond a ticket's replicates, which retrain the same masks again."""

from ticketzoo.ticket import Ticket
from ticketzoo.ticket.verdict_words import masks_again_words


def replicate_of(ticket: Ticket, number: int) -> int:
    """Return the seed of the replicate that seed `number` of a recipe, from 0, retrains; they begin anew at the end."""
    return ticket.seeds[number % len(ticket.seeds)]


def masks_again(ticket: Ticket, seeds: int) -> str:
    """Return a sentence where `seeds` are more than the ticket's replicates; empty where they are not."""
    said = masks_again_words(seeds, len(ticket.seeds))
    return said and f"{ticket.name}: {said}"
