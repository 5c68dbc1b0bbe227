"""The trainings that a ticket's training at a level is compared with, and the labels of their rows."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypedDict

from ticketzoo.errors import RunError, TicketError
from ticketzoo.evaluation.arms import ARMS, DENSE, TICKET, Draw
from ticketzoo.evaluation.draw import MaskSearch, ReinitFrom, Twin
from ticketzoo.masks.masks import Masks, check_masks
from ticketzoo.models.state import State
from ticketzoo.training.job import Job
from ticketzoo.training.parametrisation import NOTHING, measuring


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


def arm_words(labels: Labels) -> str:
    """Return the arm and, of one that is drawn, the number of the draw, as rows have them: "random_mask draw 1"."""
    return f"{labels['arm']} draw {labels['draw']}" if ARMS[labels["arm"]].drawn else labels["arm"]


def dense_training(job: Job, labels: Labels, *, pretrained: State | None = None) -> tuple[Job, Labels]:
    """Return the dense training beside the ticket's training `job`, and the labels of its rows."""
    return ARMS[DENSE].make(job, Draw(DENSE, pretrained=pretrained)), dense_labels(labels)


@dataclass(frozen=True)
class Controls:
    """The arms that a ticket's trainings are compared with, and how they are made.

    Attributes:
        arms: names in `ARMS`, without ticket and dense (`controls_among`).
        draws: random draws of each drawn arm; None for each arm's own number.
        reinit_from: see `Draw.reinit_from`.
        trainings: see `Draw.trainings`.
        search: see `Draw.search`.
    """

    arms: tuple[str, ...]
    draws: int | None = None
    reinit_from: ReinitFrom = "start"
    trainings: int = 2
    search: MaskSearch | None = None

    def count(self, levels: int) -> int:
        """Return the number of their trainings of a seed at so many levels, those of twins included."""
        own = sum(ARMS[arm].draws(self.draws) * (1 if ARMS[arm].once else levels) for arm in self.arms)
        return own + self.twins

    @property
    def twins(self) -> int:
        """Other dense trainings that a seed needs: one for each draw, shared by the arms on them."""
        return max((ARMS[arm].draws(self.draws) for arm in self.arms if ARMS[arm].twin), default=0)

    @property
    def inverts(self) -> bool:
        """True where one of them asks the search for masks of the lowest scores."""
        return any(ARMS[arm].inverts for arm in self.arms)

    def beside(
        self,
        job: Job,
        labels: Labels,
        *,
        known: Masks | None = None,
        pretrained: State | None = None,
        inverted: Masks | None = None,
        twins: Mapping[int, Twin] | None = None,
        begun: Callable[[], State] | None = None,
        once: bool,
    ) -> Iterator[tuple[Job, Labels]]:
        """Yield the trainings beside a ticket's training, each made when its turn comes.

        Args:
            job: the ticket's training at a level.
            labels: of the ticket's rows.
            known: see `Draw.known`.
            pretrained: see `Draw.pretrained`.
            inverted: see `Draw.inverted`.
            twins: see `Draw.twin`, by number of the draw.
            begun: see `Draw.begun`.
            once: True at one of the levels, at which the arms without levels are trained.

        Yields:
            a training, and the labels of its rows.

        Raises:
            RunError: an arm gave no training, or one with masks that do not fit.
        """
        for arm in self.arms:
            if ARMS[arm].once and not once:
                continue
            of_arm, level = dense_labels(labels) if ARMS[arm].once else labels, labels["level"]
            for number in range(ARMS[arm].draws(self.draws)):
                how, twin = (self.reinit_from, self.trainings), (twins or {}).get(number)
                draw = Draw(arm, number, level, known, pretrained, *how, inverted, self.search, twin, begun)
                yield _made(job, draw), {**of_arm, "arm": arm, "draw": number}


def _made(job: Job, draw: Draw) -> Job:
    made = ARMS[draw.arm].make(job, draw)
    if not isinstance(made, Job):
        raise RunError(f"arm {draw.arm!r} gave a {type(made).__name__}, not a training: return replace(job, ...)")
    try:
        check_masks(made.masks, {name: tensor.shape for name, tensor in job.state.items()})
    except TicketError as error:
        raise RunError(f"arm {draw.arm!r}: {error}") from None
    # running statistics of the ticket are of its own mask
    return replace(made, learn=measuring(made.state)) if made.learn == NOTHING else made
