"""The weights of a ticket as it holds them: the values at the places that are known, everything else whole."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ticketzoo.errors import TicketError
from ticketzoo.masks import bits as bit
from ticketzoo.masks.digests import state_sha256
from ticketzoo.models.state import State
from ticketzoo.ticket.levels import MaskBits, Shapes, unpack

REWIND_DTYPES = {
    *(torch.float16, torch.bfloat16, torch.float32, torch.float64),
    *(torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
}


@dataclass(frozen=True, eq=False)
class PackedState:
    """Weights of which some places are known.

    Attributes:
        shapes: of the masked parameters.
        known: a bit per weight of each masked parameter.
        tensors: of a masked parameter the known values, 1-D, in C order; other parameters and buffers whole.
    """

    shapes: Shapes
    known: MaskBits
    tensors: State

    def dense(self, kept: MaskBits | None = None) -> State:
        """Return fresh dense tensors; 0.0 where a masked weight is not known, or is not among `kept` where given."""
        known = unpack(self.known, self.shapes)
        state = {}
        for name, tensor in self.tensors.items():
            if name not in known:
                state[name] = tensor.clone()
                continue
            state[name] = torch.zeros(self.shapes[name], dtype=tensor.dtype, device="cpu")
            state[name].masked_scatter_(known[name], tensor)
            if kept is not None and kept is not self.known:
                mask = bit.unpack(kept[name], math.prod(self.shapes[name]))
                state[name].masked_fill_(~torch.from_numpy(mask).view(self.shapes[name]), 0)
        return state

    def over(self, start: State) -> State:
        """Return `start` with what is known here in its place, in the dtypes of here."""
        state, known = dict(start), unpack(self.known, self.shapes)
        for name, tensor in self.tensors.items():
            if name in known:
                dense = start[name].to(tensor.dtype, copy=True)
                state[name] = dense.masked_scatter_(known[name], tensor)
            else:
                state[name] = tensor.clone()
        return state

    def sha256(self) -> str:
        """Return the digest of the dense tensors."""
        return state_sha256(self.dense())


def pack_state(state: Mapping[str, Tensor], known: MaskBits, shapes: Shapes, what: str) -> PackedState:
    """Return copies of weights: of masked parameters the known values, in C order, of others all.

    Raises:
        TicketError: a masked parameter that is missing, of another shape or no float, for NaN and infinity, and for
            a dtype that a ticket cannot hold; the message begins with `what`.
    """
    for name, shape in shapes.items():
        if name not in state:
            raise TicketError(f"{what} have no '{name}', which has a mask")
        if tuple(state[name].shape) != shape:
            raise TicketError(f"{what}: '{name}' has shape {tuple(state[name].shape)}, its mask {shape}")
    masks, tensors = unpack(known, shapes), {}
    for name, tensor in state.items():
        values = tensor.detach().cpu()
        tensors[name] = values[masks[name]] if name in masks else values.clone(memory_format=torch.contiguous_format)
    check_values(tensors, shapes, what)
    return PackedState(shapes, known, tensors)


def check_values(tensors: Mapping[str, Tensor], prunable: Mapping[str, object], where: str) -> None:
    """Raise TicketError, naming `where` and the tensor, for a dtype a ticket cannot hold, NaN or infinity."""
    for name, tensor in tensors.items():
        check_dtype(name, tensor.dtype, name in prunable, where)
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            bad = int((~torch.isfinite(tensor)).sum())
            raise TicketError(f"{where}: '{name}' holds NaN or infinity in {bad} of {tensor.numel()} values")


def check_dtype(name: str, dtype: torch.dtype, prunable: bool, where: str) -> None:
    """Raise TicketError for a dtype a ticket cannot hold, or for prunable weights that are no floats."""
    if dtype not in REWIND_DTYPES or (prunable and not dtype.is_floating_point):
        raise TicketError(f"{where}: '{name}' has dtype {dtype}, which a ticket cannot hold")


def step_by_replicate(rewind: dict[str, Any]) -> dict[str, Any]:
    """Return the rewinding with a step for all replicates, or steps where they differ."""
    if not isinstance(steps := rewind.get("step"), list | tuple) or not steps:
        return rewind
    return {**rewind, "step": steps[0]} | ({"steps": list(steps)} if len(set(steps)) > 1 else {})
