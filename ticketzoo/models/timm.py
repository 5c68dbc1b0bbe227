"""Image models of timm by name, without pretrained weights. timm is an extra: it is imported for its models alone."""

from functools import partial
from typing import Any

from torch import nn

from ticketzoo.errors import ModelError
from ticketzoo.models.architecture import LIBRARIES, SCORES_IMAGES, Architecture, Library
from ticketzoo.models.arguments import Arguments, ClassCount, Shape, shorten, suggest
from ticketzoo.util.text import one_line

MAX_PARAMETERS = 1_000_000_000
_REMEDY = "pip install 'ticketzoo[timm]'"


class TimmArguments(Arguments):
    """Defaults are ImageNet's. The image's sides shape the weights of models of a fixed input size, such as ViT."""

    num_classes: ClassCount = 1000
    in_shape: Shape = (3, 224, 224)


def build(name: str, arguments: TimmArguments) -> nn.Module:
    """Build `name`, a name of `timm.list_models()`. Its forward returns one tensor, (batch, num_classes).

    Raises:
        ModelError: sides or channels that this model cannot take.
    """
    timm = _library(name)
    channels, height, width = arguments.in_shape
    settings = timm.models.get_pretrained_cfg(name)
    sized = {"img_size": (height, width)} if settings is not None and settings.fixed_input_size else {}
    try:
        return timm.create_model(name, num_classes=arguments.num_classes, in_chans=channels, **sized)
    except (AssertionError, RuntimeError, TypeError, ValueError) as error:
        if isinstance(error, NotImplementedError):
            raise
        what = f"timm/{name} cannot be made for images of {channels}x{height}x{width}"
        raise ModelError(f"{what}: {one_line(error)[:200] or type(error).__name__}") from error


def _library(name: str) -> Any:
    """Return the package. Raises ModelError where it is missing, or has no model `name`."""
    try:
        import timm
    except ModuleNotFoundError as error:
        if error.name != "timm":
            raise
        raise ModelError(f"timm/{shorten(name)[1:-1]} needs the package timm: {_REMEDY}") from None
    if not timm.is_model(name):
        hint = suggest(name, timm.list_models(), "timm.list_models() lists them, without the tag of weights")
        raise ModelError(f"timm {timm.__version__} has no model {shorten(name)}; {hint}")
    return timm


def entry(name: str) -> Architecture:
    """Return the row of `name`, as of a table of architectures."""
    _library(name)
    return Architecture(f"timm/{name}", partial(build, name), TimmArguments, SCORES_IMAGES, MAX_PARAMETERS)


LIBRARIES.put(
    Library(
        name="timm",
        make=lambda name, kwargs, seed, at_most: entry(name).create(kwargs, seed, at_most=at_most),
        describe=lambda name, kwargs: (name, entry(name).describe(kwargs)),
        accepts=SCORES_IMAGES,
    )
)
