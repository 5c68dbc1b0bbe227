"""The weights that two tickets start from, compared: are they of one initialisation, or of one base?"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ticketzoo.errors import RegistryError, TicketError
from ticketzoo.masks.digests import state_sha256
from ticketzoo.masks.masks import Masks
from ticketzoo.models.state import State
from ticketzoo.ticket.config import BaseRewind

if TYPE_CHECKING:
    from ticketzoo.ticket.contents import Contents


@dataclass(frozen=True)
class StartWeights:
    """The weights that a replicate starts from, as far as a ticket knows them.

    Attributes:
        base: digest of a base model's weights; then there is nothing else here.
        state: parameters and buffers, dense.
        known: the places of masked parameters whose values the ticket has.
    """

    base: str | None
    state: State
    known: Masks

    @classmethod
    def of(cls, ticket: "Contents") -> "StartWeights":
        """Return those of a ticket's replicate. Raises TicketError, RegistryError where they cannot be read."""
        if isinstance(ticket.config.rewind, BaseRewind):
            return cls(ticket.config.rewind.sha256, {}, {})
        return cls(None, ticket.known_state, ticket.known_rewind)


def start_weights(ticket: "Contents", *, afresh: bool = False) -> StartWeights | None:
    """Return the weights that a replicate starts from; None where they are not at hand.

    With `afresh` they are read from the ticket's files again, and the ticket keeps nothing of them.
    """
    if afresh:
        stored = ticket._stored
        replicates = {seed: replace(one) for seed, one in stored.replicates.items()}  # the fields, not what was read
        stored = replace(stored, replicates=replicates)
        ticket = ticket._view(ticket.config, stored, level=ticket.level, sparsity=None, seed=ticket.seed)
    try:
        return StartWeights.of(ticket)
    except (TicketError, RegistryError):
        return None


def same_start(first: StartWeights | None, second: StartWeights | None) -> bool | None:
    """Tell whether two replicates start from one set of weights; None where nothing tells.

    They do where the weights that both know have one digest.
    """
    if first is None or second is None:
        return None
    if first.base or second.base:
        return first.base == second.base if first.base and second.base else None
    if differing_weight(first, second) is not None:
        return False
    return True if _share(first.known, second.known) else None


def differing_weight(first: StartWeights, second: StartWeights) -> str | None:
    """Return the first tensor that differs where both know its values; None where all have one digest."""
    mine, other = (_shared(one, first.known, second.known) for one in (first.state, second.state))
    if mine.keys() != other.keys():
        return min(mine.keys() ^ other.keys())
    if state_sha256(mine) == state_sha256(other):
        return None
    return next(name for name in mine if state_sha256({name: mine[name]}) != state_sha256({name: other[name]}))


def joined(first: StartWeights, second: StartWeights) -> StartWeights:
    """Return all values that either knows. They have to be of one start."""
    state, places = dict(first.state), dict(first.known)
    for name, known in second.known.items():
        state[name] = torch.where(known, second.state[name], state[name])
        places[name] = places[name] | known
    return StartWeights(first.base, state, places)


def _shared(state: Mapping[str, Tensor], first: Masks, second: Masks) -> State:
    """Return a state with nothing of masked parameters but what both know."""
    return {
        name: tensor[first[name] & second[name]] if name in first and name in second else tensor
        for name, tensor in state.items()
    }


def _share(first: Masks, second: Masks) -> bool:
    return any((known & second[name]).any() for name, known in first.items() if name in second)
