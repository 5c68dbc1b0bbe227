"""Signed constants: of each layer one magnitude, and a sign for each weight."""

from collections.abc import Mapping

import torch
from torch import Tensor

from ticketzoo.models.state import State


def signed_constants(weights: Mapping[str, Tensor], signs: Mapping[str, Tensor]) -> State:
    """Return, for each of `signs`, its signs times the standard deviation of all of a layer's weights.

    The deviation is the population's (of n, not n - 1), over the whole tensor (Zhou et al. 2019, section 4). A weight
    of 0 has the sign +, as a ticket holds signs.

    Args:
        weights: by parameter name, those of `signs` and any others.
        signs: tensors whose signs count, of the shapes of `weights`.
    """
    deviations = {name: weights[name].double().std(correction=0).to(weights[name].dtype) for name in signs}
    return {name: torch.where(sign < 0, -deviations[name], deviations[name]) for name, sign in signs.items()}
