"""Kinds of values in ticket.json, each with its bounds, and the base of every object in it."""

from typing import Annotated, Any, TypeAlias

from pydantic import BaseModel, ConfigDict, FailFast, Field, StringConstraints, WrapValidator

MAX_WEIGHTS = 2**40

Text: TypeAlias = Annotated[str, StringConstraints(max_length=1000)]
TicketName: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]+([._-][A-Za-z0-9]+)*$", max_length=96)]
TaskName: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)]
TensorName: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[\w:-]+(\.[\w:-]+)*$", max_length=512)]
Sha256: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Count: TypeAlias = Annotated[int, Field(ge=0, le=MAX_WEIGHTS)]
Sparsity: TypeAlias = Annotated[float, Field(ge=0, lt=1)]
Seed: TypeAlias = Annotated[int, Field(ge=0, lt=2**63)]
Level: TypeAlias = Annotated[int, Field(ge=0, le=10_000)]
Kept: TypeAlias = Annotated[int, Field(ge=1, le=MAX_WEIGHTS)]


def _one_by_one(value: Any, check: Any) -> Any:
    if not isinstance(value, dict):
        return check(value)
    return {key: item for entry in value.items() for key, item in check(dict([entry])).items()}


class _First(FailFast):
    __hash__ = object.__hash__  # so that it can stand in a union


FIRST = _First()
"""Marks a list that is refused at its first wrong item: an error each would take far more memory than the file."""
FIRST_ENTRY = WrapValidator(_one_by_one)
"""The same of an object, at its first wrong entry."""


class Part(BaseModel):
    """Base of every part of ticket.json: immutable, nothing is converted, unknown keys are kept."""

    model_config = ConfigDict(strict=True, frozen=True, extra="allow", allow_inf_nan=False)


def of_format_2(default: Any = None) -> Any:
    """Return a field that format 1 does not have: it is left out of ticket.json where it has its default."""
    return Field(default=default, exclude_if=lambda value: value == default, json_schema_extra={"format": 2})
