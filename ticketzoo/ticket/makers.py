"""Tickets from masks that are there already: in zeros, in two checkpoints, in `torch.nn.utils.prune`, in a dict."""

import json
import logging
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.prune import is_pruned

from ticketzoo.bridges.brought import Options, Source
from ticketzoo.bridges.buffers import read_pairs
from ticketzoo.bridges.plain import masks_of_zeros
from ticketzoo.errors import TicketError
from ticketzoo.masks.masks import Masks, check_masks, kept, total
from ticketzoo.masks.plain import plain_model
from ticketzoo.masks.topk import keep_largest
from ticketzoo.models.pretrained import base_state
from ticketzoo.models.state import State
from ticketzoo.ticket.base import BaseWeights
from ticketzoo.ticket.card_kinds import UNKNOWN
from ticketzoo.ticket.found import Found
from ticketzoo.ticket.origin import CONFIG, NAMES, NETWORK
from ticketzoo.ticket.ticket import Ticket
from ticketzoo.ticket.whole import Network, Whole, hub_base, of_source, settings_of, whole_of
from ticketzoo.util.text import for_terminal

LEVEL = 1
"""The one level of a ticket that is brought."""
FEW = 0.001
"""Sparsity below which zeros may be an accident."""

_log = logging.getLogger("ticketzoo")


def from_zeros(network: Network, base: Network | None, facts: Mapping[str, Any]) -> Ticket:
    """Return the ticket whose masks are the zeros of a network; see `Ticket.from_zeros`."""
    if isinstance(network, nn.Module) and is_pruned(network):
        held = f"{type(network).__name__}: torch.nn.utils.prune holds masks beside its weights"
        raise TicketError(f"{held}: Ticket.from_torch_prune(model) takes them")
    whole = whole_of(network)
    masks = masks_of_zeros(whole.prunable, whole.where)
    if (sparsity := 1 - kept(masks) / total(masks)) < FEW:
        _log.warning("%s: only %.5f of its weights are 0.0: is it the pruned one?", whole.where, sparsity)
    return ticket_of(whole, masks, base, {"method": "zeros", "words": {"method": "zeros of a checkpoint"}, **facts})


def from_masks(masks: Mapping[str, Tensor], network: Network, base: Network | None, facts: Mapping[str, Any]) -> Ticket:
    """Return the ticket of masks by parameter name; see `Ticket.from_masks`."""
    whole = whole_of(network)
    named = checked_masks(masks, whole)
    return ticket_of(whole, named, base, {"method": "given", **facts}, values=False)


def from_torch_prune(model: nn.Module, base: Network | None, facts: Mapping[str, Any]) -> Ticket:
    """Return the ticket of what `torch.nn.utils.prune` has pruned; see `Ticket.from_torch_prune`."""
    plain = plain_model(model)
    brought = read_pairs(Source(type(plain).__name__, plain.state_dict()), Options())
    assert brought.weights is not None
    kind = type(plain).__name__
    settings = {"architectures": [kind], **settings_of(plain)}
    whole = of_source(Source(kind, brought.weights, {}, settings))
    return ticket_of(whole, checked_masks(brought.masks, whole), base, {"method": "torch-prune", **facts})


def from_diff(base: Network, tuned: Network, keep: float | None, threshold: float, facts: Mapping[str, Any]) -> Ticket:
    """Return the delta between two networks; see `Ticket.from_diff`."""
    whole, by_reference = whole_of(tuned), hub_base(base)
    under = under_of(whole_of(by_reference or base), whole, by_reference)
    masks = changed(under, whole, keep, threshold)
    facts = {"method": "delta", "words": {"method": "the weights that a fine-tune changed"}, **facts}
    if by_reference is None and whole.trained:
        _log.info("the base is no model on the Hub, so the ticket holds all of it")
    return delta_of(whole, masks, under, by_reference, facts)


def changed(under: State, whole: Whole, keep: float | None, threshold: float) -> Masks:
    """Return the masks of the weights that differ by more than `threshold`, or of the part `keep` that does most.

    A weight differs where its new value is another than the base's in the dtype of the new one: what rounding alone
    moves is no change. How far it moved is computed in the wider of both dtypes, float32 at least, from the base's
    value as it is.

    Raises:
        TicketError: none differ, or NaN.
    """
    if keep is not None and not 0 < keep <= 1:
        raise TicketError(f"keep: a part of the weights, above 0 and at most 1, not {keep}")
    moved: State = {}
    masks: Masks = {}
    for name in (name for name in whole.state if name in whole.trained):
        new = whole.state[name].detach().cpu()
        if not torch.isfinite(new).all():
            bad = int((~torch.isfinite(new)).sum())
            raise TicketError(f"{whole.where}: '{name}' holds NaN or infinity in {bad} of {new.numel()} values")
        old = under[name].detach().cpu()
        masks[name] = new != old.to(new.dtype)
        if keep is not None or threshold > 0:
            wide = torch.promote_types(torch.promote_types(new.dtype, old.dtype), torch.float32)
            moved[name] = (new.to(wide) - old.to(wide)).abs()
            masks[name] &= moved[name] > threshold
    if not kept(masks):
        raise TicketError(f"{whole.where}: no weight differs from the base's by more than {threshold}: nothing to keep")
    if keep is not None and (most := max(1, round(keep * total(masks)))) < kept(masks):
        masks = keep_largest(moved, masks, most)
    return masks


def delta_of(whole: Whole, masks: Masks, under: State, base: BaseWeights | None, facts: Mapping[str, Any]) -> Ticket:
    """Return the ticket of new values of the weights that `masks` keep, over `under`, which is `base` if that is given.

    Other tensors, such as running averages, that differ are in it whole.
    """
    values = {name: whole.state[name] for name in masks}
    others = {name: one for name, one in whole.state.items() if name not in masks and name not in whole.trained}
    values |= {name: one for name, one in others.items() if not torch.equal(one.cpu(), under[name].cpu().to(one.dtype))}
    found = Found(0, {LEVEL: masks}, None if base else under, values={LEVEL: values})
    return create(whole, found, base, {"masked": "frozen", "use": "as-is", **facts})


def ticket_of(
    whole: Whole, masks: Masks, base: Network | None, facts: Mapping[str, Any], *, values: bool = True
) -> Ticket:
    """Return the ticket of masks over a network: its weights, or over a base what differs from it, if `values`."""
    if base is None:
        return create(whole, Found(0, {LEVEL: masks}, whole.state), None, facts)
    by_reference = hub_base(base)
    under = under_of(whole_of(by_reference or base), whole, by_reference)
    if not values or _same(whole.state, under, masks):
        found = Found(0, {LEVEL: masks}, None if by_reference else under)
        return create(whole, found, by_reference, facts)
    own = {name: one for name, one in whole.state.items()
           if name in masks or not torch.equal(one.cpu(), under[name].cpu().to(one.dtype))}  # fmt: skip
    found = Found(0, {LEVEL: masks}, None if by_reference else under, values={LEVEL: own})
    return create(whole, found, by_reference, {"use": "as-is", **facts})


def create(whole: Whole, found: Found, base: BaseWeights | None, facts: Mapping[str, Any]) -> Ticket:
    """Return a ticket of what was found on a network, with what is not known said so."""
    facts = dict(facts)
    pruning: dict[str, Any] = {"method": facts.pop("method"), "scope": UNKNOWN, "rate": None}
    pruning |= {"words": facts.pop("words", {})} | dict(facts.pop("pruning", {}))
    name = facts.pop("name", None) or f"{_plain(whole.architecture['name'])}.{_plain(pruning['method'])}"
    files = {}
    if "model_type" in whole.settings:
        outside = [name for name, there in whole.there.items() if there == name] if whole.prefix else []
        settings = {key: value for key, value in whole.settings.items() if key != "_name_or_path"}  # a folder here
        files[CONFIG] = json.dumps(settings, indent=2).encode()
        files[NAMES] = json.dumps({"prefix": whole.prefix, "outside": outside}).encode()
    if whole.network:
        files[NETWORK] = json.dumps(whole.network, indent=2).encode()
    given: dict[str, Any] = {"task": UNKNOWN, "source": {"dataset": UNKNOWN}, "files": files, **facts}
    made = {"name": name, "architecture": whole.architecture, "pruning": pruning, **given}
    return Ticket.create(replicates=[found], base=base, **made)


def checked_masks(masks: Mapping[str, Tensor], whole: Whole) -> Masks:
    """Return masks under a ticket's names.

    Raises:
        TicketError: a mask of a tensor that is not there, is tied to another, is no float or has another shape.
    """
    named: Masks = {name: mask.detach().cpu() for name, mask in whole.named(masks).items()}
    for name in named:
        if name in whole.tied:
            raise TicketError(f"mask '{name}': that is '{whole.tied[name]}' tied to it: mask '{whole.tied[name]}'")
        if name not in whole.state:
            near = ", ".join(list(whole.state)[:3])
            raise TicketError(
                f"mask '{for_terminal(name)[:200]}': {whole.where} has no such parameter; it has {near}, ..."
            )
        if not whole.state[name].is_floating_point() or name not in whole.trained:
            raise TicketError(f"mask '{name}': that is no parameter of floats but {whole.state[name].dtype}")
    check_masks(named, {name: one.shape for name, one in whole.state.items()})
    if not named:
        raise TicketError("masks: give at least one")
    return named


def under_of(base: Whole, whole: Whole, by_reference: BaseWeights | None) -> State:
    """Return the base's tensors by the network's names. Raises ModelError where it is of another shape."""
    state = by_reference.state if by_reference else base.state
    return base_state(whole.architecture, state)


def _same(state: State, under: State, masks: Masks) -> bool:
    for name, tensor in state.items():
        own, other = tensor.detach().cpu(), under[name].cpu()
        differs = own != other
        if bool((differs & masks[name] if name in masks else differs).any()) or own.dtype is not other.dtype:
            return False
    return True


def _plain(name: str) -> str:
    """Return a name as one of tickets may have it."""
    words = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in name.lower())
    return "-".join(filter(None, words.split("-")))[:60] or "network"
