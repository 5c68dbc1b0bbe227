"""Deltas on models: put on a base, and taken out again so that the base is there as before."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ticketzoo.errors import TicketError
from ticketzoo.masks import bits as bit
from ticketzoo.masks.attach import detach
from ticketzoo.masks.bits import Bits
from ticketzoo.masks.plain import plain_model
from ticketzoo.masks.sharded import memory, part_of
from ticketzoo.ticket.contents import Contents
from ticketzoo.ticket.fit import fit, left_by, names_in
from ticketzoo.ticket.held import is_base
from ticketzoo.ticket.levels import unpack
from ticketzoo.ticket.naming import Rename, tensors_of

_UNDER = "_ticketzoo_under"
"""The attribute of a model that holds the base's values under a delta."""


class Under(NamedTuple):
    """The base's values of one tensor, in this process's part: of the weights in `places` (bits), or all (None)."""

    places: Bits | None
    values: Tensor


def put_delta(
    ticket: Contents, model: nn.Module, head: Sequence[str] | None, leave: Sequence[str], rename: Rename | None
) -> None:
    """Put a delta's base, unless the model has it, its masks and its values on `model`. See `Ticket.apply`."""
    plain = plain_model(model)
    take_out(plain)
    base = None if is_base(model, ticket.config) else ticket.rewind_state
    fit(model, ticket.masks, base, head=head, leave=leave, rename=rename, masked="frozen", ticket=ticket._at_level)
    values = ticket._replicate.values[ticket.level]
    known, targets, is_left = unpack(values.known, values.shapes), tensors_of(model), left_by(plain, head, leave)
    here = names_in(plain, {name: torch.empty(0) for name in values.tensors}, rename)
    names = dict(zip(values.tensors, here, strict=True)) if len(here) == len(values.tensors) else {}
    under: dict[str, Under] = {}
    plain.__dict__[_UNDER] = under  # before the first is written: what fails half-way is taken out again
    with torch.no_grad():
        for name, tensor in values.tensors.items():
            there = names.get(name) or next(iter(names_in(plain, {name: tensor}, rename)), "")
            if there not in targets or is_left(there):
                continue
            mask = known.get(name)
            dense = (
                tensor if mask is None else torch.zeros(mask.shape, dtype=tensor.dtype).masked_scatter_(mask, tensor)
            )
            under[there] = _put(dense, mask, targets[there])


def _put(dense: Tensor, mask: Tensor | None, target: Tensor) -> Under:
    """Write values into this process's part of a tensor, and return those that were there."""
    local, values = memory(target), part_of(dense, target)
    if mask is None:
        before = Under(None, local.clone())
        local.copy_(values)
        return before
    part = part_of(mask, target).to(local.device)
    before = Under(bit.pack(part.cpu().numpy()), local[part].clone())
    local[part] = values.to(local)[part]
    return before


def take_out(model: nn.Module) -> None:
    """Put back the base under the deltas on `model` and its parts; a model without any stays as it is.

    Raises:
        TicketError: a parameter is not there any more, or has another shape.
    """
    for module in plain_model(model).modules():
        under: dict[str, Under] = module.__dict__.pop(_UNDER, {})
        targets = tensors_of(module) if under else {}
        with torch.no_grad():
            for name, (places, values) in under.items():
                local = memory(targets[name]) if name in targets else torch.empty(0)
                if name not in targets or (places is not None and len(places) != bit.length(local.numel())):
                    raise TicketError(f"the base cannot be put back: '{name}' is not in the model as it was")
                if places is None:
                    local.copy_(values)
                else:
                    part = torch.from_numpy(bit.unpack(places, local.numel())).view(local.shape).to(local.device)
                    local[part] = values.to(local)


def take_off(model: nn.Module) -> None:
    """Take masks, and deltas under them, off `model`."""
    detach(model)
    take_out(model)
