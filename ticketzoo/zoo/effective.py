"""Lines of a ticket's card that are computed of its masks and its network."""

from pathlib import Path
from typing import Any

from ticketzoo.errors import TicketError
from ticketzoo.evaluation.evidence import ticket_card
from ticketzoo.evaluation.mask_picture import MasksOf
from ticketzoo.masks.masks import Masks
from ticketzoo.ticket import Ticket
from ticketzoo.ticket.config import TicketConfig
from ticketzoo.ticket.effective import QUICK, Effective, effective_sparsity
from ticketzoo.ticket.files import Files


def effective_of(files: Files, config: TicketConfig, *, whatever: bool = False) -> Effective:
    """Return the effective sparsities of a ticket in a folder; without `whatever` only where that is quick."""
    seed, work = config.replicates[0].seed, config.prunable_weights * len(config.levels)
    if files.hub:
        return Effective(seed, why_not="neither masks nor weights are fetched from the Hub to look at a ticket")
    if work > QUICK and not whatever:
        return Effective(seed, why_not="it takes a while to compute: ask with --effective")
    try:
        return effective_sparsity(Ticket.from_pretrained(files.folder, seed=seed), most=None)
    except TicketError:
        return Effective(seed, why_not="the masks or weights cannot be read")


def effective_lines(folder: Path) -> list[str]:
    """Return the lines on effective sparsity of the ticket in `folder`. Raises TicketError for a damaged file."""
    return effective_sparsity(Ticket.from_pretrained(folder)).lines()


def masks_in(folder: Path) -> MasksOf:
    """Return what gives the masks of the ticket in `folder`, by level and seed."""

    def masks_of(level: int, seed: int) -> Masks:
        return Ticket.from_pretrained(folder, level=level, seed=seed, masks_only=True).masks

    return masks_of


def card_of(ticket: Ticket) -> str:
    """Return the card of a ticket that has none, from its files alone."""
    return ticket_card(ticket.config, ticket.results, **card_extras(ticket))


def card_extras(ticket: Ticket) -> dict[str, Any]:
    """Return what a ticket's files give beside its rows, as arguments of `render_card`."""
    effective = effective_sparsity(ticket).lines()
    return {"recipe_text": ticket.recipe_text, "empty": ticket.empty_layers, "effective": effective}
