"""Typed arguments of architectures, bounded because they also come from tickets that strangers published."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, ConfigDict, Field, ValidationError

from ticketzoo.errors import ModelError
from ticketzoo.models.initialisation import Initialisation
from ticketzoo.recipe import Config


def _three_sizes(value: object) -> object:
    if isinstance(value, list | tuple) and len(value) != 3:
        raise ValueError("it has three sizes: channels, height, width")
    return tuple(value) if isinstance(value, list) else value


Channels = Annotated[int, Field(ge=1, le=256)]
Side = Annotated[int, Field(ge=1, le=1024)]
Shape = Annotated[tuple[Channels, Side, Side], BeforeValidator(_three_sizes)]
ClassCount = Annotated[int, Field(ge=1, le=50_000)]
Width = Annotated[float, Field(gt=0, le=64, allow_inf_nan=False)]


class Arguments(Config):
    """The arguments of every image network: class count, image shape (channels, height, width), initialization.

    `projection` puts a layer of so many units, and ReLU, before the last one (see `ticketzoo.models.projection`).
    """

    model_config = ConfigDict(strict=True)

    num_classes: ClassCount = 10
    in_shape: Shape = (3, 32, 32)
    init: Initialisation = "default"
    projection: Annotated[int, Field(ge=1, le=65_536)] | None = Field(
        default=None, exclude_if=lambda units: units is None
    )


OF_HEAD = ("projection",)
"""Arguments that are of the head alone: a network for another task is made without them."""


class WidthArguments(Arguments):
    """`width` multiplies the channels and units of every layer but the last."""

    width: Width = 1.0

    def scale(self, units: int) -> int:
        """Return `units` times the width, rounded, at least 1."""
        return max(1, round(units * self.width))


def as_tuple(value: object) -> object:
    """Return a list, as JSON has it, as a tuple; anything else as it is."""
    return tuple(value) if isinstance(value, list) else value


Filters = Annotated[int, Field(ge=1, le=65_536)]


class FilterArguments(WidthArguments):
    """`widths` instead gives the filters of each convolution whose filters can go, in their order, as pruning left."""

    widths: Annotated[tuple[Filters, ...], BeforeValidator(as_tuple), Field(max_length=256)] | None = Field(
        default=None, exclude_if=lambda widths: widths is None
    )

    def filters(self, usual: Sequence[int]) -> list[int]:
        """Return the filters of each such convolution: `widths`, or the `usual` ones, scaled.

        Raises:
            ModelError: there are not as many.
        """
        if self.widths is None:
            return [self.scale(filters) for filters in usual]
        if len(self.widths) != len(usual):
            raise ModelError(f"widths has {len(self.widths)} numbers, and filters can go of {len(usual)} convolutions")
        return list(self.widths)


ArgumentsT = TypeVar("ArgumentsT", bound=Config)


def parse_arguments(model: str, kind: type[ArgumentsT], kwargs: dict[str, Any]) -> ArgumentsT:
    """Return `kwargs`, checked, as a `kind`.

    Raises:
        ModelError: an argument does not fit; the message names it.
    """
    try:
        return kind.model_validate(kwargs)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
    message = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if not first["loc"]:
        raise ModelError(f"{model}: {message}")
    argument = str(first["loc"][0])
    if first["type"] == "extra_forbidden":
        taken = list(kind.model_fields)
        hint = suggest(argument, taken, f"it takes {', '.join(taken)}")
        raise ModelError(f"{model} has no argument {shorten(argument)}; {hint}")
    raise ModelError(f"{model}: {argument}={shorten(kwargs[argument])}: {message}")


def suggest(wrong: str, right: list[str], otherwise: str) -> str:
    """Return `did you mean ...?` with the names nearest to `wrong`, or `otherwise` if none is near."""
    by_short_name = {name.split("/")[-1]: name for name in right}
    near = get_close_matches(wrong.split("/")[-1].lower()[:80], by_short_name, n=4, cutoff=0.6)
    return f"did you mean {' or '.join(by_short_name[name] for name in near)}?" if near else otherwise


def shorten(value: object) -> str:
    """Return the `repr` of an untrusted value, cut to 80 characters."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
