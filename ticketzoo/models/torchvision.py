"""torchvision's classification models, without pretrained weights."""

from functools import partial
from typing import Any

from torch import nn

from ticketzoo.errors import ModelError
from ticketzoo.models.architecture import LIBRARIES, SCORES_IMAGES, Architecture, Library
from ticketzoo.models.arguments import Arguments, ClassCount, Shape

# Smallest image side, in pixels, of the families that shrink an image without padding it first; others take any.
_SMALLEST_SIDES = {
    "alexnet": 63,
    "convnext": 32,
    "densenet": 29,
    "googlenet": 15,
    "inception": 75,
    "squeezenet1_0": 21,
    "squeezenet1_1": 17,
    "swin": 4,
    "vgg": 32,
}
_MAXVIT_MULTIPLE = 224


class TorchvisionArguments(Arguments):
    """Defaults are ImageNet's. The image's sides shape the weights of `vit` and `maxvit` only."""

    num_classes: ClassCount = 1000
    in_shape: Shape = (3, 224, 224)


def names() -> list[str]:
    """Return the classification models of the installed torchvision, without detection, video and quantized ones."""
    from torchvision import models

    return models.list_models(module=models)


def module_of(name: str) -> str:
    """Return the module of torchvision that makes `name`, such as `torchvision.models.resnet`."""
    from torchvision.models import get_model_builder

    return get_model_builder(name).__module__


def build(name: str, arguments: TorchvisionArguments) -> nn.Module:
    """Build `name`, one of `names()`. Its forward returns one tensor, (batch, num_classes): no auxiliary heads.

    Raises:
        ModelError: images without three channels, or of sides that this model cannot take.
    """
    from torchvision.models import get_model

    return get_model(name, weights=None, num_classes=arguments.num_classes, **_options(name, arguments))


def _options(name: str, arguments: TorchvisionArguments) -> dict[str, Any]:
    channels, height, width = arguments.in_shape
    if channels != 3:
        raise ModelError(
            f"torchvision/{name} takes images of 3 channels, not {channels}x{height}x{width}: convert them to RGB"
        )
    least = max((side for family, side in _SMALLEST_SIDES.items() if name.startswith(family)), default=1)
    if min(height, width) < least:
        raise ModelError(f"torchvision/{name} takes images of at least {least}x{least} pixels, not {height}x{width}")
    if name in ("googlenet", "inception_v3"):
        return {"aux_logits": False, "init_weights": True}
    if name.startswith("maxvit"):
        if height % _MAXVIT_MULTIPLE or width % _MAXVIT_MULTIPLE:
            raise ModelError(f"torchvision/{name} takes sides that 224 divides, not {height}x{width}")
        return {"input_size": (height, width)}
    if name.startswith("vit_"):
        patch = int(name.rsplit("_", 1)[1])
        if height != width or height % patch:
            raise ModelError(f"torchvision/{name} takes square images whose side {patch} divides, not {height}x{width}")
        return {"image_size": height}
    return {}


def entry(name: str) -> Architecture:
    """Return the row of `name`, as of a table of architectures."""
    full = f"torchvision/{name}"
    return Architecture(full, partial(build, name), TorchvisionArguments, SCORES_IMAGES, max_parameters=None)


LIBRARIES.put(
    Library(
        name="torchvision",
        make=lambda name, kwargs, seed, at_most: entry(name).create(kwargs, seed, at_most=at_most),
        describe=lambda name, kwargs: (name, entry(name).describe(kwargs)),
        accepts=SCORES_IMAGES,
        names=names,
    )
)
