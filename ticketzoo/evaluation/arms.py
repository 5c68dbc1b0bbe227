"""The arms of a comparison: trainings that a ticket is held against before it is called matching or winning.

A further arm is one function; recipes, tables, plots and cards read the table `ARMS`:

    @ARMS.add("fresh_biases", drawn=True, masks="the ticket's", weights="the rewind weights, biases drawn anew")
    def fresh_biases(job: Job, draw: Draw) -> Job: ...
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Annotated, TypeAlias

import torch
from pydantic import AfterValidator

from ticketzoo.errors import RecipeError
from ticketzoo.evaluation.draw import Draw as Draw
from ticketzoo.evaluation.drawing import Style as Style
from ticketzoo.evaluation.drawing import default_style
from ticketzoo.masks.masks import kept
from ticketzoo.masks.random import random_masks, shuffled_masks
from ticketzoo.masks.topk import keep_largest
from ticketzoo.models.create import initial_state
from ticketzoo.training.job import Job
from ticketzoo.util.registry import Registry

TICKET, DENSE = "ticket", "dense"
"""The two arms that every comparison has: what is judged, and the network without masks that it is held against."""


@dataclass(frozen=True)
class ArmEntry:
    """An arm of the table.

    Attributes:
        name: as recipes and rows write it.
        make: from the ticket's training and a `Draw` to the arm's training.
        drawn: True where `Draw.number` matters: a recipe's `draws` asks for that many trainings a seed.
        masks: the arm's masks in words.
        weights: the weights it starts from, in words.
        label: heading of its column in tables; its name by default.
        legend: label of its curve in plots; `label` by default.
        style: look of its curve; by default one that follows from the name.
        verdict_control: True for an arm that a winning ticket must lie clear of.
        expected: True for an arm that model cards name where it was not measured.
        cite: the paper that it is from.
    """

    name: str
    make: Callable[[Job, Draw], Job]
    drawn: bool
    masks: str = ""
    weights: str = ""
    label: str = ""
    legend: str = ""
    style: Style | None = None
    verdict_control: bool = False
    expected: bool = False
    cite: str = ""

    def draws(self, draws: int) -> int:
        """Return how many trainings a recipe with `draws` asks for at each level and seed."""
        return draws if self.drawn else 1


ARMS = Registry("arm", ArmEntry, error=RecipeError)
"""The arms, in the order that tables and plots show them."""

Arm: TypeAlias = Annotated[str, AfterValidator(ARMS.known)]
"""A name in `ARMS`."""


@ARMS.add(
    "ticket",
    drawn=False,
    masks="the ticket's",
    weights="the ticket's rewind weights",
    style=Style("#0072B2", "o"),
    expected=True,
)
def ticket(job: Job, draw: Draw) -> Job:
    """Return the ticket's training as it is."""
    return job


@ARMS.add(
    "dense",
    drawn=False,
    masks="none",
    weights="a fresh initialisation; of a pretrained encoder its own weights",
    style=Style("#444444", "", "--"),
    expected=True,
)
def dense(job: Job, draw: Draw) -> Job:
    """Return the training without masks, from step 0: from the seed's initialisation or the pretrained weights."""
    start = draw.pretrained or initial_state(job.architecture, job.seed)
    return replace(job, state=start, masks={}, start_step=0)


@ARMS.add(
    "random_reinit",
    drawn=True,
    masks="the ticket's",
    weights="a fresh initialisation",
    style=Style("#D55E00", "s"),
    verdict_control=True,
    expected=True,
    cite="Frankle & Carbin 2019",
)
def random_reinit(job: Job, draw: Draw) -> Job:
    """Return the training of the ticket's masks on a fresh initialisation, from its start step on: as long as it."""
    return replace(job, state=draw.initial_state(job))


@ARMS.add(
    "random_mask",
    drawn=True,
    masks="drawn at random, each layer as dense as the ticket's",
    weights="the rewind weights",
    style=Style("#009E73", "^"),
    verdict_control=True,
    expected=True,
    cite="Frankle & Carbin 2019",
)
def random_mask(job: Job, draw: Draw) -> Job:
    """Return the training of the rewind weights under fresh positions, each layer at the ticket's density."""
    return replace(job, state=draw.rewind_weights(job), masks=random_masks(job.masks, draw.seed(job)))


@ARMS.add(
    "shuffled_mask",
    drawn=True,
    masks="the ticket's, permuted within each layer",
    weights="the rewind weights",
    style=Style("#CC79A7", "D"),
    expected=True,
    cite="Frankle et al. 2021, section 4",
)
def shuffled_mask(job: Job, draw: Draw) -> Job:
    """Return the training of the rewind weights under the ticket's masks, permuted within each layer."""
    return replace(job, state=draw.rewind_weights(job), masks=shuffled_masks(job.masks, draw.seed(job)))


@ARMS.add(
    "magnitude",
    drawn=False,
    masks="the smallest of the pretrained weights, in one shot",
    weights="the pretrained weights",
    legend="one-shot magnitude",
    style=Style("#E69F00", "v"),
    expected=True,
    cite="Chen et al. 2020, section 3",
)
def magnitude(job: Job, draw: Draw) -> Job:
    """Return the training of the largest rewind weights over all layers, as many as the ticket keeps.

    They are found without any training: one-shot pruning of the pretrained weights.
    """
    among = draw.known or {name: torch.ones_like(mask) for name, mask in job.masks.items()}
    covered = {name: among[name] for name in job.masks}
    return replace(job, masks=keep_largest(job.state, covered, kept(job.masks)))


def arm_entry(name: str) -> ArmEntry:
    """Return the entry of `name`; of an arm that rows name and the table does not, one with the defaults."""
    return ARMS[name] if name in ARMS else ArmEntry(name, ticket, drawn=False, label=name)


def arm_label(name: str) -> str:
    """Return the heading of an arm in tables, such as "random mask"."""
    return arm_entry(name).label or name.replace("_", " ")


def arm_legend(name: str) -> str:
    """Return the label of an arm in plots."""
    return arm_entry(name).legend or arm_label(name)


def arm_style(name: str) -> Style:
    """Return the look of an arm's curve; of an arm that states none, the same one in every plot."""
    return arm_entry(name).style or default_style(name)


def in_order(names: Iterable[str]) -> list[str]:
    """Return the distinct names of arms as tables show them: those of the table in its order, then any others."""
    given = set(names)
    return [name for name in ARMS if name in given] + sorted(given - set(ARMS))


def controls_among(names: Iterable[str]) -> tuple[str, ...]:
    """Return the arms, each once, that need trainings of their own at every level: all but ticket and dense."""
    return tuple(name for name in dict.fromkeys(names) if name not in (TICKET, DENSE))


def verdict_controls() -> tuple[str, ...]:
    """Return the arms that a winning ticket must lie clear of."""
    return tuple(entry.name for entry in ARMS.values() if entry.verdict_control)
