"""The range of a plot, and the bands in it, that stay readable where seeds are few, noisy, or all the same."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ticketzoo.evaluation.statistics import Summary

ROOM = 0.35
"""How far an interval may go beyond the measured values, as a fraction of their range."""
EDGE = 0.05
"""How far the range may go beyond a bound of the metric, as a fraction of the range of measured values."""
NOTE = "95% intervals of the mean, or from the smallest to the largest seed where those are wider than the plot"


class Measured(Protocol):
    """A value for each seed."""

    @property
    def by_seed(self) -> Mapping[int, float]:
        """Return the values by seed."""

    @property
    def summary(self) -> Summary:
        """Return their mean and interval."""


@dataclass(frozen=True)
class Range:
    """The values that an axis shows, in the axis's unit."""

    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Tell whether a value is shown."""
        return self.low <= value <= self.high

    def band(self, measured: Measured, scale: float) -> tuple[float, float, bool]:
        """Return the band to draw around a mean, and whether it is an interval.

        An interval that leaves the range (of two seeds it is 12.7 standard errors to either side) says no more than
        the seeds: then the band goes from the smallest to the largest of them.
        """
        summary = measured.summary
        if summary.low is None or summary.high is None:
            return summary.mean * scale, summary.mean * scale, True
        low, high = summary.low * scale, summary.high * scale
        if summary.ranged:
            return low, high, False
        if self.holds(low) and self.holds(high):
            return low, high, True
        values = [value * scale for value in measured.by_seed.values()]
        return min(values), max(values), False


def shown_range(
    groups: Iterable[Measured],
    scale: float,
    *,
    least: float = 0.0,
    also: Sequence[float] = (),
    bounds: tuple[float, float] = (-math.inf, math.inf),
) -> Range:
    """Return a range with room around every measured value and `also`, at least as long as `least`.

    It ends at `bounds`, a little beyond, so that a curve there is seen whole.
    """
    values = [value * scale for group in groups for value in group.by_seed.values()] + list(also)
    low, high = min(values), max(values)
    least = least or 0.1 * max(abs(low), abs(high)) or 1.0
    lacking = max(0.0, least - (high - low)) / 2
    low, high = low - lacking, high + lacking
    room, edge = ROOM * (high - low), EDGE * (high - low)
    return Range(max(low - room, bounds[0] - edge), min(high + room, bounds[1] + edge))
