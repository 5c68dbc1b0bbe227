"""The criterion `given`: masks that a file brings, found elsewhere and by whatever means."""

from pathlib import Path

import torch
from pydantic import Field
from safetensors import SafetensorError
from safetensors.torch import load_file

from ticketzoo.errors import RecipeError
from ticketzoo.masks.masks import Masks
from ticketzoo.pruning.criteria import CRITERIA, Scores
from ticketzoo.pruning.part import PartConfig
from ticketzoo.pruning.probe import Probe
from ticketzoo.util.os_errors import why
from ticketzoo.util.text import for_terminal, show_names


class GivenConfig(PartConfig):
    """The keys of criterion `given`.

    Attributes:
        name: name of the criterion.
        masks: path of a safetensors file of tensors of zeros and ones, in any dtype, by parameter name.
    """

    name: str = "given"
    masks: str = Field(min_length=1)


def _tried(probe: Probe, config: GivenConfig) -> Scores:
    return given(probe, config)


@CRITERIA.add(
    "given",
    config=GivenConfig,
    cite="its author",
    words="masks that were given, and not found here",
    of_single_weights=True,
    inverts=False,
    scored_anew=False,
    of_weights=True,
    tried=_tried,
)
def given(probe: Probe, config: GivenConfig) -> Scores:
    """Score weights that the masks keep by 1 and all others by 0."""
    masks = read_masks(config.masks)
    if missing := [name for name in probe.masks if name not in masks]:
        raise RecipeError(f"{config.masks}: has no mask of {show_names(missing)}; it has {show_names(list(masks))}")
    return {name: masks[name].double() for name in probe.masks}


def read_masks(path: str | Path) -> Masks:
    """Return the masks in a safetensors file, True where a weight is kept.

    Raises:
        RecipeError: the file cannot be read, or holds other numbers than 0 and 1.
    """
    try:
        tensors = load_file(Path(path).expanduser())
    except OSError as error:
        raise RecipeError(f"{path}: cannot be read ({why(error)}): give a safetensors file of masks") from None
    except SafetensorError as error:
        raise RecipeError(f"{path}: no safetensors file of masks: {for_terminal(error)[:200]}") from None
    for name, tensor in tensors.items():
        if not ((tensor == 0) | (tensor == 1)).all():
            packed = ": masks of a ticket are packed, ticketzoo export TICKET FILE --to masks writes those of a level"
            advice = packed if tensor.dtype is torch.uint8 else ""
            raise RecipeError(f"{path}: '{for_terminal(name)}' is no mask: it has other values than 0 and 1{advice}")
    if not tensors:
        raise RecipeError(f"{path}: holds no masks")
    return {name: tensor.to(torch.bool) for name, tensor in tensors.items()}
