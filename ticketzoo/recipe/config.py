from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ticketzoo.util.text import written_as

Seed = Annotated[int, Field(ge=0, lt=2**31)]
"""A seed that a recipe gives."""

RecipeName = Annotated[
    str,
    AfterValidator(
        written_as(r"[a-z0-9][a-z0-9._-]{0,95}", "small letters and digits, after the first also '.', '_' and '-'")
    ),
]
"""The name of a recipe, which names its folder."""

DataName = Annotated[
    str,
    AfterValidator(written_as(r"\w[\w .-]{0,95}", "letters, digits and '_', after the first also spaces, '.' and '-'")),
]
"""What to call a data set or target in results, plots and their files' names."""


class Config(BaseModel):
    """Base of every recipe section: immutable, and an unknown key or a number that is not finite is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
