"""From a name and arguments to a model, and to the dict by which a ticket names its architecture."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import nn

from ticketzoo.errors import ModelError
from ticketzoo.models import conv as conv
from ticketzoo.models import lenet as lenet
from ticketzoo.models import resnet as resnet
from ticketzoo.models import torchvision, transformers
from ticketzoo.models import vgg as vgg
from ticketzoo.models.architecture import ARCHITECTURES, Architecture
from ticketzoo.models.arguments import Arguments, WidthArguments, parse_arguments, shorten, suggest
from ticketzoo.models.initialisation import initialise
from ticketzoo.models.pretrained import referenced_architecture
from ticketzoo.models.signature import Signature, texts_to_anything
from ticketzoo.models.state import State, model_state
from ticketzoo.seeds import derive_seed

MAX_PARAMETERS = 200_000_000
_TORCHVISION = "torchvision/"
_TRANSFORMERS = "transformers/"


def create_model(name: str, *, seed: int, **kwargs: Any) -> nn.Module:
    """Build the architecture `name` on the CPU, in training mode, with fresh weights and nothing downloaded.

    Same name, arguments and `seed` give the same bits on one machine; the global random state is left as it was.

    Every architecture takes `num_classes`, `in_shape` (channels, height, width) and `init`, a name in
    `ticketzoo.models.initialisation`; ours also take `width`, which multiplies channels and hidden units.
    `transformers/...` takes other arguments: see `architecture_of`.

    Raises:
        ModelError: a name or argument is unknown (the message says which are near), or a value is impossible.
    """
    return create_from_architecture(architecture_of(name, kwargs), seed)


def architecture_of(name: str, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON-able `{"library", "name", "kwargs"}` of a model, every default written out.

    `transformers/bert` (a model type) takes `head`, `num_labels` and a `config`; `transformers/<Hub id or folder>` the
    first two, its config is that of the pretrained model, and RegistryError is raised where that cannot be fetched.
    """
    if isinstance(name, str) and name.startswith(_TRANSFORMERS):
        return referenced_architecture(name.removeprefix(_TRANSFORMERS), kwargs)
    arguments = parse_arguments(name, _find(name).arguments, kwargs)
    library = "torchvision" if name.startswith(_TORCHVISION) else "ticketzoo"
    return {"library": library, "name": name.removeprefix(_TORCHVISION), "kwargs": arguments.model_dump(mode="json")}


def arguments_for(name: str, signature: Signature) -> dict[str, Any]:
    """Return the arguments that size the architecture `name` for data of this signature.

    Raises:
        ModelError: the architecture is unknown, or goes from and to something else.
    """
    accepts = texts_to_anything if name.startswith(_TRANSFORMERS) else _find(name).accepts
    return accepts(name, signature)


def architecture_for(name: str, kwargs: Mapping[str, Any], signature: Signature) -> dict[str, Any]:
    """Return what `architecture_of` does, sized for data of this signature. Raises as `arguments_for` does."""
    return architecture_of(name, {**kwargs, **arguments_for(name, signature)})


def create_from_architecture(architecture: dict[str, Any], seed: int) -> nn.Module:
    """Build what `architecture_of` described. It may come from a stranger: whatever does not fit is a ModelError."""
    if not isinstance(architecture, dict) or set(architecture) != {"library", "name", "kwargs"}:
        raise ModelError(f"an architecture has exactly library, name and kwargs, not {shorten(architecture)}")
    library, name, kwargs = architecture["library"], architecture["name"], architecture["kwargs"]
    if library not in ("ticketzoo", "torchvision", "transformers"):
        known = "it is ticketzoo, torchvision or transformers"
        raise ModelError(f"unknown architecture library {shorten(library)}: {known}")
    if not isinstance(name, str) or "/" in name:
        raise ModelError(f"an architecture's name is one name in its library, not {shorten(name)}")
    if not isinstance(kwargs, dict) or not all(isinstance(key, str) for key in kwargs):
        raise ModelError(f"an architecture's kwargs are a dict by argument name, not {shorten(kwargs)}")
    if library == "transformers":
        return transformers.create(name, kwargs, seed)
    return _create(_TORCHVISION + name if library == "torchvision" else name, seed, kwargs)


def model_names() -> list[str]:
    """Return every name that create_model takes: ours, then torchvision's."""
    return [*ARCHITECTURES, *(_TORCHVISION + name for name in torchvision.names())]


def _create(name: str, seed: int, kwargs: dict[str, Any]) -> nn.Module:
    architecture = _find(name)
    arguments = parse_arguments(name, architecture.arguments, kwargs)
    if isinstance(arguments, WidthArguments):
        _check_size(name, architecture, arguments)
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.default_generator.manual_seed(seed)
        model = architecture.make(arguments)
        if isinstance(arguments, Arguments):
            initialise(model, arguments.init)
    return model


def _find(name: str) -> Architecture:
    if not isinstance(name, str):
        raise ModelError(f"a model's name is a string such as lenet-300-100, not {shorten(name)}")
    if name in ARCHITECTURES:
        return ARCHITECTURES[name]
    known = model_names()
    if name not in known:
        otherwise = (
            f"known are {', '.join(ARCHITECTURES)}, torchvision/NAME of a classification model, and of an encoder "
            "transformers/OWNER/NAME on the Hub or transformers/./FOLDER"
        )
        raise ModelError(f"unknown model {shorten(name)}; {suggest(name, known, otherwise)}")
    build = partial(torchvision.build, name.removeprefix(_TORCHVISION))
    return Architecture(name, build, torchvision.TorchvisionArguments)


def _check_size(name: str, architecture: Architecture, arguments: WidthArguments) -> None:
    with torch.device("meta"):
        parameters = sum(parameter.numel() for parameter in architecture.make(arguments).parameters())
    if parameters > MAX_PARAMETERS:
        shape = "x".join(map(str, arguments.in_shape))
        raise ModelError(
            f"{name} of width {arguments.width:g} on {shape} images with {arguments.num_classes} classes would have "
            f"{parameters:,} parameters; at most {MAX_PARAMETERS:,} are allowed"
        )


def initial_state(architecture: dict[str, Any], seed: int, *stream: str | int) -> State:
    """Return parameters and buffers of a fresh initialisation; `stream` names further ones of the same seed."""
    return model_state(create_from_architecture(architecture, seed=derive_seed(seed, "init", *stream)))
