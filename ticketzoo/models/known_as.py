"""By which name torchvision or timm build a network that is there already, told from its class and its shapes."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from ticketzoo.errors import ModelError
from ticketzoo.models import timm, torchvision
from ticketzoo.models.layers import head_of
from ticketzoo.models.state import model_state

ROWS = {"torchvision": torchvision.entry, "timm": timm.entry}
"""By library, what gives the row of a name."""
Shapes = Mapping[str, tuple[int, ...]]


def shapes_of(model: nn.Module) -> dict[str, tuple[int, ...]]:
    """Return the shapes of parameters and buffers by name."""
    return {name: tuple(tensor.shape) for name, tensor in model_state(model).items()}


def known_as(model: nn.Module) -> dict[str, Any] | None:
    """Return the architecture, as `architecture_of` gives it, that `model` is of; None if it is of neither library."""
    shapes, module = shapes_of(model), type(model).__module__
    if module.startswith("timm."):
        settings: Any = getattr(model, "pretrained_cfg", None) or {}
        names = [settings.get("architecture")]
    elif module.startswith("torchvision.models."):
        names = [name for name in torchvision.names() if torchvision.module_of(name) == module]
    else:
        return None
    library = module.partition(".")[0]
    sides = [_sides(model), None]
    found = (sized_like(library, name, shapes, one) for one in dict.fromkeys(sides) for name in names if name)
    return next((one for one in found if one), None)


def sized_like(library: str, name: str, shapes: Shapes, sides: tuple[int, int] | None = None) -> dict[str, Any] | None:
    """Return the architecture of this name whose parameters and buffers have these shapes; None if none has.

    Args:
        library: `torchvision` or `timm`.
        name: in that library.
        shapes: by name.
        sides: of the images, where they decide shapes; by default the library's.
    """
    row = ROWS[library](name)
    first = next((shape for shape in shapes.values() if len(shape) == 4), (0, 3))
    kwargs: dict[str, Any] = {"in_shape": [first[1] if library == "timm" else 3, *(sides or (224, 224))]}
    try:
        head = f"{head_of(row.outline(kwargs))}.weight"
        if head in shapes:
            kwargs["num_classes"] = shapes[head][0]
        fits = shapes_of(row.outline(kwargs)) == dict(shapes)
    except ModelError:
        return None
    return {"library": library, "name": name, "kwargs": row.describe(kwargs)} if fits else None


def _sides(model: nn.Module) -> tuple[int, int] | None:
    """Return the sides of the images that a vision transformer was made for."""
    size: Any = getattr(model, "image_size", None) or getattr(getattr(model, "patch_embed", None), "img_size", None)
    if isinstance(size, int):
        return size, size
    return (size[0], size[1]) if isinstance(size, Sequence) and len(size) == 2 else None
