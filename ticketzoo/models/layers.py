"""Which layers of a model a mask covers, and which one scores the classes."""

from collections.abc import Iterator

from torch import nn

from ticketzoo.errors import ModelError

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_ATTENTION_WEIGHTS = ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight")


def weight_layers(model: nn.Module) -> Iterator[tuple[str, nn.Linear | nn.Conv2d]]:
    """Name and module of every linear and convolution layer, in module order."""
    for name, module in model.named_modules():
        if isinstance(module, (nn.Linear, *_CONVOLUTIONS)):
            yield name, module  # type: ignore[misc]


def prunable_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """The weights a mask covers by default, by parameter name, in the order of `model.named_parameters()`.

    These are the weights of linear and convolution layers, and the query, key and value projections that
    `nn.MultiheadAttention` keeps as parameters of its own. Biases, normalisation and embeddings are not prunable,
    nor is a weight tied to an embedding.
    """
    names = {_join(name, "weight") for name, _ in weight_layers(model)}
    for name, module in model.named_modules():
        if isinstance(module, nn.MultiheadAttention):
            names.update(_join(name, weight) for weight in _ATTENTION_WEIGHTS)
    return {name: parameter for name, parameter in model.named_parameters() if name in names}


def head_of(model: nn.Module) -> str:
    """Name of the layer that scores the classes, e.g. `fc3`: the last linear or convolution layer in module order.

    True of every architecture in `model_names()`; a model of your own may register its layers in another order.
    Raises ModelError when there is no such layer.
    """
    names = [name for name, _ in weight_layers(model)]
    if not names:
        raise ModelError(f"{type(model).__name__} has no linear or convolution layer: name the head yourself")
    return names[-1]


def _join(module: str, parameter: str) -> str:
    return f"{module}.{parameter}" if module else parameter
