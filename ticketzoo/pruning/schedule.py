"""Schedules: how many weights a level keeps."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, field_validator

from ticketzoo.errors import RecipeError
from ticketzoo.models.layers import matches
from ticketzoo.pruning.part import Part, PartConfig
from ticketzoo.util.registry import Registry

Rate = Annotated[float, Field(gt=0, lt=1)]
Sparsity = Annotated[float, Field(gt=0, lt=1)]


@dataclass(frozen=True)
class Schedule(Part):
    """A row of `SCHEDULES`.

    `make(level, survivors, original, layer)` gives how many of `survivors`, left of `original`, stay at `level` (1, 2,
    ...). `layer` is the name of the parameter, or None where those of several are ranked together.

    Attributes:
        milder: advice, in words, by which key more weights stay; none where there is no such key.
    """

    milder: str = ""


SCHEDULES: Registry[Schedule] = Registry("schedule", Schedule, error=RecipeError)


class RateConfig(PartConfig):
    """The keys of schedule `rate`.

    Attributes:
        name: name of the schedule.
        rate: fraction that a round removes of the survivors; with `rate_of: original` of all prunable weights.
        rate_of: weights that `rate` is a fraction of: those that survive, or all prunable ones.
        rates: fraction that a round removes of a layer, by pattern of layer names, where each layer is ranked alone;
            the first that matches counts.
    """

    name: str = "rate"
    rate: Rate = 0.2
    rate_of: Literal["survivors", "original"] = "survivors"
    rates: dict[str, Rate] = Field(default={})

    @property
    def layer_patterns(self) -> tuple[str, ...]:
        """Patterns of `rates`."""
        return tuple(self.rates)


@SCHEDULES.add(
    "rate",
    config=RateConfig,
    cite="Frankle & Carbin 2019, section 2; of the original weights: Chen et al. 2020, section 3",
    words="a fraction a round",
    milder="lower the rate",
)
def by_rate(level: int, survivors: int, original: int, layer: str | None, *, config: RateConfig) -> int:
    """Keep all but `round(rate * survivors)`, half to even; with `rate_of: original`, of all weights."""
    rates = (rate for pattern, rate in config.rates.items() if layer is not None and matches(layer, pattern))
    rate = next(rates, config.rate)
    return max(0, survivors - round(rate * (survivors if config.rate_of == "survivors" else original)))


class LevelsConfig(PartConfig):
    """The keys of schedule `levels`.

    Attributes:
        name: name of the schedule.
        levels: the sparsity (fraction removed of all prunable weights) of levels 1, 2, ..., rising.
    """

    name: str = "levels"
    levels: Annotated[tuple[Sparsity, ...], Field(min_length=1)]

    @field_validator("levels")
    @classmethod
    def _rise(cls, levels: tuple[float, ...]) -> tuple[float, ...]:
        if list(levels) != sorted(set(levels)):
            raise ValueError("sparsities must rise from level to level")
        return levels

    def check_levels(self, levels: int) -> None:
        """Raise ValueError unless there is a sparsity for each level."""
        if len(self.levels) != levels:
            raise ValueError(f"prune.schedule.levels lists {len(self.levels)} sparsities for {levels} levels: one each")


@SCHEDULES.add(
    "levels",
    config=LevelsConfig,
    cite="Frankle et al. 2021, section 2",
    words="a list of sparsities, one a level",
    milder="lower the sparsities of finder.prune.schedule.levels",
)
def by_levels(level: int, survivors: int, original: int, layer: str | None, *, config: LevelsConfig) -> int:
    """Keep `round((1 - sparsity) * original)`, half to even, with the sparsity listed for the level."""
    if level > len(config.levels):
        raise RecipeError(f"finder.prune.schedule.levels has no sparsity for level {level}: list one for each level")
    return min(survivors, round((1 - config.levels[level - 1]) * original))
