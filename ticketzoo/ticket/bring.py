"""From a file of another tool to a ticket."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ticketzoo.bridges.brought import Brought, Options, Patch, Source
from ticketzoo.bridges.checkpoint import SETTINGS, open_source
from ticketzoo.bridges.formats import Format, format_of, guess
from ticketzoo.errors import TicketError
from ticketzoo.hub.references import hub_reference
from ticketzoo.masks.masks import Masks
from ticketzoo.models.state import State
from ticketzoo.ticket.base import BaseWeights
from ticketzoo.ticket.config import MASKS_FILE, REWIND_FILE, VALUES_FILE
from ticketzoo.ticket.folder import CONFIG_FILE
from ticketzoo.ticket.makers import checked_masks, delta_of, ticket_of, under_of
from ticketzoo.ticket.ticket import Ticket
from ticketzoo.ticket.whole import Network, Whole, hub_base, of_source, whole_of


def from_file(
    source: str | Path,
    name: str | None,
    base: Network | None,
    facts: Mapping[str, Any],
    *,
    keep: float | None = None,
    task: str | None = None,
) -> tuple[Ticket, Format]:
    """Return the ticket of a file or folder, and the format that it was; see `Ticket.from_file`."""
    opened = _opened(Path(source).expanduser())
    form = format_of(name) if name else guess(opened)
    network = None if base is None else whole_of(hub_base(base) or base)
    if form.needs_base and network is None:
        raise TicketError(f"{opened.where}: {form.words}: give its base (--base FOLDER or owner/name@commit)")
    brought = form.make(opened, Options(keep, task, None if network is None else _as_there(network)))
    facts = {"method": form.name, "words": {"method": form.words + (f" ({form.cite})" if form.cite else "")}, **facts}
    if brought.patches:
        assert network is not None
        return _of_patches(brought, opened.where, network, base, facts), form
    facts = {"masked": brought.masked, **facts}
    if brought.weights is not None:
        whole = of_source(type(opened)(opened.where, brought.weights, {}, opened.settings))
        return ticket_of(whole, checked_masks(brought.masks, whole), base, facts), form
    if network is None:
        why = "holds masks alone, and no weights"
        raise TicketError(f"{opened.where}: {why}: give the weights (--base FOLDER or owner/name@commit)")
    masks = _named(brought.masks, network)
    if form.needs_base:  # masks of all that the base's file has, buffers too
        masks = {name: mask for name, mask in masks.items() if name in network.trained}
    return ticket_of(network, checked_masks(masks, network), base, facts, values=False), form


def _opened(path: Path) -> Source:
    """Return what is in a file or folder of another tool.

    Raises:
        TicketError: it is a ticket, or a ticket's own file, which would be taken for other masks than it holds; or as
            `open_source`.
    """
    folder = next((one for one in (path, *path.absolute().parents[:2]) if (one / CONFIG_FILE).is_file()), None)
    others = path.is_dir() and any((path / name).exists() for name in SETTINGS)
    if folder is not None and not others and (path.is_dir() or path.name in (MASKS_FILE, REWIND_FILE, VALUES_FILE)):
        what = "a ticket" if folder == path else "a ticket's own file"
        raise TicketError(f"{path}: this is {what}: load the folder with load_ticket({str(folder)!r})")
    opened = open_source(path)
    if "encoding" in opened.facts and all(re.match(r"level-\d+/", name) for name in opened.tensors):
        raise TicketError(f"{path}: this is a ticket's own file: load the folder it was in with load_ticket(FOLDER)")
    return opened


def _as_there(network: Whole) -> State:
    """Return the tensors of the base by the names in its own file."""
    return {network.there.get(name, name): one for name, one in network.state.items()}


def _named(tensors: Mapping[str, Any], network: Whole) -> dict[str, Any]:
    """Return what is named as in a file under the names of the base: with or without the body's first part."""
    named = network.named(tensors)
    for start in ("model.", "base_model.model."):
        if not any(name in network.state for name in named):
            named = network.named({name.removeprefix(start): one for name, one in tensors.items()})
    return named


def _of_patches(brought: Brought, where: str, network: Whole, base: Network | None, facts: Mapping[str, Any]) -> Ticket:
    """Return a delta: the base with the patches in it, masked where they are; running averages have no masks."""
    masks: Masks = {}
    state = dict(network.state)
    for name, patch in _named(brought.patches, network).items():
        if name not in state:
            raise TicketError(f"{where}: '{name}' is no parameter of the base {network.where}: it is another model's")
        mask, state[name] = _patched(patch, state[name], f"{where}: '{name}'")
        if name in network.trained:
            masks[name] = mask
    by_reference = hub_base(base)
    under = under_of(network, network, by_reference)
    return delta_of(Whole(**{**vars(network), "state": state}), masks, under, by_reference, facts)


def _patched(patch: Patch, old: Tensor, what: str) -> tuple[Tensor, Tensor]:
    """Return the mask of the places of new values, and the base's tensor with these. Raises TicketError."""
    if not torch.isfinite(patch.values).all():
        bad = int((~torch.isfinite(patch.values)).sum())
        raise TicketError(f"{what} holds NaN or infinity in {bad} of {patch.values.numel()} new values")
    if not old.is_floating_point() and (patch.shape is None or patch.values.dtype is not old.dtype):
        raise TicketError(f"{what} is {old.dtype} in the base: only floats can have new values")
    if patch.shape not in (None, tuple(old.shape)):
        raise TicketError(f"{what} has shape {patch.shape}, and {tuple(old.shape)} in the base: it is another")
    places = patch.places
    if places.ndim == 2:
        if old.ndim != 2 or _outside(places[0], old.shape[0]) or _outside(places[1], old.shape[1]):
            raise TicketError(f"{what} has indices outside {tuple(old.shape)}, its shape in the base: it is another")
        places = places[0] * old.shape[1] + places[1]
    elif _outside(places, old.numel()):
        raise TicketError(f"{what} has indices outside its {old.numel()} weights in the base: it is another")
    if len(places.unique()) < len(places):
        raise TicketError(f"{what} has an index twice: which of the values holds cannot be told")
    values = patch.values.to(old.dtype)
    new = old.detach().cpu().flatten().clone()
    new[places] = (new[places].float() + patch.values.float()).to(old.dtype) if patch.added else values
    mask = torch.zeros(old.numel(), dtype=torch.bool)
    mask[places] = True
    return mask.view(old.shape), new.view(old.shape)


def _outside(places: Tensor, size: int) -> bool:
    return bool(len(places)) and (int(places.min()) < 0 or int(places.max()) >= size)


def named_base(base: str | None, copy: Path | None) -> Network | None:
    """Return the base that a command names: a folder or file, or a model on the Hub, read from a copy if there is one.

    Raises:
        TicketError: a copy without the commit that it is of.
    """
    if copy is None or base is None:
        if copy is not None:
            raise TicketError("--base-copy: say of which model, with --base owner/name@commit")
        return base
    found = hub_reference(base)
    if not found.revision or not re.fullmatch("[0-9a-f]{40}", found.revision):
        raise TicketError(f"--base {base}: name the whole commit that {copy} is a copy of: owner/name@<40 hex digits>")
    return BaseWeights.from_folder(copy, found.repo_id, found.revision)
