"""The trainings that a ticket's training at a level is compared with, and the labels of their rows."""

from collections.abc import Iterable, Iterator
from typing import TypedDict

from ticketzoo.errors import RunError, TicketError
from ticketzoo.evaluation.arms import ARMS, DENSE, TICKET, Draw
from ticketzoo.masks.masks import Masks, check_masks
from ticketzoo.models.state import State
from ticketzoo.training.job import Job


class Labels(TypedDict):
    """The columns of a row that say what was trained."""

    ticket: str
    level: int
    sparsity: float
    arm: str
    target: str
    seed: int
    draw: int


def ticket_labels(*, ticket: str, level: int, sparsity: float, target: str, seed: int) -> Labels:
    """Return the labels of the rows of a ticket's training."""
    return Labels(ticket=ticket, level=level, sparsity=sparsity, arm=TICKET, target=target, seed=seed, draw=0)


def dense_labels(labels: Labels) -> Labels:
    """Return the labels of the dense arm beside a ticket's: of level 0, which has no sparsity."""
    return {**labels, "level": 0, "sparsity": 0.0, "arm": DENSE}


def dense_training(job: Job, labels: Labels, *, pretrained: State | None = None) -> tuple[Job, Labels]:
    """Return the dense training beside the ticket's training `job`, and the labels of its rows."""
    return ARMS[DENSE].make(job, Draw(DENSE, pretrained=pretrained)), dense_labels(labels)


def control_trainings(
    job: Job,
    labels: Labels,
    arms: Iterable[str],
    *,
    draws: int = 1,
    known: Masks | None = None,
    pretrained: State | None = None,
) -> Iterator[tuple[Job, Labels]]:
    """Yield the trainings of `arms` beside a ticket's training, each made when its turn comes.

    Args:
        job: the ticket's training at a level.
        labels: of the ticket's rows.
        arms: names in `ARMS`, without ticket and dense (`controls_among`).
        draws: random draws of each drawn arm.
        known: see `Draw.known`.
        pretrained: see `Draw.pretrained`.

    Yields:
        a training, and the labels of its rows.

    Raises:
        RunError: an arm gave no training, or one with masks that do not fit.
    """
    for arm in arms:
        for number in range(ARMS[arm].draws(draws)):
            draw = Draw(arm, number, labels["level"], known, pretrained)
            yield _made(job, draw), {**labels, "arm": arm, "draw": number}


def _made(job: Job, draw: Draw) -> Job:
    made = ARMS[draw.arm].make(job, draw)
    if not isinstance(made, Job):
        raise RunError(f"arm {draw.arm!r} gave a {type(made).__name__}, not a training: return replace(job, ...)")
    try:
        check_masks(made.masks, {name: tensor.shape for name, tensor in job.state.items()})
    except TicketError as error:
        raise RunError(f"arm {draw.arm!r}: {error}") from None
    return made


def count_controls(arms: Iterable[str], draws: int) -> int:
    """Return how many trainings `control_trainings` yields."""
    return sum(ARMS[arm].draws(draws) for arm in arms)
