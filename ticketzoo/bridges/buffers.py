"""State dicts that hold a mask beside each weight: torch.nn.utils.prune, BERT-Tickets, TurboPrune."""

import torch
from torch import Tensor

from ticketzoo.bridges.brought import Brought, Options, Source
from ticketzoo.bridges.formats import FORMATS
from ticketzoo.errors import TicketError


def as_mask(tensor: Tensor, name: str, where: str) -> Tensor:
    """Return a tensor of zeros and ones as a bool mask. Raises TicketError for other values."""
    if tensor.dtype is not torch.bool and not ((tensor == 0) | (tensor == 1)).all():
        raise TicketError(f"{where}: '{name}' is no mask: it has values other than 0 and 1")
    return tensor != 0


def inner(source: Source) -> dict[str, Tensor]:
    """Return the tensors of a training checkpoint's state dict, where the file is one; else all."""
    for outer in ("state_dict", "model", "model_state_dict"):
        inside = {name.removeprefix(f"{outer}/"): one for name, one in source.tensors.items()
                  if name.startswith(f"{outer}/")}  # fmt: skip
        if inside:
            return {name.removeprefix("module."): one for name, one in inside.items()}
    return dict(source.tensors)


def _pairs(source: Source) -> bool:
    return any(name.endswith("_orig") and f"{name[:-5]}_mask" in inner(source) for name in inner(source))


@FORMATS.add("torch-prune", words="pairs of torch.nn.utils.prune: NAME_orig and NAME_mask", claims=_pairs)
def read_pairs(source: Source, options: Options) -> Brought:
    """Return masks and weights: what a mask excludes is in NAME_orig, and 0.0 in the network."""
    tensors = inner(source)
    masks = {name[:-5]: as_mask(tensor, name, source.where) for name, tensor in tensors.items()
             if name.endswith("_mask") and f"{name[:-5]}_orig" in tensors}  # fmt: skip
    if not masks:
        raise TicketError(f"{source.where}: has no pair of NAME_orig and NAME_mask")
    weights = {name.removesuffix("_orig"): tensor for name, tensor in tensors.items()
               if not (name.endswith("_mask") and name[:-5] in masks)}  # fmt: skip
    return Brought(masks, weights)


def _masks_alone(source: Source) -> bool:
    tensors = inner(source)
    return bool(tensors) and all(name.endswith("_mask") for name in tensors)


@FORMATS.add(
    "bert-tickets",
    words="masks alone, as NAME_mask: mask.pt of BERT-Tickets",
    claims=_masks_alone,
    cite="Chen et al. 2020, arXiv 2007.12223",
)
def read_masks_alone(source: Source, options: Options) -> Brought:
    """Return masks; the weights are those of a base model."""
    named = {name: tensor for name, tensor in inner(source).items() if name.endswith("_mask")}
    if not named:
        raise TicketError(f"{source.where}: has no NAME_mask")
    return Brought({name[:-5]: as_mask(tensor, name, source.where) for name, tensor in named.items()})


def _buffers(source: Source) -> bool:
    tensors = inner(source)
    return any(name.endswith(".mask") and f"{name[:-5]}.weight" in tensors for name in tensors)


@FORMATS.add("turboprune", words="layers with a buffer `mask` beside `weight`: TurboPrune", claims=_buffers)
def read_buffers(source: Source, options: Options) -> Brought:
    """Return masks and weights."""
    tensors = inner(source)
    masks = {f"{name[:-5]}.weight": as_mask(tensor, name, source.where) for name, tensor in tensors.items()
             if name.endswith(".mask") and f"{name[:-5]}.weight" in tensors}  # fmt: skip
    if not masks:
        raise TicketError(f"{source.where}: has no layer with a buffer `mask` beside its `weight`")
    return Brought(masks, {name: tensor for name, tensor in tensors.items() if not name.endswith(".mask")})
