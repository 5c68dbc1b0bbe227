"""From a name and arguments to a model, and to the dict by which a ticket names its architecture."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ticketzoo.errors import ModelError
from ticketzoo.models import lenet
from ticketzoo.models.arguments import Arguments, parse_arguments, shorten, suggest
from ticketzoo.models.initialisation import initialise

MAX_PARAMETERS = 200_000_000


@dataclass(frozen=True)
class Architecture:
    """How a network is built from its checked arguments."""

    build: Callable[[Any], nn.Module]
    arguments: type[Arguments]


ARCHITECTURES = {
    "lenet-300-100": Architecture(lenet.LeNet300100, lenet.LeNetArguments),
    "lenet-5": Architecture(lenet.LeNet5, lenet.LeNetArguments),
}


def create_model(name: str, *, seed: int, **kwargs: Any) -> nn.Module:
    """Build the architecture `name` on the CPU, in training mode, with fresh weights.

    Same name, arguments and `seed` give the same bits on one machine; the global random state is left as it was.

    Every architecture takes `num_classes`, `in_shape` (channels, height, width) and `init`, an initialisation by name.
    Raises ModelError for an unknown name or argument (saying which are near) and for a value that cannot be.
    """
    return _create(name, seed, kwargs)


def _create(name: str, seed: int, kwargs: dict[str, Any]) -> nn.Module:
    architecture = _find(name)
    arguments = parse_arguments(name, architecture.arguments, kwargs)
    with torch.device("meta"):
        parameters = sum(p.numel() for p in architecture.build(arguments).parameters())
    if parameters > MAX_PARAMETERS:
        raise ModelError(
            f"{name} with in_shape={arguments.in_shape}, num_classes={arguments.num_classes} would have {parameters:,} "
            f"parameters, more than the {MAX_PARAMETERS:,} allowed: make it smaller"
        )
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.default_generator.manual_seed(seed)
        model = architecture.build(arguments)
        initialise(model, arguments.init)
    return model


def architecture_of(name: str, kwargs: dict[str, Any]) -> dict[str, Any]:
    """The JSON-able `{"library", "name", "kwargs"}` of a model, every default written out. Raises like create_model."""
    arguments = parse_arguments(name, _find(name).arguments, kwargs)
    return {"library": "ticketzoo", "name": name, "kwargs": arguments.model_dump(mode="json")}


def create_from_architecture(architecture: dict[str, Any], seed: int) -> nn.Module:
    """Build what `architecture_of` described. It may come from a stranger: whatever does not fit is a ModelError."""
    if not isinstance(architecture, dict) or set(architecture) != {"library", "name", "kwargs"}:
        raise ModelError(f"an architecture has exactly library, name and kwargs, not {shorten(architecture)}")
    library, name, kwargs = architecture["library"], architecture["name"], architecture["kwargs"]
    if library != "ticketzoo":
        raise ModelError(f"unknown architecture library {shorten(library)}: ticketzoo knows ticketzoo and torchvision")
    if not isinstance(name, str) or not isinstance(kwargs, dict) or not all(isinstance(key, str) for key in kwargs):
        raise ModelError("an architecture's name is a string and its kwargs a dict by argument name")
    return _create(name, seed, kwargs)


def model_names() -> list[str]:
    """Every name that create_model takes."""
    return list(ARCHITECTURES)


def _find(name: str) -> Architecture:
    if name not in ARCHITECTURES:
        raise ModelError(f"unknown model {shorten(name)}; {suggest(name, model_names(), 'known are')}")
    return ARCHITECTURES[name]
