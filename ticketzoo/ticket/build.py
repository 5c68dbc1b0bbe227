"""The network that ticket.json describes, built from the closed table of `ticketzoo.models`."""

from torch import nn

from ticketzoo.errors import ModelError
from ticketzoo.models import create_from_architecture
from ticketzoo.models.state import State
from ticketzoo.ticket.config import CUSTOM, Architecture, TicketConfig
from ticketzoo.util.text import for_terminal

ROOM = 2**22
"""Parameters that a network may have beyond what follows from its masks: embeddings, a head."""


def build_architecture(architecture: Architecture, seed: int, *, at_most: int | None = None) -> nn.Module:
    """Return the network, its weights drawn from `seed`, on the CPU in training mode.

    Raises:
        ModelError: it is unknown, the user's own, or has more than `at_most` parameters.
    """
    if architecture.library == CUSTOM:
        name = for_terminal(architecture.name)
        raise ModelError(f"'{name}' is a network of the ticket's author: build it yourself, then ticket.apply(model)")
    names = {"library": architecture.library, "name": architecture.name, "kwargs": architecture.kwargs}
    return create_from_architecture(names, seed, at_most=at_most)


def most_parameters(config: TicketConfig, state: State) -> int:
    """Return the most parameters that the network of a ticket with weights `state` can reasonably have.

    So a small file that names a huge network is refused before that is built.
    """
    return 4 * config.prunable_weights + ROOM + sum(tensor.numel() for tensor in state.values())
