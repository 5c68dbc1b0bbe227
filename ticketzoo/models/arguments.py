"""Typed arguments of architectures: bounded, because they also come from tickets that strangers published."""

from difflib import get_close_matches
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, ConfigDict, Field, ValidationError

from ticketzoo.errors import ModelError
from ticketzoo.models.initialisation import Initialisation
from ticketzoo.recipe import Config

Channels = Annotated[int, Field(ge=1, le=256)]
Side = Annotated[int, Field(ge=1, le=1024)]
Shape = Annotated[tuple[Channels, Side, Side], BeforeValidator(lambda v: tuple(v) if isinstance(v, list) else v)]
Classes = Annotated[int, Field(ge=1, le=50_000)]
Width = Annotated[float, Field(gt=0, le=64, allow_inf_nan=False)]


class Arguments(Config):
    """What every architecture takes: class count, image shape (channels, height, width), initialisation."""

    model_config = ConfigDict(strict=True)

    num_classes: Classes = 10
    in_shape: Shape = (3, 32, 32)
    init: Initialisation = "default"


ArgumentsT = TypeVar("ArgumentsT", bound=Arguments)


def parse_arguments(model: str, kind: type[ArgumentsT], kwargs: dict[str, Any]) -> ArgumentsT:
    """Check `kwargs` against `kind`. Raises ModelError, one line that names the argument, for the first misfit."""
    try:
        return kind(**kwargs)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
    argument = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        raise ModelError(f"{model} has no argument {argument[:80]!r}; {suggest(argument, list(kind.model_fields))}")
    raise ModelError(f"{model}: argument {argument}={shorten(first['input'])}: {first['msg'].lower()}")


def suggest(wrong: str, right: list[str], what: str = "it takes") -> str:
    """`did you mean ...?` with the names nearest to `wrong`, or all of `right` when none is near."""
    near = get_close_matches(wrong[:80], right, n=4, cutoff=0.5)
    return f"did you mean {' or '.join(near)}?" if near else f"{what} {', '.join(right)}"


def shorten(value: object) -> str:
    """`repr` of an untrusted value, cut to 80 characters."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
