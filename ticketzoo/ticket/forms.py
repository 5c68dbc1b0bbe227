"""Tickets in other tools' forms: tensors and texts, not yet written."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ticketzoo.bridges.adapters import write_shira
from ticketzoo.bridges.patches import write_patch
from ticketzoo.errors import TicketError
from ticketzoo.models.state import State
from ticketzoo.ticket.config import CUSTOM, BaseRewind
from ticketzoo.ticket.origin import CONFIG, config_of, names_there
from ticketzoo.ticket.ticket import Ticket


@dataclass(frozen=True)
class Form:
    """Content to write: one safetensors file, or with a `name` that in a folder, with `texts` beside it."""

    tensors: Mapping[str, Tensor]
    facts: Mapping[str, str] = field(default_factory=dict)
    name: str = ""
    texts: Mapping[str, bytes] = field(default_factory=dict)


def dense_state(ticket: Ticket) -> Form:
    """Return the weights as a plain state dict, pruned weights 0.0, a delta applied: `load_state_dict` takes it."""
    return Form(_contiguous(names_there(ticket, _weights(ticket))))


def trained_state(ticket: Ticket) -> Form:
    """Return the trained weights as a plain state dict, pruned weights 0.0.

    Raises:
        TicketError: the ticket holds none of this level.
    """
    return Form(_contiguous(names_there(ticket, trained_weights(ticket))))


def trained_weights(ticket: Ticket) -> State:
    """Return the trained weights. Raises TicketError where the ticket has none of its level."""
    state = ticket.trained_state
    if state is None:
        remedy = "find it again with --set package_trained=true: what is trained already is not trained again"
        raise TicketError(f"{ticket.name}: holds no trained weights of level {ticket.level}; {remedy}")
    return state


def torch_prune_state(ticket: Ticket) -> Form:
    """Return the state dict under `torch.nn.utils.prune`: `<name>_orig` and a float `<name>_mask` per weight.

    Raises:
        TicketError: the ticket's excluded weights are frozen, and these would be 0.0.
    """
    if ticket.config.masked == "frozen":
        raise TicketError(f"'{ticket.name}' freezes what its masks exclude, and torch.nn.utils.prune sets it to 0.0")
    state: State = {}
    masks = names_there(ticket, ticket.masks)
    for name, tensor in names_there(ticket, _weights(ticket)).items():
        if name in masks:
            state[f"{name}_orig"] = tensor.contiguous()
            state[f"{name}_mask"] = masks[name].to(tensor.dtype)
        else:
            state[name] = tensor.contiguous()
    return Form(state)


def mask_tensors(ticket: Ticket) -> Form:
    """Return the masks alone, one uint8 (1 = kept) per weight, by parameter name."""
    return Form({name: mask.to(torch.uint8) for name, mask in names_there(ticket, ticket.masks).items()})


def checkpoint_folder(ticket: Ticket) -> Form:
    """Return the files of a checkpoint of `transformers`, with zeros, or the delta applied.

    Raises:
        TicketError: the ticket does not know the network's config.json.
    """
    return Form(dense_state(ticket).tensors, {}, "model.safetensors", {CONFIG: config_of(ticket)})


def shira_folder(ticket: Ticket) -> Form:
    """Return the files of a SHiRA adapter of peft that makes a delta of its base.

    Raises:
        TicketError: it is no delta, or changes more than weights of linear layers.
    """
    masks, tuned = _changes(ticket)
    if extra := [name for name in tuned if name not in masks]:
        raise TicketError(f"SHiRA adapts weights of linear layers alone, and '{extra[0]}' changes, too: export a patch")
    rewind = ticket.config.rewind
    of = rewind.repo_id if isinstance(rewind, BaseRewind) else None
    tensors, settings, facts = write_shira(masks, names_there(ticket, ticket.rewind_state), tuned, of)
    text = json.dumps(settings, indent=2).encode()
    return Form(tensors, facts, "adapter_model.safetensors", {"adapter_config.json": text})


def patch(ticket: Ticket) -> Form:
    """Return the indices and new values of a delta, as TRL sends them to vLLM. Raises TicketError for no delta."""
    tensors, facts = write_patch(*_changes(ticket))
    return Form(tensors, facts)


def _changes(ticket: Ticket) -> tuple[State, State]:
    """Return the masks of a delta, and the new values: dense where there is a mask, and else whole."""
    if ticket.kind != "delta":
        raise TicketError(f"'{ticket.name}' is no delta but of kind {ticket.kind}: it has no new values over its base")
    stored = ticket._replicate.values[ticket.level].tensors
    tuned = {name: one for name, one in trained_weights(ticket).items() if name in stored}
    return names_there(ticket, ticket.masks), names_there(ticket, tuned)


def _weights(ticket: Ticket) -> State:
    brought = ticket.config.architecture.library == CUSTOM and ticket.config.use == "as-is"
    return ticket._weights if brought else ticket.rewind_state


def _contiguous(state: Mapping[str, Any]) -> State:
    return {name: tensor.contiguous() for name, tensor in state.items()}


FORMS: dict[str, Callable[[Ticket], Form]] = {
    "state-dict": dense_state,
    "trained": trained_state,
    "torch-prune": torch_prune_state,
    "masks": mask_tensors,
    "transformers": checkpoint_folder,
    "shira": shira_folder,
    "patch": patch,
}
"""By the name that `ticketzoo export --to` takes."""
