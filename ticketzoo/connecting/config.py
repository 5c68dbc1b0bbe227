"""Settings of `ticketzoo connect`."""

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, Field, NonNegativeInt

from ticketzoo.aligning import ALIGNMENTS
from ticketzoo.instability.recipe import LineConfig
from ticketzoo.recipe import Config, Seed
from ticketzoo.recipe.reading import parse_recipe

ConfigT = TypeVar("ConfigT", bound=Config)
Threshold = Annotated[float, Field(gt=0)]


NONE = "none"
"""In place of an alignment: units stay as they are."""


class LinesConfig(Config):
    """Settings that all lines have.

    Attributes:
        name: of the ticket that the run found.
        line: points on each line, the split that is looked at, and whether for its error or loss.
        seeds: replicates to look at; all of the run by default.
    """

    name: str
    line: LineConfig = LineConfig(points=11)
    seeds: tuple[Seed, ...] | None = None


class LevelsConfig(LinesConfig):
    """Settings of level connectivity (Paul et al. 2023).

    Attributes:
        threshold: barrier, in the unit of what is measured (0.02 is 2 points of error), up to which two levels are
            connected.
        epsilon: error above dense's up to which a level is matching; by default one standard deviation of dense's
            error over seeds.
    """

    threshold: Threshold = 0.02
    epsilon: Annotated[float, Field(ge=0)] | None = None


def _known_alignment(name: str) -> str:
    return name if name == NONE else ALIGNMENTS.known(name)


class PairsConfig(LinesConfig):
    """Settings of lines between replicates.

    Attributes:
        align: name of an alignment of their hidden units, or `none`.
        level: of the trained networks at the ends; 0 is dense, which decides the alignment at every level.
    """

    align: Annotated[str, AfterValidator(_known_alignment)] = NONE
    level: NonNegativeInt = 0


def config_of(kind: type[ConfigT], name: str, asked: Mapping[str, Any]) -> ConfigT:
    """Return the settings that options ask for. Raises RecipeError where one cannot be.

    Args:
        kind: of settings.
        name: of the ticket.
        asked: keys of the line and of `kind`; None for a default.
    """
    of_line = {key: asked[key] for key in asked if key in LineConfig.model_fields}
    others = {key: value for key, value in asked.items() if key not in of_line and value is not None}
    return parse_recipe({"name": name, "line": of_line, **others}, kind, "of ticketzoo connect")
