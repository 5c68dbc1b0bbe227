"""The network that ticket.json describes, built from the closed table of `ticketzoo.models`."""

from torch import nn

from ticketzoo.errors import ModelError
from ticketzoo.models import create_from_architecture, load_base
from ticketzoo.models.state import State
from ticketzoo.ticket.config import CUSTOM, Architecture, BaseRewind, TicketConfig
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


def build_network(config: TicketConfig, state: State, seed: int) -> nn.Module:
    """Return the network of a ticket with weights `state`, its own weights drawn from `seed`; see `build_architecture`.

    A classifier of `transformers` knows the names of the ticket's classes, as `id2label` and `label2id`.

    Raises:
        ModelError: it cannot be built, or is far larger than its masks.
    """
    model = build_architecture(config.architecture, seed, at_most=most_parameters(config, state))
    names, settings = config.source.classes, getattr(model, "config", None)
    is_classifier = config.architecture.kwargs.get("head") == "text-classification"
    if names and settings is not None and is_classifier and settings.num_labels == len(names):
        settings.id2label = dict(enumerate(names))
        settings.label2id = {name: number for number, name in enumerate(names)}
    return model


def with_base(model: nn.Module, config: TicketConfig, state: State) -> State | None:
    """Load the weights of a base model of `transformers`, whose head stays fresh. Returns what is still to be loaded.

    Raises:
        ModelError: the base does not fit `model`.
    """
    if config.architecture.library != "transformers" or not isinstance(config.rewind, BaseRewind):
        return state
    load_base(model, state)
    return None


def most_parameters(config: TicketConfig, state: State) -> int:
    """Return the most parameters that the network of a ticket with weights `state` can reasonably have.

    So a small file that names a huge network is refused before that is built.
    """
    return 4 * config.prunable_weights + ROOM + sum(tensor.numel() for tensor in state.values())
