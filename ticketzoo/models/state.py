"""The tensors of a model by name, each once: a decoder tied to the embeddings is the embeddings'."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ticketzoo.models.body import in_body

State = dict[str, Tensor]


def model_state(model: nn.Module) -> dict[str, Tensor]:
    """Return parameters and persistent buffers by name, as `state_dict` does, but a tied one under one name alone.

    That is its first, or the first in the body of a `transformers` model. They share the model's memory.
    """
    return {name: tensor.detach() for name, tensor in live_state(model).items()}


def live_state(model: nn.Module) -> dict[str, Tensor]:
    """Return what `model_state` does, but the parameters and buffers themselves."""
    state = model.state_dict(keep_vars=True)
    chosen: dict[int, str] = {}
    for name in sorted(state, key=lambda name: not in_body(name, model)):
        chosen.setdefault(id(state[name]), name)
    return {name: value for name, value in state.items() if isinstance(value, Tensor) and chosen[id(value)] == name}


def load_model_state(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Copy what `model_state` gave into a model of the same architecture; ties stay.

    Raises:
        RuntimeError: as `load_state_dict` does, where names or shapes differ.
    """
    given = {id(value): state[name] for name, value in live_state(model).items() if name in state}
    aliases = {name: given[id(value)] for name, value in model.state_dict(keep_vars=True).items() if id(value) in given}
    model.load_state_dict({**state, **aliases})


def copy_state(model: nn.Module) -> State:
    """Return a copy, on the CPU, of the model's parameters and buffers, tied ones once: later training leaves it alone.

    Parameters under `torch.nn.utils.parametrize` keep their plain names, and are the originals; what else their
    parametrizations hold is left out.
    """
    state, layout = {}, torch.contiguous_format
    for name, tensor in model_state(model).items():
        plain = re.sub(r"\bparametrizations\.([^.]+)\.original$", r"\1", name)
        if "parametrizations." not in plain:
            state[plain] = tensor.to("cpu", copy=True, memory_format=layout)
    return state
