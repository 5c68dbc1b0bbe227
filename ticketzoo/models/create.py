"""From a name and arguments to a model, and to the dict by which a ticket names its architecture."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from ticketzoo.errors import ModelError
from ticketzoo.models import actor_critic as actor_critic
from ticketzoo.models import conv as conv
from ticketzoo.models import lenet as lenet
from ticketzoo.models import mlp as mlp
from ticketzoo.models import one_layer as one_layer
from ticketzoo.models import pretrained as pretrained
from ticketzoo.models import recurrent as recurrent
from ticketzoo.models import resnet as resnet
from ticketzoo.models import timm as timm
from ticketzoo.models import torchvision as torchvision
from ticketzoo.models import vgg as vgg
from ticketzoo.models.architecture import ARCHITECTURES, LIBRARIES
from ticketzoo.models.arguments import shorten, suggest
from ticketzoo.models.own import OwnArchitecture
from ticketzoo.models.signature import Accepts, End, Signature
from ticketzoo.models.state import State, model_state
from ticketzoo.seeds import derive_seed
from ticketzoo.util.arguments import checked
from ticketzoo.util.text import show_names

OWN = "ticketzoo"
"""The library of architectures whose names have no slash."""


@checked
def create_model(name: str, *, seed: int, **kwargs: Any) -> nn.Module:
    """Build an architecture on the CPU, in training mode, with fresh weights and nothing downloaded.

    The same name, arguments and seed give the same bits on one machine; the global random state is left as it was.

    Args:
        name: such as `lenet-300-100`, `resnet-20`, `torchvision/resnet50`, `timm/vit_tiny_patch16_224`,
            `transformers/bert`.
        seed: of the weights.
        **kwargs: of the architecture. Image networks take `num_classes`, `in_shape` (channels, height, width) and
            `init`, a name in `ticketzoo.models.initialisation`; ours also `width`, which multiplies channels and hidden
            units.
            `transformers/...` takes others: see `ticketzoo.models.architecture_of`.

    Raises:
        ModelError: a name or argument is unknown (the message says which are near), or a value is impossible.
    """
    return create_from_architecture(architecture_of(name, kwargs), seed)


def architecture_of(name: str, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON-able `{"library", "name", "kwargs"}` of a model, every default written out.

    `transformers/bert` (a model type) takes `head`, `num_labels` and a `config`; `transformers/<Hub id or folder>` the
    first two, its config is that of the pretrained model, and RegistryError is raised where that cannot be fetched.

    Raises:
        ModelError: as `create_model` does.
    """
    check_known(name)
    library, _, inner = name.rpartition("/")
    if name in ARCHITECTURES:
        return {"library": library or OWN, "name": inner, "kwargs": ARCHITECTURES[name].describe(kwargs)}
    library, _, inner = name.partition("/")
    inner, described = LIBRARIES[library].describe(inner, dict(kwargs))
    return {"library": library, "name": inner, "kwargs": described}


def arguments_for(name: str, signature: Signature) -> dict[str, Any]:
    """Return the arguments by which the architecture `name` is sized for a task of this signature.

    Raises:
        ModelError: the architecture is unknown, or has another input or output than the task.
    """
    check_known(name)
    accepts = _accepts(name)
    given, wanted = type(signature.input), type(signature.output)
    if (given, wanted) in accepts:
        return accepts[given, wanted](signature.input, signature.output)
    reads = dict.fromkeys(start.words for start, _ in accepts)
    gives = dict.fromkeys(end.words for start, end in accepts if start is given)
    misfit = f"gives {' or '.join(gives)}, and the task needs {wanted.words}"
    if not gives:
        misfit = f"reads {' or '.join(reads)}, and the data are {given.words}"
    raise ModelError(f"{name} {misfit}: {_instead(given, wanted)}")


def architecture_for(name: str, kwargs: Mapping[str, Any], signature: Signature) -> dict[str, Any]:
    """Return what `architecture_of` does, sized for a task of this signature. Raises as `arguments_for` does."""
    return architecture_of(name, {**kwargs, **arguments_for(name, signature)})


def create_from_architecture(architecture: dict[str, Any], seed: int, *, at_most: int | None = None) -> nn.Module:
    """Build what `architecture_of` described. It may come from a stranger: whatever does not fit is a ModelError.

    So is, before memory is allocated, a network of more than `at_most` parameters.
    """
    if isinstance(architecture, OwnArchitecture):
        return architecture.build(seed)
    if not isinstance(architecture, dict) or set(architecture) != {"library", "name", "kwargs"}:
        raise ModelError(f"an architecture has exactly library, name and kwargs, not {shorten(architecture)}")
    library, name, kwargs = architecture["library"], architecture["name"], architecture["kwargs"]
    if not isinstance(name, str) or "/" in name:
        raise ModelError(f"an architecture's name is one name in its library, not {shorten(name)}")
    if not isinstance(kwargs, dict) or not all(isinstance(key, str) for key in kwargs):
        raise ModelError(f"an architecture's kwargs are a dict by argument name, not {shorten(kwargs)}")
    full = full_name(library, name)
    if full in ARCHITECTURES:
        return ARCHITECTURES[full].create(kwargs, seed, at_most=at_most)
    check_known(full)
    return LIBRARIES[library].make(name, kwargs, seed, at_most)


def full_name(library: object, name: str) -> str:
    """Return the name by which recipes ask for the architecture that is stored as `library` and `name`.

    Raises:
        ModelError: the library is unknown.
    """
    prefixes = [known.rpartition("/")[0] for known in ARCHITECTURES]
    known = list(dict.fromkeys([OWN, *LIBRARIES, *filter(None, prefixes)]))
    if library not in known:
        remedy = "import the module that registers its architectures"
        raise ModelError(f"unknown architecture library {shorten(library)}; known are {', '.join(known)}: {remedy}")
    return name if library == OWN else f"{library}/{name}"


def model_names() -> list[str]:
    """Return every name that create_model takes: those of the table, then those that libraries list: not timm's."""
    listed = [(library.name, library.names()) for library in LIBRARIES.values() if library.names]
    return [*ARCHITECTURES, *(f"{library}/{name}" for library, names in listed for name in names)]


def check_known(name: str) -> None:
    """Raise ModelError, with the near names, where no architecture is called `name`.

    Libraries that do not list their names, such as transformers, say it themselves when they describe one.
    """
    if not isinstance(name, str):
        raise ModelError(f"a model's name is a string such as lenet-300-100, not {shorten(name)}")
    library, slash, inner = name.partition("/")
    if name in ARCHITECTURES or (slash and library in LIBRARIES and _lists(library, inner)):
        return
    otherwise = (
        f"known are {', '.join(ARCHITECTURES)}, torchvision/NAME, timm/NAME, and of an "
        "encoder transformers/OWNER/NAME on the Hub or transformers/./FOLDER"
    )
    raise ModelError(f"unknown model {shorten(name)}; {suggest(name, model_names(), otherwise)}")


def _lists(library: str, name: str) -> bool:
    names = LIBRARIES[library].names
    return names is None or name in names()


def _accepts(name: str) -> Accepts:
    return ARCHITECTURES[name].accepts if name in ARCHITECTURES else LIBRARIES[name.partition("/")[0]].accepts


def _instead(given: type[End], wanted: type[End]) -> str:
    """Return advice to choose one of the architectures that accept input and output of these types."""
    libraries = [f"{library.name}/..." for library in LIBRARIES.values() if (given, wanted) in library.accepts]
    names = [entry.name for entry in ARCHITECTURES.values() if (given, wanted) in entry.accepts]
    if not (names or libraries):
        return f"register one from {given.words} to {wanted.words} in ticketzoo.models.ARCHITECTURES"
    return f"choose a model named {show_names([*libraries, *names], most=5)}"


def initial_state(architecture: dict[str, Any], seed: int, *stream: str | int) -> State:
    """Return parameters and buffers of a fresh initialization; `stream` names further ones of the same seed."""
    return model_state(create_from_architecture(architecture, seed=derive_seed(seed, "init", *stream)))
