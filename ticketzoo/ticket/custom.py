"""Networks of the user's own: described in a ticket, and built by the user."""

from typing import Any

from torch import nn

from ticketzoo.masks.plain import plain_model
from ticketzoo.models import bare_names, model_state
from ticketzoo.ticket.fields import CUSTOM


def custom_architecture(model: nn.Module, name: str | None = None) -> dict[str, Any]:
    """Return what a ticket says of a network that `ticketzoo.models` cannot build: its parameters and buffers.

    A ticket of it is applied to the same network, built by its author's code; it holds no code.

    Args:
        model: the network.
        name: of the network; by default that of its class.
    """
    plain = plain_model(model)
    state = bare_names(model_state(plain), plain)
    parameters = [{"name": key, "shape": list(tensor.shape)} for key, tensor in state.items()]
    return {"library": CUSTOM, "name": name or type(plain).__name__, "kwargs": {}, "parameters": parameters}
