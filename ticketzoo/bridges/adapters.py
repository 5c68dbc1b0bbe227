"""Adapters of peft that change single weights: SHiRA, and those with flat indices and values."""

import json
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ticketzoo.bridges.brought import Brought, Options, Patch, Source
from ticketzoo.bridges.formats import FORMATS
from ticketzoo.errors import TicketError
from ticketzoo.util.strict_json import parse_json

_BEFORE = "base_model.model."
_KEPT = "kept"


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
    if values.ndim != 1 or places.shape[-1] != values.numel():
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
    turned, kept = bool(source.settings.get("fan_in_fan_out")), _kept(source)
    patches = {}
    for module, (values, places) in found.items():
        if places.ndim != 2 or places.shape[0] != 2:
            raise TicketError(f"{source.where}: the indices of '{module}' have shape {tuple(places.shape)}, not (2, n)")
        patch = _checked(source, values, places.flip(0) if turned else places, module)
        count = kept.get(module, len(values))
        patches[f"{module}.weight"] = Patch(patch.places[:, :count], patch.values[:count], added=True)
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
    for module, (_, places) in found.items():
        if places.ndim != 1:
            raise TicketError(f"{source.where}: the indices of '{module}' have shape {tuple(places.shape)}, not (n,)")
    patches = {f"{module}.weight": _checked(source, values, places, module)
               for module, (values, places) in found.items()}  # fmt: skip
    return Brought(patches=patches, masked="frozen")


def _kept(source: Source) -> dict[str, int]:
    """Return how many values of each module are no filling, of an adapter that `write_shira` made."""
    content = source.facts.get(_KEPT)
    found = parse_json(content.encode(), source.where) if isinstance(content, str) else {}
    return {name: n for name, n in found.items() if type(n) is int and n >= 0} if isinstance(found, dict) else {}


def write_shira(
    masks: Mapping[str, Tensor], base: Mapping[str, Tensor], tuned: Mapping[str, Tensor], of: str | None
) -> tuple[dict[str, Tensor], dict[str, Any], dict[str, str]]:
    """Return tensors, settings and metadata of an adapter that turns `base` into `tuned` where the masks keep.

    SHiRA has as many values in a layer as LoRA of a rank has. The lowest rank that is enough is taken, and the rest
    filled with zeros, which the metadata count.

    Raises:
        TicketError: a mask keeps weights of something else than a matrix called `weight`, or too many.
    """
    wanted = {name: mask for name, mask in masks.items() if mask.any()}
    if wrong := [name for name, mask in wanted.items() if mask.ndim != 2 or not name.endswith(".weight")]:
        raise TicketError(f"SHiRA adapts weights of linear layers alone, and '{wrong[0]}' changes, too: export a patch")
    rank = max(-(-int(mask.sum()) // sum(mask.shape)) for mask in wanted.values())
    tensors: dict[str, Tensor] = {}
    for name, mask in wanted.items():
        module, count = name.removesuffix(".weight"), rank * sum(mask.shape)
        if count > mask.numel():
            raise TicketError(f"SHiRA of rank {rank} has more values than '{name}' has weights: export a patch")
        inside, outside = mask.flatten().nonzero().flatten(), (~mask).flatten().nonzero().flatten()
        places = torch.cat([inside, outside[: count - len(inside)]])
        values = torch.zeros(count)
        values[: len(inside)] = (tuned[name].float() - base[name].float()).flatten()[inside]
        tensors[f"{_BEFORE}{module}.shira_weight"] = values
        rows = torch.div(places, mask.shape[1], rounding_mode="floor")
        tensors[f"{_BEFORE}{module}.shira_indices"] = torch.stack([rows, places % mask.shape[1]]).int()
    settings: dict[str, Any] = {
        "peft_type": "SHIRA",
        "task_type": None,
        "base_model_name_or_path": of,
        "inference_mode": True,
    }
    settings |= {"r": rank, "mask_type": "random", "random_seed": 0, "fan_in_fan_out": False, "init_weights": True}
    modules = [name.removesuffix(".weight") for name in wanted]
    settings |= {"target_modules": modules, "modules_to_save": None}
    kept = {name.removesuffix(".weight"): int(mask.sum()) for name, mask in wanted.items()}
    return tensors, settings, {_KEPT: json.dumps(kept)}
