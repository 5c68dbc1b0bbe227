from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Seed = Annotated[int, Field(ge=0, lt=2**31)]
"""A seed that a recipe gives."""

RecipeName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,95}$")]
"""The name of a recipe, which names its folder."""

DataName = Annotated[str, Field(pattern=r"^\w[\w .-]{0,95}$")]
"""What to call a data set or target in results, plots and their files' names."""


class Config(BaseModel):
    """Base of every recipe section: immutable, and an unknown key or a number that is not finite is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
