"""One draw of an arm: the things that it may use beside the ticket's training."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import torch

from ticketzoo.aligning.permutation import Permutations
from ticketzoo.errors import RecipeError
from ticketzoo.masks.masks import Masks
from ticketzoo.models.create import initial_state
from ticketzoo.models.state import State
from ticketzoo.models.unit_groups import UnitGroups
from ticketzoo.runs.plan import Unknown
from ticketzoo.seeds import derive_seed
from ticketzoo.training.config import TrainingConfig
from ticketzoo.training.job import Job
from ticketzoo.training.parametrisation import Parametrisation, is_untrained

ReinitFrom = Literal["start", "rewind-step"]
"""The step that fresh initialisations are trained from."""


class MaskSearch(Protocol):
    """The search for a ticket that is used as it is: all that controls of the same kind need to know of it."""

    @property
    def training(self) -> TrainingConfig | None:
        """Return the settings by which a mask is trained; None for those of the recipe."""
        ...

    def frozen_weights(self, state: State, masks: Masks) -> State:
        """Return the weights among which masks of the size of `masks` are sought, made of an initialisation."""
        ...

    def shown(self, state: State, masks: Masks) -> State:
        """Return the weights that the network of `masks` computes with, made of an initialisation."""
        ...

    def learner(self, masks: Masks) -> Parametrisation:
        """Return what finds masks of the size of `masks`; raises RecipeError where none is trained."""
        ...


@dataclass(frozen=True)
class Twin:
    """Another dense training of the ticket's network.

    Attributes:
        state: its weights at the ticket's rewind step.
        seed: of its data order.
        groups: hidden units of the network.
        order: of the ticket's units, which brings its dense network near this one.
    """

    state: State
    seed: int
    groups: UnitGroups
    order: Permutations


@dataclass(frozen=True)
class Draw:
    """The things that an arm may use beside the ticket's training.

    Attributes:
        arm: name of the arm; each has a stream of random numbers of its own.
        number: of the random draw, from 0.
        level: pruning level of the ticket's training.
        known: True where the state of the ticket's training holds rewind weights; None where it does everywhere. A
            packaged ticket keeps those of its densest level only.
        pretrained: the model's state before the ticket was found, where that was a pretrained one.
        reinit_from: "start" for fresh initialisations that train from step 0, "rewind-step" from the ticket's.
        trainings: as many as the search for the ticket took of a seed.
        inverted: masks of the same search that keep the lowest scores, where an arm asks for them.
        search: the search for a ticket that is used as it is.
        twin: another dense training, where an arm asks for one.
        begun: gives the weights of step 0 of the training that found the ticket, where they are known.
    """

    arm: str
    number: int = 0
    level: int = 0
    known: Masks | None = None
    pretrained: State | None = None
    reinit_from: ReinitFrom = "start"
    trainings: int = 2
    inverted: Masks | None = None
    search: MaskSearch | None = None
    twin: Twin | None = None
    begun: Callable[[], State] | None = None

    def fresh_step(self, job: Job) -> int:
        """Return the step that a fresh initialisation is trained from."""
        return job.start_step if self.reinit_from == "rewind-step" else 0

    def among(self, job: Job) -> Masks:
        """Return masks of the rewind weights that the state of `job` holds: all of them unless `known` says less."""
        return {name: self.known[name] if self.known else torch.ones_like(mask) for name, mask in job.masks.items()}

    def inverted_masks(self) -> Masks:
        """Return the masks that keep the lowest scores. Raises RecipeError where no search can be asked for them."""
        if self.inverted is None:
            raise RecipeError(f"arms: {self.arm} needs the scores of a search: it goes with ticketzoo find")
        return self.inverted

    def other_training(self) -> Twin:
        """Return the twin. Raises RecipeError where no search has trained one."""
        if self.twin is None:
            raise RecipeError(f"arms: {self.arm} needs another dense training: it goes with ticketzoo find")
        return self.twin

    def step_0(self, job: Job) -> State:
        """Return the weights of step 0 of the training that found the ticket.

        Raises RecipeError where they are not known. In a plan, where those of later steps are not, both are kept apart.
        """
        if self.begun is None:
            raise RecipeError(f"arms: {self.arm} needs the weights of step 0: it goes with ticketzoo find")
        state = self.begun()
        return {name: tensor + 0.01 for name, tensor in state.items()} if isinstance(job.state, Unknown) else state

    def seed(self, job: Job) -> int:
        """Return the seed of this draw's random numbers, which follows from the seed of `job`."""
        return derive_seed(job.seed, self.arm, self.number)

    def initial_state(self, job: Job) -> State:
        """Return a fresh initialisation of this draw: neither the ticket's nor that of the dense arm.

        Beside a ticket that is used as it is, what its search would make of it: scaled, say, or signs of one magnitude.
        """
        fresh = initial_state(job.architecture, job.seed, self.arm, self.number)
        return self.search.shown(fresh, job.masks) if self.search and is_untrained(job.learn) else fresh

    def rewind_weights(self, job: Job) -> State:
        """Return the state of `job`, with pretrained or freshly initialised weights where it holds none."""
        if not self.known:
            return dict(job.state)
        other = self.pretrained or self.initial_state(job)
        filled = {name: torch.where(mask, job.state[name], other[name]) for name, mask in self.known.items()}
        return {**job.state, **filled}
