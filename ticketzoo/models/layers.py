"""Layers of a model that a mask covers, those that score the classes, and patterns by which recipes name them."""

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any

from torch import nn

from ticketzoo.errors import ModelError
from ticketzoo.models.body import body_of, body_prefix, in_body, outside_body, within
from ticketzoo.models.state import live_state
from ticketzoo.util.text import show_names

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_ATTENTION_WEIGHTS = ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight")


def weight_layers(model: nn.Module) -> Iterator[tuple[str, nn.Linear | nn.Conv2d]]:
    """Yield name and module of every linear and convolution layer, in module order."""
    for name, module in model.named_modules():
        if isinstance(module, (nn.Linear, *_CONVOLUTIONS)):
            yield name, module  # type: ignore[misc]


def is_conv1d(module: nn.Module) -> bool:
    """Tell whether a module is the linear layer of GPT-2, whose weight is [inputs, outputs]."""
    return type(module).__name__ == "Conv1D" and type(module).__module__.startswith("transformers.")


def inputs_first(model: nn.Module) -> frozenset[str]:
    """Return the names of weights [inputs, outputs]; all others are [outputs, inputs, ...]."""
    return frozenset(_join(name, "weight") for name, module in model.named_modules() if is_conv1d(module))


def prunable_parameters(
    model: nn.Module, include: Sequence[str] = (), exclude: Sequence[str] = ()
) -> dict[str, nn.Parameter]:
    """Return the parameters that a mask covers, by name, in the order of `model.named_parameters()`.

    By default these are the weights of linear and convolution layers, and the query, key and value projections that
    `nn.MultiheadAttention` keeps as parameters of its own, but no weight tied to an embedding. Of a `transformers`
    model they are the linear layers of the encoder and the pooler: 85,524,480 weights of BERT-base (Chen et al. 2020,
    arXiv 2007.12223); of a decoder those of its blocks, GPT-2's `Conv1D` too, never embeddings or the head; of a
    vision transformer of timm the linear layers between patch embedding and head. A projection head is never among
    them. A tied parameter counts once, under
    the name that `model_state` gives it.

    Args:
        model: the network.
        include: patterns, as of `fnmatch`, of the names of further parameters, such as `lstm.weight_*`, `*.c_attn`,
            `*embedding*`, `*.bias`; see `matches`. Of a `transformers` model they name parameters of
            its body, which is what a ticket covers, not those of the head alone.
        exclude: patterns of those to leave out.

    Raises:
        ModelError: a pattern matches no parameter.
    """
    left = getattr(model, "unpruned_layers", ())
    default = {name for name in _default(model) if not within(name, left)}
    more, less = (_matched(model, patterns, what) for patterns, what in ((include, "include"), (exclude, "exclude")))
    stored = {id(tensor): name for name, tensor in live_state(model).items()}
    return {
        stored[id(parameter)]: parameter
        for name, parameter in model.named_parameters()
        if (name in default or id(parameter) in more) and id(parameter) not in less
    }


def _matched(model: nn.Module, patterns: Sequence[str], what: str) -> set[int]:
    """Return the ids of the parameters that `patterns` match by any of their names."""
    body = {id(tensor) for name, tensor in live_state(model).items() if in_body(name, model)}
    named = {name: one for name, one in model.named_parameters(remove_duplicate=False) if id(one) in body}
    for pattern in patterns:
        if not any(matches(name, pattern) for name in named):
            there = show_names(list(named))
            raise ModelError(f"{what}: {pattern!r} matches no parameter of the model; its parameters: {there}")
    return {id(one) for name, one in named.items() if any(matches(name, pattern) for pattern in patterns)}


def _default(model: nn.Module) -> dict[str, nn.Parameter]:
    if hasattr(model, "base_model_prefix"):
        return _prunable_of_encoder(model)
    if type(model).__module__.startswith("timm.") and hasattr(model, "patch_embed"):
        return _prunable_of_timm(model)
    names = {_join(name, "weight") for name, _ in weight_layers(model)}
    for name, module in model.named_modules():
        if isinstance(module, nn.MultiheadAttention):
            names.update(_join(name, weight) for weight in _ATTENTION_WEIGHTS)
    return {name: parameter for name, parameter in model.named_parameters() if name in names}


def _prunable_of_encoder(model: nn.Module) -> dict[str, nn.Parameter]:
    prefix = body_prefix(model)
    names = {
        _join(prefix + name, "weight")
        for name, layer in body_of(model).named_modules()
        if (isinstance(layer, nn.Linear) or is_conv1d(layer)) and not name.startswith("embeddings")
    }
    return {name: parameter for name, parameter in model.named_parameters() if name in names}


def _prunable_of_timm(model: nn.Module) -> dict[str, nn.Parameter]:
    """Return the linear layers of a vision transformer but those of its patch embedding and its heads."""
    settings: Any = getattr(model, "pretrained_cfg", None) or {}
    heads = settings.get("classifier") or "head"
    left = ("patch_embed", *([heads] if isinstance(heads, str) else heads))
    names = {
        _join(name, "weight")
        for name, layer in model.named_modules()
        if isinstance(layer, nn.Linear) and not within(f"{name}.", left)
    }
    return {name: parameter for name, parameter in model.named_parameters() if name in names}


def head_modules(model: nn.Module) -> list[str]:
    """Return the names of the modules that make up the head, which another task replaces.

    Of a `transformers` model those beside the bare encoder, such as `dropout` and `classifier` (none if it is bare); of
    any other its `head_layers`, where its class names them, or the layer that `head_of` names.

    Raises:
        ModelError: `head_of` finds no such layer.
    """
    if hasattr(model, "base_model_prefix"):
        return outside_body(model)
    return list(getattr(model, "head_layers", None) or [head_of(model)])


def head_of(model: nn.Module) -> str:
    """Return the name of the layer that scores the classes, such as `fc3`.

    It is the last linear or convolution layer in module order. This holds for every image network in `model_names()`; a
    model of your own may register its layers in another order.

    Raises:
        ModelError: there is no such layer.
    """
    names = [name for name, _ in weight_layers(model)]
    if not names:
        raise ModelError(f"{type(model).__name__} has no linear or convolution layer: name the head yourself")
    return names[-1]


def _join(module: str, parameter: str) -> str:
    return f"{module}.{parameter}" if module else parameter


def matches(name: str, pattern: str) -> bool:
    """Tell whether a pattern names a parameter: by its own name, or by that of the layer whose `weight` it is."""
    return fnmatchcase(name, pattern) or fnmatchcase(layer_of(name), pattern)


def layer_of(name: str) -> str:
    """Return the name of the layer whose `weight` a parameter is; any other parameter's own name."""
    return name.removesuffix(".weight")


def is_bias(name: str) -> bool:
    """Tell whether a parameter is a bias by its name, such as `fc.bias` or `lstm.bias_ih_l0`."""
    return name.rpartition(".")[2].startswith("bias")
