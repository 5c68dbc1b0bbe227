"""Pretrained encoders: their architecture by Hub id or folder, and their weights put on a model under any head."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ticketzoo.errors import ModelError
from ticketzoo.hub.folder import open_hub
from ticketzoo.hub.model_files import FolderFiles, ModelFiles
from ticketzoo.hub.options import HubOptions
from ticketzoo.hub.references import FolderReference, HubReference, parse_reference
from ticketzoo.models import transformers
from ticketzoo.models.architecture import LIBRARIES, Library
from ticketzoo.models.arguments import shorten
from ticketzoo.models.body import body_prefix, in_body, model_names_of, within
from ticketzoo.models.gguf import folder_of
from ticketzoo.models.state import live_state
from ticketzoo.models.transformer_configs import CONFIGS

PREFIX = "transformers/"
CONFIG_FILE = "config.json"
_MAX_CONFIG_BYTES = 2**20
_LEGACY = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}
_BUFFER = re.compile(r"(^|\.)(position_ids|token_type_ids|inv_freq|h\.\d+\.attn\.(masked_)?bias)$")
"""Tensors that files of some models have and that are no parameters."""
_LAYER = re.compile(r"(?:layers?|h)\.(\d+)\.")


def pretrained_reference(name: str) -> HubReference | FolderReference | None:
    """Return the pretrained model that an architecture's name refers to; None for one that is initialized afresh.

    A GGUF file counts as the folder that it is converted to.

    Raises:
        RegistryError: it refers to nothing.
        ModelError: it is neither a folder nor a Hub id, or a GGUF file that cannot be read.
    """
    reference = name.removeprefix(PREFIX)
    if not name.startswith(PREFIX) or reference in CONFIGS or not re.search(r"[/~\\:]|^\.", reference):
        return None
    match parse_reference(reference):
        case HubReference() as found:
            return found
        case FolderReference(path):
            return FolderReference(folder_of(path))
    raise ModelError(f"{shorten(reference)} is neither a folder nor the Hub id of a model")


def referenced_architecture(reference: str, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the architecture of a model type, or of the pretrained model in a folder or on the Hub, under a head.

    Args:
        reference: `bert`, `./folder`, `owner/name` or `owner/name@revision`.
        kwargs: `head` and `num_labels`, and for a model type alone `config`.

    Raises:
        ModelError: it cannot be built.
        RegistryError: it cannot be fetched.
    """
    pretrained = pretrained_reference(PREFIX + reference)
    if pretrained is None:
        return transformers.architecture(reference, kwargs)
    if "config" in kwargs:
        raise ModelError(f"transformers/{reference}: config is that of the pretrained model; leave it out")
    found = transformers.pretrained_architecture(read_config(_files_of(pretrained)))
    return transformers.architecture(found["name"], {**kwargs, "config": found["kwargs"]["config"]})


def read_config(files: ModelFiles) -> dict[str, Any]:
    """Return the content of a model's config.json.

    Raises:
        RegistryError: there is none.
        ModelError: it is damaged.
    """
    path = files.path(CONFIG_FILE, at_most=_MAX_CONFIG_BYTES)
    try:
        config = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        config = None
    if not isinstance(config, dict):
        raise ModelError(f"{files}: {CONFIG_FILE} is not a JSON object")
    return config


def _files_of(reference: HubReference | FolderReference) -> ModelFiles:
    if isinstance(reference, FolderReference):
        return FolderFiles(reference.path)
    return open_hub(reference.repo_id, reference.revision, HubOptions(), known_by=(CONFIG_FILE,))


def load_base(model: nn.Module, state: Mapping[str, Tensor], *, fresh_pooler: bool = False) -> list[str]:
    """Copy pretrained weights into `model`, cast to its dtypes.

    Args:
        model: a bare encoder of `transformers`, or one under a head.
        state: the tensors of a model of any head or none, as its file names them. Whatever this model has no use for,
            another head's tensors among them, is left out.
        fresh_pooler: accept a `state` without pooler, such as that of a masked language model that was trained alone.

    Returns:
        the names of the parameters that `state` does not have in their shape, and which stay as they were: those of a
        fresh head or pooler.

    Raises:
        ModelError: the body does not fit; the message names a tensor and both shapes. The model is unchanged.
    """
    given = model_names_of(bare_state(state, getattr(model, "base_model_prefix", "")), model)
    targets = live_state(model)
    fitting = {name for name in targets if name in given and given[name].shape == targets[name].shape}
    fresh = [name for name in targets if name not in fitting]
    pooler = {name for name in targets if within(name, [f"{body_prefix(model)}pooler"])}
    absent = pooler if fresh_pooler and pooler.isdisjoint(given) else set()
    if misfits := sorted(name for name in {*targets, *given} - fitting - absent if in_body(name, model)):
        raise ModelError(_misfit(misfits, given, targets))
    with torch.no_grad():
        for name in fitting:
            targets[name].copy_(given[name])
    return fresh


def bare_state(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return a pretrained model's tensors under the names of the bare encoder and its head.

    Args:
        state: as the model's file names them: with `prefix` before the body's names or without, perhaps with the
            `gamma` and `beta` that LayerNorm once had, and with buffers that are parameters no more.
        prefix: name of the bare encoder in models with a head, such as `bert`.

    Raises:
        ModelError: two tensors come to have one name.
    """
    renamed: dict[str, Tensor] = {}
    for name, tensor in state.items():
        bare = modern_name(name.removeprefix(f"{prefix}."))
        if bare in renamed:
            raise ModelError(f"the pretrained weights have two tensors for {shorten(bare)}")
        if not is_legacy_buffer(bare):
            renamed[bare] = tensor
    return renamed


def modern_name(name: str) -> str:
    """Return the name that `transformers` gives a tensor today: LayerNorm once had `gamma` and `beta`."""
    for old, new in _LEGACY.items():
        if name.endswith(old):
            return name.removesuffix(old) + new
    return name


def is_legacy_buffer(name: str) -> bool:
    """Tell whether a file's tensor is a buffer that models of today do not save."""
    return _BUFFER.search(name) is not None


def base_state(architecture: Mapping[str, Any], state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return pretrained weights under the names that a ticket of the architecture gives them.

    Of a network of the user's own, whose tensors it lists, as `named_like` does.

    Raises:
        ModelError: the architecture is unknown, or a tensor is missing or of another shape.
    """
    name, listed = architecture.get("name"), architecture.get("parameters")
    if architecture.get("library") != "transformers":
        return named_like(state, {one["name"]: one["shape"] for one in listed}) if listed else dict(state)
    if not isinstance(name, str) or name not in CONFIGS:
        raise ModelError(f"unknown model type {shorten(name)}; known are {', '.join(CONFIGS)}")
    return bare_state(state, CONFIGS[name].prefix)


def named_like(state: Mapping[str, Tensor], shapes: Mapping[str, Sequence[int]]) -> dict[str, Tensor]:
    """Return the tensors of a model under other names: those in `shapes`, or these after a common first part.

    A file names a body's tensors `model.layers.0...`, say, and a ticket `layers.0...`; or it is old, with `gamma` and
    `beta`. Tensors of no name in `shapes` are left out.

    Raises:
        ModelError: a tensor is missing or has another shape.
    """
    state = {modern_name(name): tensor for name, tensor in state.items()} | dict(state)
    missing = [name for name in shapes if name not in state]
    ends = [f".{name}" for name in missing]
    first = {key[: -len(ends[0]) + 1] for key in state if key.endswith(ends[0])} if ends else set()
    prefix = max(sorted(first), key=lambda one: sum(one + name in state for name in missing), default="")
    named = {name: state[name] if name in state else state.get(prefix + name) for name in shapes}
    for name, shape in shapes.items():
        if (tensor := named[name]) is None or tuple(tensor.shape) != tuple(shape):
            there = "none" if tensor is None else tuple(tensor.shape)
            raise ModelError(f"the base is of another model: {shorten(name)} is {there} in it, {tuple(shape)} here")
    return {name: tensor for name, tensor in named.items() if tensor is not None}


def _misfit(names: list[str], given: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> str:
    name = next((name for name in names if name in given and name in targets), names[0])
    shapes = [f"{tuple(tensors[name].shape)}" if name in tensors else "none" for tensors in (given, targets)]
    message = f"the pretrained weights do not fit the model: {shorten(name)} is {shapes[0]} in them, {shapes[1]} there"
    sizes = [_size(tensors) for tensors in (given, targets)]
    return message + (f" ({sizes[0]}; the model has {sizes[1]})" if sizes[0] != sizes[1] else "")


def _size(tensors: Mapping[str, Tensor]) -> str:
    """Return the hidden size and depth of an encoder, as its tensors' names and shapes tell."""
    layers = {int(found[1]) for name in tensors if (found := _LAYER.search(name))}
    widths = [tensor.shape[-1] for name, tensor in tensors.items() if _LAYER.search(name) and tensor.dim() == 2]
    return f"hidden size {widths[0]}, {max(layers) + 1} layers" if layers and widths else "no encoder layers"


def _described(reference: str, kwargs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    found = referenced_architecture(reference, kwargs)
    return found["name"], found["kwargs"]


LIBRARIES.put(Library(name="transformers", make=transformers.create, describe=_described, accepts=transformers.ACCEPTS))
