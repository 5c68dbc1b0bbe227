"""Sparse weight updates as trainers send them to inference servers: flat indices and new values."""

from collections.abc import Mapping

import torch
from torch import Tensor

from ticketzoo.bridges.brought import Brought, Options, Patch, Source
from ticketzoo.bridges.formats import FORMATS
from ticketzoo.errors import TicketError

SUFFIXES = ((".idx", ".val"), (".indices", ".values"))
"""Endings of the names of indices and values: of TRL's patches, and of vLLM's fields."""
_GAPS = "gap_delta"


def _is_patch(source: Source) -> bool:
    names = source.tensors
    return any(f"{name.removesuffix(values)}{indices}" in names
               for name in names for indices, values in SUFFIXES if name.endswith(values))  # fmt: skip


@FORMATS.add(
    "patch",
    words="a sparse update: NAME.idx and NAME.val (TRL) or NAME.indices and NAME.values (vLLM)",
    claims=_is_patch,
    needs_base=True,
)
def read_patch(source: Source, options: Options) -> Brought:
    """Return the new values; tensors that are there whole are new values of all their weights."""
    encoding = str(source.facts.get("encoding", "raw")).removeprefix("Encoding.").lower()
    if encoding not in ("raw", _GAPS):
        raise TicketError(f"{source.where}: its indices are encoded as '{encoding}', which is not read here")
    patches = {}
    used = set()
    for indices, values in SUFFIXES:
        for key in [key for key in source.tensors if key.endswith(values)]:
            name = key.removesuffix(values)
            if f"{name}{indices}" not in source.tensors:
                continue
            raw = source.tensors[f"{name}{indices}"]
            if raw.is_floating_point() or raw.is_complex() or raw.dtype is torch.bool:
                raise TicketError(f"{source.where}: the indices of '{name}' are {raw.dtype}, no whole numbers")
            places = _decoded(raw) if encoding == _GAPS else raw.to(torch.int64)
            if places.ndim != 1 or places.shape != source.tensors[key].shape:
                both = f"{tuple(places.shape)} and {tuple(source.tensors[key].shape)}"
                raise TicketError(f"{source.where}: indices and values of '{name}' have shapes {both}")
            patches[name] = Patch(places, source.tensors[key])
            used |= {key, f"{name}{indices}"}
    whole = {name: Patch(torch.arange(one.numel()), one.flatten(), shape=tuple(one.shape))
             for name, one in source.tensors.items() if name not in used}  # fmt: skip
    if not patches:
        raise TicketError(f"{source.where}: has no pair of indices and values")
    return Brought(patches=patches | whole, masked="frozen")


def _decoded(gaps: Tensor) -> Tensor:
    """Return indices given how many places lie between each and the one before."""
    return torch.cumsum(gaps.to(torch.int64) + 1, 0) - 1


def write_patch(masks: Mapping[str, Tensor], tuned: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return tensors and metadata of an update to the values of `tuned` where the masks keep, and whole beside them.

    Tensors without a mask are new values of all their weights, in `tuned` by their own names.
    """
    tensors: dict[str, Tensor] = {}
    for name, tensor in tuned.items():
        if name not in masks:
            tensors[name] = tensor.contiguous()
        elif masks[name].any():
            places = masks[name].flatten().nonzero().flatten()
            tensors[f"{name}.idx"] = places.to(torch.int32 if tensor.numel() < 2**31 else torch.int64)
            tensors[f"{name}.val"] = tensor.flatten()[places]
    return tensors, {"encoding": "raw", "sparse": "True"}
