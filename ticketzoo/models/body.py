"""The part of a model that its tickets cover, its body, and the head that a task puts on it.

The models of `transformers` with a head hold a bare encoder under one attribute: `bert` in BertForMaskedLM. A ticket
names tensors as the bare encoder does, so that it fits the encoder alone and under any head.
"""

from collections.abc import Iterable, Mapping
from typing import TypeVar

import torch
from torch import nn

ValueT = TypeVar("ValueT")
_ABSENT = object()


def body_prefix(model: nn.Module) -> str:
    """Return the prefix of the body's parameters: `bert.` in BertForMaskedLM; "" if the model is its own body.

    Args:
        model: not wrapped by `torch.compile` or DistributedDataParallel.
    """
    name = getattr(model, "base_model_prefix", "")
    return f"{name}." if name and isinstance(getattr(model, name, None), nn.Module) else ""


def body_of(model: nn.Module) -> nn.Module:
    """Return the bare encoder of a `transformers` model; any other model itself."""
    return model.get_submodule(body_prefix(model).rstrip("."))


def outside_body(model: nn.Module) -> list[str]:
    """Return the names of modules beside the body of a `transformers` model, such as `cls`; none if it is a body."""
    prefix = body_prefix(model)
    return [name for name, _ in model.named_children() if name != prefix.rstrip(".")] if prefix else []


def unused_by_head(model: nn.Module) -> set[str]:
    """Return the names of parameters that the head of a `transformers` model does without.

    Encoders built here are whole under every head; the library's own class of the model makes only the parts that it
    computes with: no pooler in BertForMaskedLM and BertForQuestionAnswering. Of other models none are named.

    Args:
        model: not wrapped by `torch.compile` or DistributedDataParallel.
    """
    if not body_prefix(model):
        return set()
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        own = type(model)(model.config)
    return dict(model.named_parameters()).keys() - dict(own.named_parameters()).keys()


def in_body(name: str, model: nn.Module) -> bool:
    """Tell whether a tensor of this name belongs to the body of `model`. All do in a model without a separate head."""
    if not hasattr(model, "base_model_prefix"):
        return True
    prefix = body_prefix(model)
    part = getattr(body_of(model), name.removeprefix(prefix).partition(".")[0], None)
    return name.startswith(prefix) and isinstance(part, nn.Module)


def within(name: str, modules: Iterable[str]) -> bool:
    """Tell whether the parameter `name` is in one of `modules`."""
    return any(name.startswith(f"{module}.") for module in modules)


def bare_names(named: Mapping[str, ValueT], model: nn.Module) -> dict[str, ValueT]:
    """Return `named` under the names in a ticket: the body's as in the bare encoder, the head's as in `model`."""
    prefix = body_prefix(model)
    return {name.removeprefix(prefix): value for name, value in named.items()}


def model_names_of(named: Mapping[str, ValueT], model: nn.Module) -> dict[str, ValueT]:
    """Return `named`, by names in a ticket, under the names in `model`: the reverse of `bare_names`.

    Tensors of a part that this model's body does without (the pooler, in BertForMaskedLM as `transformers` makes it)
    are left out.
    """
    prefix, body = body_prefix(model), body_of(model)
    if not prefix:
        return dict(named)
    renamed = {}
    for name, value in named.items():
        part = getattr(body, name.partition(".")[0], _ABSENT)
        if part is not None:
            renamed[prefix + name if isinstance(part, nn.Module) else name] = value
    return renamed
