"""The arms of the study of grokking: masks, and weights to start from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from ticketzoo.errors import RecipeError
from ticketzoo.finding.lab import RecipeLab
from ticketzoo.finding.method import Trained
from ticketzoo.masks.masks import Masks
from ticketzoo.masks.random import random_masks
from ticketzoo.models.state import State
from ticketzoo.pruning.config import PruneConfig
from ticketzoo.seeds import derive_seed
from ticketzoo.util.registry import Registry

DENSE, TICKET, SCALED = "dense", "ticket", "dense_scaled"


@dataclass(frozen=True)
class Grokked:
    """A dense training that arms are made of.

    Attributes:
        lab: of its seed.
        trained: the training, with its states after the steps below.
        memorised: the step from which on it fits the training split; None where it never did.
        halfway: the step at which it had learned to generalise by half; None where it never did.
    """

    lab: RecipeLab
    trained: Trained
    memorised: int | None
    halfway: int | None

    @cached_property
    def ticket(self) -> Masks:
        """The largest of the trained weights."""
        return self.largest(self.trained)

    def largest(self, at: Trained) -> Masks:
        """Return the masks of the largest weights of all matrices together."""
        return self.lab.prune(at, self.lab.dense, to=1)

    def largest_after(self, step: int | None) -> Masks | None:
        """Return the masks of the largest weights after so many steps; None where there is no such step."""
        return None if step is None else self.largest(self.trained.as_of(step))

    def at_init(self, criterion: str) -> Masks:
        """Return as many weights as the ticket keeps, by the scores of another criterion before training."""
        recipe = self.lab.recipe
        prune = {"criterion": criterion, "scope": "global", "schedule": recipe.finder.pruning.schedule}
        finder = recipe.finder.model_copy(update={"prune": PruneConfig.model_validate(prune)})
        lab = replace(self.lab, recipe=recipe.model_copy(update={"finder": finder}))
        return lab.prune(lab.initial, lab.dense, to=1)


@dataclass(frozen=True)
class GrokkingArm:
    """A row of `GROKKING_ARMS`.

    Attributes:
        name: by which recipes ask for it.
        make: gives the masks, all True for a dense training; None where the dense training never came so far.
        words: which weights are trained, for people.
        start: gives the weights to start from; by default those of step 0.
    """

    name: str
    make: Callable[[Grokked], Masks | None]
    words: str
    start: Callable[[Grokked], State] | None = None


GROKKING_ARMS: Registry[GrokkingArm] = Registry("arm of grokking", GrokkingArm, error=RecipeError)


def scaled_to(state: State, masks: Masks) -> State:
    """Return weights scaled by one number, so that all have the L2 norm of those that `masks` keep."""

    def norm(tensors: Mapping[str, Tensor]) -> float:
        return float(torch.stack([tensor.double().square().sum() for tensor in tensors.values()]).sum().sqrt())

    whole = {name: state[name] for name in masks}
    factor = norm({name: whole[name] * mask for name, mask in masks.items()}) / norm(whole)
    return state | {name: tensor * factor for name, tensor in whole.items()}


GROKKING_ARMS.put(GrokkingArm(DENSE, lambda of: of.lab.dense, "all weights"))
GROKKING_ARMS.put(GrokkingArm(TICKET, lambda of: of.ticket, "the largest after training"))
GROKKING_ARMS.put(
    GrokkingArm(
        "memorising_ticket",
        lambda of: of.largest_after(of.memorised),
        "the largest when the dense network had just fitted the training split",
    )
)
GROKKING_ARMS.put(
    GrokkingArm(
        "halfway_ticket",
        lambda of: of.largest_after(of.halfway),
        "the largest when the dense network had just learned to generalise by half",
    )
)
GROKKING_ARMS.put(
    GrokkingArm(
        SCALED,
        lambda of: of.lab.dense,
        "all weights, scaled to the L2 norm of the ticket's",
        start=lambda of: scaled_to(of.lab.initial.state, of.ticket),
    )
)
GROKKING_ARMS.put(
    GrokkingArm(
        "random_mask",
        lambda of: random_masks(of.ticket, derive_seed(of.lab.seed, "grokking")),
        "as many of each matrix as the ticket keeps, at random: its masks shuffled",
    )
)
GROKKING_ARMS.put(GrokkingArm("random", lambda of: of.at_init("random"), "as many of all matrices together, at random"))
GROKKING_ARMS.put(GrokkingArm("snip", lambda of: of.at_init("snip"), "as many by SNIP's scores before training"))
GROKKING_ARMS.put(GrokkingArm("grasp", lambda of: of.at_init("grasp"), "as many by GraSP's scores before training"))
