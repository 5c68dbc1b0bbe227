"""Numbers of a ticket that were measured again, beside those that it states."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ticketzoo.evaluation.metrics import describe, show
from ticketzoo.evaluation.statistics import t_quantile
from ticketzoo.evaluation.tables import Table

Outcome = Literal["bit-identical", "within the interval", "differs", "not comparable"]
"""How a number that was measured again compares with the stated one; of one training there is no interval."""


@dataclass(frozen=True)
class Again:
    """A training that was done again: the deciding metric at its end, as the ticket states it and as it is now.

    Attributes:
        level, arm, seed, draw: as in the ticket's rows.
        stated: by the ticket.
        measured: now.
        interval: 95% prediction interval of one more training's value, from the arm's stated ones; None of one.
        outcome: `bit-identical` where every number of the training is the stated one, the last bit included.
    """

    level: int
    arm: str
    seed: int
    draw: int
    stated: float
    measured: float
    interval: tuple[float, float] | None
    outcome: Outcome


@dataclass(frozen=True)
class Reproduction:
    """Trainings of a ticket that were done again."""

    ticket: str
    metric: str
    trainings: list[Again]
    elsewhere: list[str]
    """Lines on what the ticket was trained with that is otherwise here; bits can then differ."""
    left_out: list[str]
    """Lines on stated trainings that are not done again: as they need weights that the ticket does not hold, or are of
    other data than its source."""

    @property
    def holds(self) -> bool:
        """Tell whether nothing differs."""
        return all(one.outcome != "differs" for one in self.trainings)

    def table(self) -> Table:
        """Return a row for each training."""
        columns = ("level", "arm", "seed", "stated", "measured", "difference", "")
        rows = [
            (
                str(one.level),
                one.arm + f" (draw {one.draw})" * (one.draw > 0),
                str(one.seed),
                show(self.metric, one.stated),
                show(self.metric, one.measured),
                show(self.metric, one.measured - one.stated, sign="+"),
                one.outcome,
            )
            for one in self.trainings
        ]
        return Table(f"{describe([self.metric])} of {self.ticket}, measured again", columns, "rlrrrrl", tuple(rows))


def prediction_interval(values: Sequence[float], *, least_spread: float = 0.0) -> tuple[float, float] | None:
    """Return the 95% interval for one more training, from `values` of others, a draw of a seed each.

    `least_spread` is their least standard deviation: a few may agree to the last example, and the next one need not.
    None where there is a single value, or no spread.
    """
    spread = max(statistics.stdev(values), least_spread) if len(values) > 1 else 0.0
    if spread == 0.0:
        return None
    mean, half = statistics.fmean(values), t_quantile(len(values) - 1) * spread * math.sqrt(1 + 1 / len(values))
    return mean - half, mean + half


def outcome_within(interval: tuple[float, float] | None, measured: float) -> Outcome:
    """Return how a number compares that is not the stated one, by the interval of the stated ones."""
    if interval is None:
        return "not comparable"
    return "within the interval" if interval[0] <= measured <= interval[1] else "differs"
