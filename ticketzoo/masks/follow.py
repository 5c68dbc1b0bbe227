"""Find where the parameters that masks were put on are now: the model may have been changed since.

A mask goes with its parameter, wherever that is moved to, and with its layer, whose parameter may be exchanged for one
of the same shape: sharded, converted, assigned. The mask of a layer that is gone goes with it. What is neither is lost.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping
from types import FrameType
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.utils import stateless

from ticketzoo.masks.excluded import why_not
from ticketzoo.masks.plain import is_wrapped

_COMPUTED = "is computed from other tensors (weight_norm, a parametrization, FSDP1): undo that, or take the masks off"
Edge: TypeAlias = tuple[dict[str, Any], str, Any]


class Place(NamedTuple):
    """A parameter in a model."""

    owner: nn.Module
    leaf: str
    """Its name in `owner`."""
    parameter: Tensor
    edges: tuple[Edge, ...]
    """The way from the model: of each module, and last of the parameter, the dict it is in, its key there, itself."""


class Known(NamedTuple):
    """The place of a mask as it was last seen."""

    shape: tuple[int, ...]
    owner: nn.Module | None
    parameter: Tensor | None
    replaced: bool
    """Another layer of the same shape was in its place."""
    seen: bool
    """False after copying and loading: then it is where its name says."""


class Found(NamedTuple):
    """The places of masks now."""

    places: dict[str, tuple[str, Place]]
    """By the name that the mask had, its name now and where that is."""
    lost: dict[str, str]
    """Why a mask that is still wanted cannot be held, by name."""
    replaced: set[str]
    """Lost ones whose layer was replaced by one of the same shape."""
    gone: dict[str, bool]
    """Those whose layer is not in the model any more; whether another, of another shape, is in its place."""


class Trail:
    """The way to every masked parameter, to see quickly whether anything there was exchanged."""

    def __init__(self, edges: Iterable[Edge]) -> None:
        self._edges = list({(id(children), key): (children, key, child) for children, key, child in edges}.values())

    def is_intact(self) -> bool:
        """Tell whether every module and parameter is still where it was."""
        return all(children.get(key) is child for children, key, child in self._edges)


def follow(model: nn.Module, known: Mapping[str, Known], *, accept: bool = False) -> Found:
    """Return where the masks of `model`, last seen as in `known`, are now.

    Args:
        model: not wrapped.
        known: by the masks' names.
        accept: whether a layer that has replaced another of the same shape gets its mask.
    """
    here = {_name(prefix, leaf): place for prefix, leaf, place in _places(model)}
    of_parameter: dict[int, str] = {}
    of_owner: dict[tuple[int, str], str] = {}
    for name, place in here.items():
        of_parameter.setdefault(id(place.parameter), name)
        of_owner.setdefault((id(place.owner), place.leaf), name)
    taken = {id(one.parameter) for one in known.values() if one.parameter is not None}
    found = Found({}, {}, set(), {})
    for name, one in known.items():
        now, leaf = name, name.rpartition(".")[2]
        if name not in here or not _is_same(here[name], one):
            now = of_parameter.get(id(one.parameter)) or of_owner.get((id(one.owner), leaf)) or name
        if now not in here:
            if _is_computed(model, name):
                found.lost[name] = _COMPUTED
            else:
                found.gone[name] = False
            continue
        place = here[now]
        same = _is_same(place, one) if one.seen else not one.replaced
        if not same and (id(place.parameter) in taken or tuple(place.parameter.shape) != one.shape):
            found.gone[name] = id(place.parameter) not in taken
            continue
        if not (same or accept):
            layer = name.rpartition(".")[0]
            found.replaced.add(name)
            found.lost[name] = (
                f"is of another layer of the same shape: ticket.reapply(model) masks it, "
                f"ticket.apply(model, rewind=False, head='{layer}') leaves it as it is"
            )
        elif (why := _unfit(now, place, one.shape)) is not None:
            found.lost[name] = why
        else:
            found.places[name] = now, place
    return found


def in_functional_call() -> bool:
    """Tell whether the caller runs inside of `torch.func.functional_call`."""
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame.f_code is not stateless._functional_call.__code__:
        frame = frame.f_back
    return frame is not None


def is_stacked(tensor: Tensor) -> bool:
    """Tell whether a tensor stands for several, one of each model, under `torch.vmap`."""
    functorch = torch._C._functorch
    while functorch.is_functorch_wrapped_tensor(tensor):
        if functorch.is_batchedtensor(tensor):
            return True
        tensor = functorch.get_unwrapped(tensor)
    return False


def _is_same(place: Place, known: Known) -> bool:
    return place.parameter is known.parameter or place.owner is known.owner


def _unfit(name: str, place: Place, shape: tuple[int, ...]) -> str | None:
    if "parametrizations" in name.split("."):
        return _COMPUTED
    if tuple(place.parameter.shape) != shape:
        return f"has shape {tuple(place.parameter.shape)} now, its mask {shape}"
    return why_not(place.parameter) if isinstance(place.parameter, nn.Parameter) else None


def _is_computed(model: nn.Module, name: str) -> bool:
    """Tell whether a name that is no parameter any more is a tensor still, and no buffer."""
    path, _, leaf = name.rpartition(".")
    owner = dict(_modules(model)).get(path)
    return owner is not None and leaf not in owner._buffers and isinstance(getattr(owner, leaf, None), Tensor)


def _name(prefix: str, leaf: str) -> str:
    return f"{prefix}.{leaf}" if prefix else leaf


def _modules(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    for prefix, module, _ in _walk(model, "", ()):
        yield prefix, module


def _places(model: nn.Module) -> Iterator[tuple[str, str, Place]]:
    for prefix, module, edges in _walk(model, "", ()):
        for leaf, parameter in module._parameters.items():
            if parameter is not None:
                yield prefix, leaf, Place(module, leaf, parameter, (*edges, (module._parameters, leaf, parameter)))


def _walk(module: nn.Module, prefix: str, edges: tuple[Any, ...]) -> Iterator[tuple[str, nn.Module, tuple[Any, ...]]]:
    """Yield every module by its name without wrappers, and the way to it."""
    yield prefix, module, edges
    for key, child in module._modules.items():
        if child is not None:
            name = prefix if is_wrapped(module, key) else _name(prefix, key)
            yield from _walk(child, name, (*edges, (module._modules, key, child)))
