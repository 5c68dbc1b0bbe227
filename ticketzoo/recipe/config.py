from pydantic import BaseModel, ConfigDict


class Config(BaseModel):
    """Base of every recipe section: immutable, and an unknown key or a number that is not finite is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
