"""Tickets: masks and the weights to train from, on disk and on a model."""

from ticketzoo.ticket.base import BaseWeights as BaseWeights
from ticketzoo.ticket.config import TicketConfig as TicketConfig
from ticketzoo.ticket.loading import load_ticket as load_ticket
from ticketzoo.ticket.packaging import Found as Found
from ticketzoo.ticket.ticket import Ticket as Ticket
from ticketzoo.ticket.verify import Check as Check
from ticketzoo.ticket.verify import verify_ticket as verify_ticket
