"""A zoo of lottery tickets: find sparse trainable subnetworks, package them, retrain them elsewhere, with controls."""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

from ticketzoo.errors import TicketzooError as TicketzooError
from ticketzoo.ticket import Ticket as Ticket
from ticketzoo.zoo import load_ticket as load_ticket

if TYPE_CHECKING:
    from ticketzoo.ticket.callback import TicketCallback as TicketCallback


def __getattr__(name: str) -> Any:
    """`TicketCallback`, which needs transformers, is imported once it is asked for."""
    if name == "TicketCallback":
        from ticketzoo.ticket.callback import TicketCallback

        return TicketCallback
    raise AttributeError(f"module 'ticketzoo' has no attribute {name!r}")
