"""A whole network from wherever it is: a module, a folder or file of weights, a state dict, a model on the Hub."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from ticketzoo.bridges.brought import Source
from ticketzoo.bridges.checkpoint import open_source
from ticketzoo.bridges.plain import EMBEDDING
from ticketzoo.errors import RegistryError, TicketError
from ticketzoo.hub.references import HubReference, parse_reference
from ticketzoo.masks.plain import named_parameters, plain_model
from ticketzoo.masks.sharded import is_sharded
from ticketzoo.models import bare_names, body_prefix, model_state
from ticketzoo.models.by_settings import class_of
from ticketzoo.models.known_as import known_as
from ticketzoo.models.pretrained import is_legacy_buffer, modern_name
from ticketzoo.models.state import State
from ticketzoo.ticket.base import BaseWeights
from ticketzoo.ticket.custom import custom_architecture
from ticketzoo.ticket.fields import CUSTOM
from ticketzoo.ticket.renamed import renamed_module

Network: TypeAlias = nn.Module | str | Path | Mapping[str, Tensor] | BaseWeights
"""A module; a folder, file or Hub id with its weights; its state dict."""

BUFFERS = ("running_mean", "running_var", "num_batches_tracked", "position_ids", "inv_freq")
"""Last parts of the names of tensors that are no parameters, where only names are known."""


@dataclass(frozen=True)
class Whole:
    """Every tensor of a network, by the names that a ticket gives them.

    Attributes:
        where: its name in messages.
        state: tied tensors once.
        architecture: as ticket.json describes it.
        prefix: before the body's names in the network or its file, such as `model.`.
        there: the names in the network or its file, by those in `state`.
        trained: names of parameters.
        embedded: names of embeddings and of what is tied to them.
        tied: other names of tied parameters, by them the one in `state`.
        settings: content of config.json.
        network: the architecture by its name in torchvision or timm, of a module of these.
    """

    where: str
    state: State
    architecture: dict[str, Any]
    prefix: str = ""
    there: Mapping[str, str] = field(default_factory=dict)
    trained: frozenset[str] = frozenset()
    embedded: frozenset[str] = frozenset()
    tied: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    network: Mapping[str, Any] | None = None

    def named(self, tensors: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is named as in the network, or as here, under the names here."""
        here = {there: name for name, there in self.there.items()}
        return {here.get(name, name if name in self.state else name.removeprefix(self.prefix)): one
                for name, one in tensors.items()}  # fmt: skip

    @property
    def prunable(self) -> State:
        """Parameters of two dimensions and more that are no embeddings."""
        return {name: one for name, one in self.state.items()
                if name in self.trained - self.embedded and one.ndim > 1}  # fmt: skip


def whole_of(network: Network) -> Whole:
    """Return all tensors of a network.

    Raises:
        TicketError: a quantised module, a file that cannot be read, a shard that is missing.
        RegistryError: a Hub id that cannot be fetched.
    """
    if isinstance(network, nn.Module):
        return _of_module(plain_model(network))
    if isinstance(network, BaseWeights):
        where = f"{network.repo_id}@{network.revision}"
        return of_source(Source(where, network.state, {}, network.settings))
    if isinstance(network, Mapping):
        return of_source(Source("the state dict", network))
    if on_hub := hub_base(network):
        return whole_of(on_hub)
    place = Path(network).expanduser()
    whole = of_source(source := open_source(place))
    renamed = renamed_module(place, source, whole.state)
    return whole if renamed is None else replace(_of_module(renamed), where=whole.where)


def hub_base(network: object) -> BaseWeights | None:
    """Return the weights that a ticket can name instead of holding them: those on the Hub; None for any others."""
    if isinstance(network, BaseWeights):
        return network
    if not isinstance(network, str) or Path(network).expanduser().exists():
        return None
    match parse_reference(network):
        case HubReference(repo_id, revision):
            return BaseWeights.from_hub(repo_id, revision)
    if "/" in network or "." in network:
        return None
    raise RegistryError(f"'{network}' is neither a folder or file here nor a Hub id (owner/name)")


def of_source(source: Source) -> Whole:
    """Return the network of a checkpoint. Raises TicketError for tensors that are quantised."""
    prefix, old = _body_prefix(source), "model_type" in source.settings
    names = {name: modern_name(name.removeprefix(prefix)) if old else name for name in source.tensors
             if not (old and is_legacy_buffer(name))}  # fmt: skip
    if len(set(names.values())) < len(names):
        names, prefix = {name: name for name in source.tensors}, ""
    state = {names[name]: source.tensors[name] for name in names}
    floats = {name for name, one in state.items() if one.is_floating_point() and name.rpartition(".")[2] not in BUFFERS}
    if wrong := [name for name, one in state.items() if _is_quantised(name, one, state)]:
        raise _quantised(source.where, wrong[0], state[wrong[0]].dtype)
    kind = source.settings.get("architectures")
    name = kind[0] if isinstance(kind, list) and kind and isinstance(kind[0], str) else "Network"
    listed = [{"name": key, "shape": list(one.shape)} for key, one in state.items()]
    described = {"library": CUSTOM, "name": name[:200], "kwargs": {}, "parameters": listed}
    embedded = frozenset(key for key in state if EMBEDDING.search(key))
    there = {name: name_there for name_there, name in names.items()}
    return Whole(source.where, state, described, prefix, there, frozenset(floats), embedded, {}, source.settings)


def _of_module(model: nn.Module) -> Whole:
    if packed := [name for name, part in model.named_modules() if ".quantized" in type(part).__module__]:
        raise TicketError(f"'{packed[0]}' is a quantised module: masks are of floats; load the model unquantised")
    given: dict[str, Any] = bare_names(model_state(model), model)
    state: State = {name: one.full_tensor() if is_sharded(one) else one for name, one in given.items()}
    named = named_parameters(model)
    for name, parameter in named.items():
        if parameter.ndim > 1 and not (parameter.is_floating_point() or parameter.is_complex()):
            raise _quantised("the model", name, parameter.dtype)
    first = {id(parameter): name for name, parameter in reversed(list(bare_names(named, model).items()))}
    first |= {id(parameter): name for name, parameter in bare_names(named, model).items() if name in state}
    tied = {name: first[id(parameter)] for name, parameter in bare_names(named, model).items() if name not in state}
    tables = {id(part.weight) for part in model.modules() if isinstance(part, nn.Embedding)}
    embedded = frozenset(name for name in first.values() if EMBEDDING.search(name))
    embedded |= frozenset(first[id(parameter)] for parameter in named.values() if id(parameter) in tables)
    trained = frozenset(first[id(parameter)] for parameter in named.values())
    name = type(model).__name__
    there = dict(zip(state, model_state(model), strict=True))
    made = custom_architecture(model)
    start, network = body_prefix(model), known_as(model)
    return Whole(name, state, made, start, there, trained, embedded, tied, settings_of(model), network)


def settings_of(model: nn.Module) -> dict[str, Any]:
    """Return the content of the config.json that `transformers` would write beside a model of its; else nothing."""
    settings: Any = getattr(model, "config", None)
    if not hasattr(settings, "to_json_string"):
        return {}
    return {**json.loads(settings.to_json_string()), "architectures": [type(model).__name__]}


def _body_prefix(source: Source) -> str:
    """Return what stands before the names of a body's tensors, as the class says that config.json names."""
    kinds = source.settings.get("architectures")
    if not isinstance(kinds, list) or "model_type" not in source.settings:
        return ""
    made = next(filter(None, map(class_of, kinds)), None)
    return f"{made.base_model_prefix}." if made is not None and made.base_model_prefix else ""


def _is_quantised(name: str, tensor: Tensor, state: Mapping[str, Tensor]) -> bool:
    return tensor.ndim > 1 and name.endswith((".weight", ".qweight")) and not tensor.is_floating_point()


def _quantised(where: str, name: str, dtype: torch.dtype) -> TicketError:
    return TicketError(f"{where}: '{name}' is {dtype}, quantised: masks are of floats; load the model unquantised")
