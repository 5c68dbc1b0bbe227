"""Signed constants: of each layer one magnitude, and the signs that were drawn."""

import torch

from ticketzoo.masks.masks import Masks
from ticketzoo.models.state import State


def signed_constants(state: State, masks: Masks) -> State:
    """Return the signs of the masked tensors times the standard deviation of each (Zhou et al. 2019, section 4).

    The deviation is the population's, over the whole tensor. A weight of 0 has the sign +, as a ticket holds signs.
    """
    made = {}
    for name in masks:
        weights = state[name]
        deviation = weights.double().std(correction=0).to(weights.dtype)
        made[name] = torch.where(weights < 0, -deviation, deviation)
    return made
