"""The arms of a comparison: trainings that a ticket is held against before it is called matching or winning.

A further arm is one function; recipes, tables, plots and cards read the table `ARMS`:

    @ARMS.add("fresh_biases", drawn=True, masks="the ticket's", weights="the rewind weights, biases drawn anew")
    def fresh_biases(job: Job, draw: Draw) -> Job: ...
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated, TypeAlias

from pydantic import AfterValidator

from ticketzoo.errors import RecipeError
from ticketzoo.evaluation.arm_table import ARMS as ARMS
from ticketzoo.evaluation.arm_table import ArmEntry
from ticketzoo.evaluation.draw import Draw as Draw
from ticketzoo.evaluation.drawing import Style as Style
from ticketzoo.evaluation.drawing import default_style
from ticketzoo.masks.masks import kept
from ticketzoo.masks.random import permuted, random_masks, rescaled, shuffled_masks
from ticketzoo.masks.topk import keep_largest
from ticketzoo.models.create import initial_state
from ticketzoo.training.job import Job
from ticketzoo.training.parametrisation import WEIGHTS, is_untrained

TICKET, DENSE = "ticket", "dense"
"""The two arms that every comparison has: what is judged, and the network without masks that it is held against."""

CHANCE = "chance"
"""Name in rows of the best guess that takes no notice of the input. It is no training, so no arm of the table."""
CHANCE_STYLE = Style("#999999", "", ":")

FIND_ARMS = (TICKET, DENSE, "random_reinit", "random_mask")
"""Arms of a search where a recipe names none."""

SCALE_ARMS = ("permuted_values", "large_init", "rescaled_reinit")
"""Further arms that a claim of transfer needs: they start as large as the ticket does."""


def pretrained_arms(arms: tuple[str, ...]) -> tuple[str, ...]:
    """Return default arms for a pretrained model: one-shot magnitude in place of fresh initialisations."""
    swapped = {"random_reinit": "magnitude", "rescaled_reinit": None}
    return tuple(name for name in (swapped.get(arm, arm) for arm in arms) if name)


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
    weights="a fresh initialisation; of a pretrained model its own weights",
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
    perturbs=True,
    masks="the ticket's",
    weights="a fresh initialisation",
    style=Style("#D55E00", "s"),
    verdict_control=True,
    expected=True,
    cite="Frankle & Carbin 2019",
)
def random_reinit(job: Job, draw: Draw) -> Job:
    """Return the training of the ticket's masks on a fresh initialisation, from step 0 with its warm-up.

    With `Draw.reinit_from` "rewind-step" it starts at the ticket's step, and is as short as the ticket's training.
    """
    return replace(job, state=draw.initial_state(job), start_step=draw.fresh_step(job))


@ARMS.add(
    "random_mask",
    drawn=True,
    least_draws=2,
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
    same_as="random_mask",
    cite="Frankle et al. 2021, section 4",
)
def shuffled_mask(job: Job, draw: Draw) -> Job:
    """Return the training of the rewind weights under the ticket's masks, permuted within each layer.

    The older name of a further draw of `random_mask`: the positions are as uniform.
    """
    return replace(job, state=draw.rewind_weights(job), masks=shuffled_masks(job.masks, draw.seed(job)))


@ARMS.add(
    "magnitude",
    drawn=False,
    masks="the smallest of the pretrained weights, in one shot",
    weights="the pretrained weights",
    legend="one-shot magnitude",
    style=Style("#E69F00", "v"),
    verdict_control=True,
    cite="Chen et al. 2020, section 3",
)
def magnitude(job: Job, draw: Draw) -> Job:
    """Return the training of the largest rewind weights over all layers, as many as the ticket keeps.

    They are found without any training: one-shot pruning of the pretrained weights.
    """
    return replace(job, masks=keep_largest(job.state, draw.among(job), kept(job.masks)))


@ARMS.add(
    "permuted_values",
    drawn=True,
    perturbs=True,
    masks="the ticket's",
    weights="the kept rewind weights, permuted within each layer",
    style=Style("#56B4E9", "P"),
    verdict_control=True,
    cite="Zhou et al. 2019, section 3",
)
def permuted_values(job: Job, draw: Draw) -> Job:
    """Return the training of the ticket's masks on its kept values, permuted among themselves in each layer."""
    return replace(job, state={**job.state, **permuted(job.state, job.masks, draw.seed(job))})


@ARMS.add(
    "large_init",
    drawn=False,
    masks="the largest of the rewind weights, each layer as dense as the ticket's",
    weights="the rewind weights",
    style=Style("#882255", "X"),
    verdict_control=True,
    cite="Zhou et al. 2019, section 2",
)
def large_init(job: Job, draw: Draw) -> Job:
    """Return the training of the largest rewind weights of each layer, which are chosen without any training."""
    among = draw.among(job)
    masks = {name: keep_largest(job.state, {name: among[name]}, int(mask.sum())) for name, mask in job.masks.items()}
    return replace(job, masks={name: mask for of_layer in masks.values() for name, mask in of_layer.items()})


@ARMS.add(
    "rescaled_reinit",
    drawn=True,
    perturbs=True,
    masks="the ticket's",
    weights="a fresh initialisation, scaled in each layer to the size of the kept rewind weights",
    style=Style("#999933", "p"),
    verdict_control=True,
)
def rescaled_reinit(job: Job, draw: Draw) -> Job:
    """Return the training of the ticket's masks on fresh values with the root mean square of its own in each layer."""
    fresh = draw.initial_state(job)
    scaled = {name: rescaled(fresh[name], job.state[name], mask) for name, mask in job.masks.items()}
    return replace(job, state={**fresh, **scaled}, start_step=draw.fresh_step(job))


@ARMS.add(
    "dense_long",
    drawn=False,
    once=True,
    masks="none",
    weights="as dense, trained for as many iterations as all of the search for the ticket",
    style=Style("#332288", "", ":"),
)
def dense_long(job: Job, draw: Draw) -> Job:
    """Return the training of dense with the budget of the whole search: what the computation alone buys."""
    learn = WEIGHTS if is_untrained(job.learn) else job.learn
    return replace(dense(job, draw), training=job.training.times(draw.trainings), learn=learn)


def _unknown(job: Job, draw: Draw) -> Job:
    raise RecipeError(f"arm {draw.arm!r} is not in the table of arms; register it before it is trained")


def arm_entry(name: str) -> ArmEntry:
    """Return the entry of `name`; of an arm that rows name and the table does not, one with the defaults."""
    return ARMS[name] if name in ARMS else ArmEntry(name, _unknown, drawn=False, label=name)


def arm_label(name: str) -> str:
    """Return the heading of an arm in tables, such as "random mask"."""
    return arm_entry(name).label or name.replace("_", " ")


def arm_legend(name: str) -> str:
    """Return the label of an arm in plots."""
    return arm_entry(name).legend or arm_label(name)


def arm_style(name: str) -> Style:
    """Return the look of an arm's curve; of an arm that states none, the same one in every plot."""
    return CHANCE_STYLE if name == CHANCE else arm_entry(name).style or default_style(name)


def in_order(names: Iterable[str]) -> list[str]:
    """Return the distinct names of arms as tables show them: those of the table in its order, then any others."""
    given = set(names)
    return [name for name in ARMS if name in given] + sorted(given - set(ARMS))


def controls_among(names: Iterable[str]) -> tuple[str, ...]:
    """Return the arms, each once, that need trainings of their own: all but ticket and dense."""
    return tuple(name for name in dict.fromkeys(names) if name not in (TICKET, DENSE))


def one_of(name: str) -> str:
    """Return the arm that an arm's rows are read as: the one whose distribution it draws from, mostly itself."""
    return arm_entry(name).same_as or name
