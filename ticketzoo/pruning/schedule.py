"""Schedules: how many weights a level keeps."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from ticketzoo.errors import RecipeError
from ticketzoo.util.registry import Registry


class ScheduleKeys(Protocol):
    """The keys of a recipe's `finder` section that schedules read: see `ticketzoo.pruning.config.PruningConfig`."""

    @property
    def rate_of(self) -> str:
        """The weights that `rate` is a fraction of: `survivors` or `original`."""
        ...

    @property
    def sparsities(self) -> tuple[float, ...]:
        """Fraction removed at levels 1, 2, ..."""
        ...


@dataclass(frozen=True)
class Schedule:
    """A row of `SCHEDULES`.

    Attributes:
        name: by which recipes ask for it.
        make: `make(keys, level, survivors, original, rate)` gives how many of `survivors`, left of `original` weights,
            stay at `level`. `rate` is that of the layer, if the recipe gives it one.
        cite: where it comes from.
    """

    name: str
    make: Callable[[ScheduleKeys, int, int, int, float], int]
    cite: str


SCHEDULES: Registry[Schedule] = Registry("schedule", Schedule, error=RecipeError)


@SCHEDULES.add("rate", cite="Frankle & Carbin 2019, section 2; of the original weights: Chen et al. 2020, section 3")
def by_rate(keys: ScheduleKeys, level: int, survivors: int, original: int, rate: float) -> int:
    """Keep all but `round(rate * survivors)`, half to even; with `rate_of: original`, of all weights."""
    return max(0, survivors - round(rate * (survivors if keys.rate_of == "survivors" else original)))


@SCHEDULES.add("sparsities", cite="one pruning per target, as in pruning at initialization")
def by_sparsities(keys: ScheduleKeys, level: int, survivors: int, original: int, rate: float) -> int:
    """Keep `round((1 - sparsity) * original)`, half to even, with the sparsity that the recipe gives for the level."""
    if level > len(keys.sparsities):
        raise RecipeError(f"finder.sparsities has none for level {level}: list one for each of finder.levels")
    return min(survivors, round((1 - keys.sparsities[level - 1]) * original))
