"""The weights a ticket starts from, as it stores them: the values of survivors, everything else whole."""

from collections.abc import Mapping

import torch
from torch import Tensor

from ticketzoo.errors import TicketError
from ticketzoo.masks.masks import Masks
from ticketzoo.ticket.levels import PackedLevels

REWIND_DTYPES = {
    *(torch.float16, torch.bfloat16, torch.float32, torch.float64),
    *(torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
}


def pack_rewind(state: Mapping[str, Tensor], masks: Masks) -> dict[str, Tensor]:
    """Return copies of the rewind weights: of parameters in `masks` the values they keep, in C order, of others all.

    Raises:
        TicketError: a masked parameter that is missing, of another shape or no float, for NaN and infinity, and for
            a dtype that a ticket cannot hold.
    """
    for name, mask in masks.items():
        if name not in state:
            raise TicketError(f"the rewind weights have no '{name}', which has a mask")
        if state[name].shape != mask.shape:
            shapes = f"{tuple(state[name].shape)}, its mask {tuple(mask.shape)}"
            raise TicketError(f"rewind weight '{name}' has shape {shapes}")
    packed = {}
    for name, tensor in state.items():
        values = tensor.detach().cpu()
        packed[name] = values[masks[name]] if name in masks else values.clone(memory_format=torch.contiguous_format)
    check_rewind(packed, masks, "the rewind weights")
    return packed


def unpack_rewind(packed: Mapping[str, Tensor], levels: PackedLevels, level: int) -> dict[str, Tensor]:
    """Return fresh dense rewind weights; those pruned at `level` are 0.0."""
    state = {name: tensor.clone() for name, tensor in packed.items() if name not in levels.shapes}
    known = levels.masks(levels.densest)
    masks = levels.masks(level)
    for name, mask in known.items():
        dense = torch.zeros(mask.shape, dtype=packed[name].dtype)
        dense.masked_scatter_(mask, packed[name])
        state[name] = dense if level == levels.densest else dense.masked_fill_(~masks[name], 0)
    return {name: state[name] for name in packed}


def check_rewind(packed: Mapping[str, Tensor], prunable: Mapping[str, object], where: str) -> None:
    """Raise TicketError, naming `where` and the tensor, for a dtype a ticket cannot hold, NaN or infinity."""
    for name, tensor in packed.items():
        check_rewind_dtype(name, tensor.dtype, name in prunable, where)
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            bad = int((~torch.isfinite(tensor)).sum())
            raise TicketError(f"{where}: '{name}' holds NaN or infinity in {bad} of {tensor.numel()} values")


def check_rewind_dtype(name: str, dtype: torch.dtype, prunable: bool, where: str) -> None:
    """Raise TicketError for a dtype a ticket cannot hold, or for prunable weights that are no floats."""
    if dtype not in REWIND_DTYPES or (prunable and not dtype.is_floating_point):
        raise TicketError(f"{where}: '{name}' has dtype {dtype}, which a ticket cannot hold")
