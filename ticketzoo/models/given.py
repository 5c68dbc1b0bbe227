"""Weights that somebody has for an image network, put on one whose head may score other classes."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ticketzoo.errors import ModelError
from ticketzoo.models.arguments import shorten
from ticketzoo.models.body import within
from ticketzoo.models.layers import head_modules
from ticketzoo.models.state import live_state


def load_given(model: nn.Module, state: Mapping[str, Tensor]) -> list[str]:
    """Copy weights into `model`, cast to its dtypes; a head of other classes stays as it is.

    Args:
        model: an image network.
        state: its tensors by name; others, such as those of auxiliary heads, are left out.

    Returns:
        the names of the head's parameters, if they stayed as they were.

    Raises:
        ModelError: a tensor beside the head is missing or of another shape; the model is unchanged.
    """
    targets, head = live_state(model), head_modules(model)
    unfit = [name for name, one in targets.items() if name not in state or state[name].shape != one.shape]
    if wrong := [name for name in unfit if not within(name, head)]:
        there = tuple(state[wrong[0]].shape) if wrong[0] in state else "none"
        what = f"{shorten(wrong[0])} is {there} in them, {tuple(targets[wrong[0]].shape)} there"
        raise ModelError(f"the given weights do not fit the model: {what}")
    fresh = [name for name in targets if unfit and within(name, head)]
    with torch.no_grad():
        for name, target in targets.items():
            if name not in fresh:
                target.copy_(state[name])
    return fresh
