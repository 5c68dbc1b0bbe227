from pydantic import BaseModel, ConfigDict


class Config(BaseModel):
    """Base of every recipe section: immutable, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)
