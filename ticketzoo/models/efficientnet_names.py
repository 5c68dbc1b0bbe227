"""EfficientNet-Lite as efficientnet-lite-pytorch stores it, by the names that timm gives the same tensors."""

import re
from collections.abc import Mapping

from torch import Tensor

_OUTER = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
_SEPARABLE = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
"""Of a block that does not widen its input, the first."""
_INVERTED = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_NAME = re.compile(r"(?:_blocks\.(\d{1,3})\.)?(_\w+)\.(\w+)", re.ASCII)


def in_timms_names(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Return `state` by timm's names (tf_efficientnet_lite0, ...); as it is unless it has those of the other package.

    That package counts blocks through; timm counts them by stage, and a stage is of blocks of as many channels.
    """
    if "_conv_stem.weight" not in state:
        return state
    places: dict[str, str] = {}
    stage, inside, before = -1, 0, 0
    while (last := f"_blocks.{len(places)}._project_conv.weight") in state:
        channels = len(state[last])
        stage, inside = (stage, inside + 1) if channels == before else (stage + 1, 0)
        places[str(len(places))], before = f"blocks.{stage}.{inside}.", channels
    return {_renamed(name, places, state): tensor for name, tensor in state.items()}


def _renamed(name: str, places: Mapping[str, str], state: Mapping[str, Tensor]) -> str:
    """Return timm's name; `name` where it is of nothing that such a network has."""
    if (found := _NAME.fullmatch(name)) is None:
        return name
    block, layer, part = found.groups()
    widens = f"_blocks.{block}._expand_conv.weight" in state
    place, layers = ("", _OUTER) if block is None else (places.get(block), _INVERTED if widens else _SEPARABLE)
    return name if place is None or layer not in layers else f"{place}{layers[layer]}.{part}"
