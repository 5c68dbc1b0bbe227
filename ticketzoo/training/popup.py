"""A weight tensor as a network with scores has it: what is left where the scores are among the highest."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ticketzoo.training.selection import Highest

Effective = Callable[[Tensor, Tensor], Tensor]
"""`effective(weights, kept)`: what the network computes with, put into `kept`, which is 1.0 for those kept, else 0."""


class Popup(nn.Module):
    """The scores of one weight tensor, and the weights that they leave of it.

    Args:
        scores: of the weights, to be trained.
        eligible: bool, True = may be kept.
        count: how many are kept.
        effective: makes of the kept weights what the network computes with; None where that is the weights themselves.
        by_magnitude: whether the highest |s| are kept, or the highest s.
    """

    def __init__(
        self, scores: Tensor, eligible: Tensor, count: int, effective: Effective | None, by_magnitude: bool
    ) -> None:
        super().__init__()
        self.scores, self.count = nn.Parameter(scores), count
        self.effective, self.by_magnitude, self._highest = effective, by_magnitude, Highest()
        self.excluded: Tensor | None
        self.register_buffer("excluded", None if eligible.all() else ~eligible, persistent=False)

    def put_on(self, owner: nn.Module, name: str) -> None:
        """Have `owner` compute with what is left of its parameter `name`."""
        parametrize.register_parametrization(owner, name, self, unsafe=True)
        owner.parametrizations[name].__class__ = _Only  # type: ignore[index]

    def forward(self, weights: Tensor) -> Tensor:
        """Return what the network computes with: of `weights` those whose scores are among the highest, 0 elsewhere."""
        left: Tensor = _StraightThrough.apply(self.scores, weights, self)
        return left

    def mask(self) -> Tensor:
        """Return which weights are kept, as bool."""
        return self._highest(self._ranked(self.scores.detach()), self.count).bool()

    def left(self, scores: Tensor, weights: Tensor) -> Tensor:
        """Return what is left of `weights` by these scores, as new memory."""
        if self.effective is None:
            return self._highest(self._ranked(scores), self.count, weights)
        return self.effective(weights, self._highest(self._ranked(scores), self.count))

    def _ranked(self, scores: Tensor) -> Tensor:
        ranked = scores.abs() if self.by_magnitude else scores.clone()
        return ranked if self.excluded is None else ranked.masked_fill_(self.excluded, -math.inf)


class _Only(parametrize.ParametrizationList):
    """A list of one parametrization: torch's looks for a second at every call, which small layers feel."""

    def forward(self) -> Tensor:
        left: Tensor = self[0](self.original)
        return left


class _StraightThrough(torch.autograd.Function):
    """The weights that are left; to gradients of the scores, as if each weight were multiplied by |s|, or by s."""

    @staticmethod
    def forward(context: Any, scores: Tensor, weights: Tensor, popup: Popup) -> Tensor:
        context.save_for_backward(scores, weights)
        context.by_magnitude = popup.by_magnitude
        return popup.left(scores, weights)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        scores, weights = context.saved_tensors
        if context.by_magnitude:
            return scores.sign().mul_(weights).mul_(gradients[0]), None, None
        return weights * gradients[0], None, None
