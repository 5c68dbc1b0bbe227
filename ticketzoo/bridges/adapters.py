"""Adapters of peft that change single weights: SHiRA, and those with flat indices and values."""

import torch
from torch import Tensor

from ticketzoo.bridges.brought import Brought, Options, Patch, Source
from ticketzoo.bridges.formats import FORMATS
from ticketzoo.errors import TicketError

_BEFORE = "base_model.model."


def _named(source: Source, weights: str, indices: str) -> dict[str, tuple[Tensor, Tensor]]:
    """Return by the adapted module's name its values and its indices."""
    found = {}
    for name, tensor in source.tensors.items():
        module, dot, last = name.rpartition(f".{weights}")
        if dot and last in ("", ".default"):
            places = source.tensors.get(f"{module}.{indices}{last}")
            if places is None:
                raise TicketError(f"{source.where}: '{name}' has no '{indices}' beside it: save the adapter with them")
            found[module.removeprefix(_BEFORE)] = (tensor, places)
    return found


def _is(source: Source, kind: str, tensor: str) -> bool:
    return source.settings.get("peft_type") == kind or any(f".{tensor}" in name for name in source.tensors)


def _checked(source: Source, values: Tensor, places: Tensor, module: str) -> Patch:
    if places.shape[-1] != values.numel() or values.ndim != 1:
        raise TicketError(f"{source.where}: '{module}' has {places.shape[-1]} indices and {values.numel()} values")
    if not torch.equal(places, places.round() if places.is_floating_point() else places):
        raise TicketError(f"{source.where}: '{module}' has indices that are no whole numbers")
    return Patch(places.to(torch.int64), values, added=True)


@FORMATS.add(
    "shira",
    words="a SHiRA adapter of peft",
    claims=lambda source: _is(source, "SHIRA", "shira_weight"),
    cite="Bhardwaj et al. 2024, arXiv 2406.13175",
    needs_base=True,
)
def read_shira(source: Source, options: Options) -> Brought:
    """Return what the adapter adds to weights of linear layers, by rows and columns."""
    found = _named(source, "shira_weight", "shira_indices")
    if not found:
        raise TicketError(f"{source.where}: has no 'shira_weight'")
    turned = bool(source.settings.get("fan_in_fan_out"))
    patches = {}
    for module, (values, places) in found.items():
        if places.ndim != 2 or places.shape[0] != 2:
            raise TicketError(f"{source.where}: the indices of '{module}' have shape {tuple(places.shape)}, not (2, n)")
        patches[f"{module}.weight"] = _checked(source, values, places.flip(0) if turned else places, module)
    return Brought(patches=patches, masked="frozen")


@FORMATS.add(
    "supertuning",
    words="an adapter of peft with flat indices and values: Super-Tuning",
    claims=lambda source: _is(source, "SUPERTUNING", "supertuning_values"),
    cite="arXiv 2607.09287",
    needs_base=True,
)
def read_flat(source: Source, options: Options) -> Brought:
    """Return what the adapter adds to weights of linear layers, by flat indices."""
    found = _named(source, "supertuning_values", "supertuning_indices")
    if not found:
        raise TicketError(f"{source.where}: has no 'supertuning_values'")
    if any("supertuning_lora" in name for name in source.tensors):
        raise TicketError(f"{source.where}: has low-rank parts beside its sparse ones: merge it and use from_diff")
    patches = {f"{module}.weight": _checked(source, values, places, module)
               for module, (values, places) in found.items()}  # fmt: skip
    return Brought(patches=patches, masked="frozen")
