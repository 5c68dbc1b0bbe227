"""Settings of `ticketzoo connect`."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from ticketzoo.instability.recipe import LineConfig
from ticketzoo.recipe import Config, Seed
from ticketzoo.recipe.reading import parse_recipe

Threshold = Annotated[float, Field(gt=0)]


class LevelsConfig(Config):
    """Settings of level connectivity (Paul et al. 2023).

    Attributes:
        name: of the ticket that the run found.
        line: points on each line, and the split that the error is measured on.
        threshold: barrier, in the metric's unit (0.02 is 2 points of error), up to which two levels are connected.
        epsilon: error above dense's up to which a level is matching; by default one standard deviation of dense's
            error over seeds.
        seeds: replicates to look at; all of the run by default.
    """

    name: str
    line: LineConfig = LineConfig(points=11)
    threshold: Threshold = 0.02
    epsilon: Annotated[float, Field(ge=0)] | None = None
    seeds: tuple[Seed, ...] | None = None


def levels_config(name: str, asked: Mapping[str, Any]) -> LevelsConfig:
    """Return the settings that options ask for. Raises RecipeError where one cannot be.

    Args:
        name: of the ticket.
        asked: `points` and `split` of the line, and keys of `LevelsConfig`; None for a default.
    """
    of_line = {key: asked[key] for key in ("points", "split")}
    others = {key: value for key, value in asked.items() if key not in of_line and value is not None}
    return parse_recipe({"name": name, "line": of_line, **others}, LevelsConfig, "of ticketzoo connect")
