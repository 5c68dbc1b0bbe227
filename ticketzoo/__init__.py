"""A zoo of lottery tickets: find sparse trainable subnetworks, package them, retrain them elsewhere, with controls."""

__version__ = "0.1.0"

from ticketzoo.errors import TicketzooError as TicketzooError
from ticketzoo.ticket import Ticket as Ticket
from ticketzoo.ticket import load_ticket as load_ticket
