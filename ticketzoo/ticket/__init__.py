"""Tickets: masks and the weights to train from, on disk and on a model."""

from ticketzoo.ticket.base import BaseWeights as BaseWeights
from ticketzoo.ticket.config import TicketConfig as TicketConfig
from ticketzoo.ticket.ticket import Ticket as Ticket
from ticketzoo.ticket.write import Found as Found
