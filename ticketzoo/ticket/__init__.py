"""Tickets: masks and the weights to train from, on disk and on a model."""

from ticketzoo.ticket.base import BaseWeights as BaseWeights
from ticketzoo.ticket.config import TicketConfig as TicketConfig
from ticketzoo.ticket.custom import custom_architecture as custom_architecture
from ticketzoo.ticket.found import Found as Found
from ticketzoo.ticket.ticket import Ticket as Ticket
