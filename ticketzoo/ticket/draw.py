"""The weights to train from of a ticket that states a seed: an initialisation, drawn again."""

from ticketzoo.models import bare_names, model_state
from ticketzoo.models.state import State
from ticketzoo.ticket.build import build_architecture
from ticketzoo.ticket.fields import Architecture


def drawn_state(architecture: Architecture, seed: int, *, at_most: int | None = None) -> State:
    """Return the initialisation that `ticketzoo.models` draws, named as a ticket names it.

    Raises:
        ModelError: an unknown architecture, or a network of more than `at_most` parameters.
    """
    model = build_architecture(architecture, seed, at_most=at_most)
    return bare_names(model_state(model), model)
