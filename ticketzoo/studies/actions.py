"""Values that pruned weights are held at: the mask-0 actions of Zhou et al. 2019, and two controls."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ticketzoo.errors import RecipeError
from ticketzoo.util.registry import Registry


@dataclass(frozen=True)
class Round:
    """The pruning of one layer in one round: all tensors have the layer's shape.

    Attributes:
        initial: the weights of step 0.
        before: what the round before was trained from.
        after: what it trained to.
        newly: True where this round prunes.
        seed: of what is drawn.
    """

    initial: Tensor
    before: Tensor
    after: Tensor
    newly: Tensor
    seed: int

    @property
    def away(self) -> Tensor:
        """True where training moved the weight away from 0, or not at all."""
        return self.after.abs() >= self.before.abs()


@dataclass(frozen=True)
class Action:
    """A row of `ACTIONS`.

    Attributes:
        name: by which recipes ask for it.
        make: `make(round)` gives the values at which the weights that the round prunes are held.
        words: what becomes of pruned weights.
        cite: where it comes from.
        survivors: whether kept weights that moved towards 0 start at 0.
    """

    name: str
    make: Callable[[Round], Tensor]
    words: str
    cite: str = "Zhou et al. 2019, section 4"
    survivors: bool = False


ACTIONS: Registry[Action] = Registry("action", Action, error=RecipeError)


@ACTIONS.add("zero", words="pruned weights are 0")
def zero(one: Round) -> Tensor:
    """Hold pruned weights at 0, as ever."""
    return torch.zeros_like(one.initial)


@ACTIONS.add("freeze", words="pruned weights stay at their initial values")
def freeze(one: Round) -> Tensor:
    """Hold pruned weights at their initial values."""
    return one.initial


def _away(one: Round) -> Tensor:
    return one.initial.where(one.away, 0)


ACTIONS.put(Action("freeze-away", _away, "those that moved away from 0 stay at their initial values, the others are 0"))
ACTIONS.put(
    Action("freeze-away-all", _away, "as freeze-away; kept weights that moved towards 0 start at 0", survivors=True)
)


@ACTIONS.add("freeze-toward", words="the reverse of freeze-away: those that moved towards 0 stay", cite="control")
def freeze_toward(one: Round) -> Tensor:
    """Hold those that moved towards 0 at their initial values, and the others at 0."""
    return one.initial.where(~one.away, 0)


@ACTIONS.add("freeze-random", words="as many are 0 as by freeze-away, at random", cite="control")
def freeze_random(one: Round) -> Tensor:
    """Hold as many at 0 in the layer as `freeze-away` would, at random places among those pruned."""
    places = one.newly.flatten().nonzero().flatten()
    order = torch.randperm(len(places), generator=torch.Generator().manual_seed(one.seed))
    held = one.initial.flatten().clone()
    held[places[order[: int((one.newly & ~one.away).sum())]]] = 0
    return held.view_as(one.initial)
