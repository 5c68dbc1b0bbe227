"""Tickets in other tools' forms, as safetensors files."""

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from ticketzoo.errors import TicketError
from ticketzoo.ticket.small import Small, small_of
from ticketzoo.ticket.ticket import Ticket
from ticketzoo.util.files import write_tensors
from ticketzoo.util.os_errors import remedy, why

Tensors = dict[str, Tensor]


def dense_state(ticket: Ticket) -> Tensors:
    """Return the rewind weights as a plain state dict, pruned weights 0.0: `model.load_state_dict` takes it."""
    return {name: tensor.contiguous() for name, tensor in ticket.rewind_state.items()}


def trained_state(ticket: Ticket) -> Tensors:
    """Return the trained weights as a plain state dict, pruned weights 0.0.

    Raises:
        TicketError: the ticket holds none of this level.
    """
    state = ticket.trained_state
    if state is None:
        remedy = "find it again with --set package_trained=true: what is trained already is not trained again"
        raise TicketError(f"{ticket.name}: holds no trained weights of level {ticket.level}; {remedy}")
    return {name: tensor.contiguous() for name, tensor in state.items()}


def torch_prune_state(ticket: Ticket) -> Tensors:
    """Return the state dict under `torch.nn.utils.prune`: `<name>_orig` and a float `<name>_mask` per weight."""
    state: Tensors = {}
    masks = ticket.masks
    for name, tensor in ticket.rewind_state.items():
        if name in masks:
            state[f"{name}_orig"] = tensor.contiguous()
            state[f"{name}_mask"] = masks[name].to(tensor.dtype)
        else:
            state[name] = tensor.contiguous()
    return state


def mask_tensors(ticket: Ticket) -> Tensors:
    """Return the masks alone, one uint8 (1 = kept) per weight, by parameter name."""
    return {name: mask.to(torch.uint8) for name, mask in ticket.masks.items()}


def small(ticket: Ticket, *, trained: bool = False) -> Small:
    """Return the smaller dense network of a ticket of whole filters: its rewind weights, or the trained ones.

    Raises:
        TicketError: it removes single weights, or has no trained weights.
    """
    return small_of(ticket, trained_state(ticket) if trained else ticket.rewind_state)


FORMATS: dict[str, Callable[[Ticket], Tensors]] = {
    "state-dict": dense_state,
    "trained": trained_state,
    "torch-prune": torch_prune_state,
    "masks": mask_tensors,
}
SMALL = {"small": False, "small-trained": True}
"""Forms of the smaller network: whether of the trained weights."""


def export_ticket(ticket: Ticket, form: str, out: str | Path) -> Small | None:
    """Write `ticket` to the file `out` in one of `FORMATS` or `SMALL`; return the smaller network, if it is that.

    Raises:
        TicketError: an unknown form, a file that exists, or one that cannot be written; its folder is made.
    """
    out = Path(out)
    if form not in FORMATS and form not in SMALL:
        raise TicketError(f"cannot export to {form!r}; known forms: {', '.join([*FORMATS, *SMALL])}")
    if out.exists():
        raise TicketError(f"{out}: exists; choose another name")
    if form in FORMATS:
        _write(out, FORMATS[form](ticket), {})
        return None
    made = small(ticket, trained=SMALL[form])
    _write(out, {name: tensor.contiguous() for name, tensor in made.network.state_dict().items()}, made.metadata)
    return made


def _write(out: Path, tensors: Tensors, facts: Mapping[str, str]) -> None:
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_tensors(out, tensors, {"format": "pt", **facts})
    except (OSError, RuntimeError) as error:
        problem = f"{why(error)}; {remedy(error)}" if isinstance(error, OSError) else error
        raise TicketError(f"{out}: cannot be written: {problem}") from None
