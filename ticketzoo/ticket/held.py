"""Base weights that a model has already, so that they need not be fetched."""

from collections.abc import Iterator

from torch import Tensor, nn

from ticketzoo.masks.digests import state_sha256
from ticketzoo.masks.plain import plain_model
from ticketzoo.models.body import body_of
from ticketzoo.models.state import model_state
from ticketzoo.ticket.config import BaseRewind, TicketConfig

POSITIONS = "embeddings.position_ids"
"""A buffer that older files of encoders hold and models of today do not save."""


def has_base(model: nn.Module, config: TicketConfig) -> bool:
    """Tell whether the model's own weights are, by their digest, the base weights that the ticket gives a model."""
    return not (config.use == "as-is" and config.values) and is_base(model, config)


def is_base(model: nn.Module, config: TicketConfig) -> bool:
    """Tell whether the model's own weights are, by their digest, the base weights of the ticket.

    That can be told of a model just loaded from a base, without a head or with that of the base. Of any other the
    answer is no, and the base is read; so it is of one without memory (on the meta device).
    """
    rewind = config.rewind
    if not isinstance(rewind, BaseRewind):
        return False
    states = list(_as_files(plain_model(model)))
    if any(tensor.is_meta for state in states for tensor in state.values()):
        return False
    return any(state_sha256(state) == rewind.sha256 for state in states)


def _as_files(model: nn.Module) -> Iterator[dict[str, Tensor]]:
    """Yield what a file may hold: the encoder's state, or that with its positions, or the state of the whole."""
    body = body_of(model)
    state = body.state_dict()
    yield state
    if POSITIONS not in state and (positions := dict(body.named_buffers()).get(POSITIONS)) is not None:
        yield state | {POSITIONS: positions}
    if body is not model:
        yield model_state(model)
