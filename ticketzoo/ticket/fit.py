"""Put rewind weights and masks on a model, or change nothing and say everything that does not fit."""

import logging
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from ticketzoo.errors import TicketError
from ticketzoo.masks.attach import attach, check_attachable
from ticketzoo.masks.excluded import Masked
from ticketzoo.masks.masks import Masks
from ticketzoo.masks.plain import plain_model
from ticketzoo.masks.sharded import is_sharded, memory, part_of
from ticketzoo.models.body import bare_names, in_body, model_names_of, within
from ticketzoo.models.layers import is_bias
from ticketzoo.models.transformers import differences
from ticketzoo.ticket.config import BaseRewind, TicketConfig
from ticketzoo.ticket.empty import nearly_empty, refuse_empty
from ticketzoo.ticket.naming import Rename, advice, check_rename, renamed, shortened, tensors_of
from ticketzoo.util.text import for_terminal

_log = logging.getLogger("ticketzoo")


def fit(
    model: nn.Module,
    masks: Masks,
    state: Mapping[str, Tensor] | None = None,
    *,
    head: Sequence[str] | None = None,
    leave: Sequence[str] = (),
    rename: Rename | None = None,
    masked: Masked = "zero",
    ticket: str | None = None,
) -> None:
    """Copy `state` into `model`, cast to its dtypes and devices, and attach `masks`.

    Args:
        model: may be wrapped by `torch.compile`, DataParallel or DistributedDataParallel.
        masks: by parameter name; of a `transformers` model as in the bare encoder.
        state: every parameter and buffer, named likewise, tied ones once; None leaves the model's own.
        head: names of modules of the model whose parameters stay as they are, without masks. By default none, or of a
            `transformers` model all beside its encoder; then the tensors of another head in `state` are left out.
        leave: names of further modules whose parameters stay as they are.
        rename: the model's names by the ticket's, where they differ.
        masked: hold what masks exclude at 0.0 (`zero`) or where it starts (`frozen`).
        ticket: name and level of the ticket, whose masks must then keep something of every layer in use; one that
            freezes all of a layer may. Without it they need not.

    Raises:
        TicketError: the model unchanged, naming every tensor that is missing, unexpected or of another shape,
            or whose mask keeps nothing.
    """
    plain, targets, named = plain_model(model), tensors_of(model), masks
    if state is not None:
        check_rename(rename, state)
    for key, modules in (("head", head or ()), ("leave", leave)):
        for module in modules:
            if not any(within(name, [module]) for name in targets):
                raise TicketError(f"{key} '{module}' is not the name of a module with parameters in the model")

    is_left = left_by(plain, head, leave)
    there = names_in(plain, masks, rename)
    covered = {name: mask for name, mask in there.items() if not is_left(name)}
    if masks and not covered and head is None:
        why = f"none of its masks is of a {type(plain).__name__}'s body"
        raise TicketError(f"the ticket does not fit the model: {why}{advice(named, plain)}")
    _say_left_out([name for name in there if head is None and not (name in covered or within(name, leave))])
    masks = covered
    if ticket is not None and masked == "zero":
        empty = sorted({name.rpartition(".")[0] for name, mask in masks.items() if not (mask.any() or is_bias(name))})
        remedy = "choose a denser level, or keep the model's own with leave="
        refuse_empty(masks, plain, f"{ticket} cannot be used on this model", f"{remedy}{empty}")
        for line in nearly_empty(masks, lambda: plain):
            layer = line.partition(" ")[0].rpartition(".")[0]
            warnings.warn(f"{ticket}: {line}, so little gets through it; {remedy}{[layer]}", stacklevel=4)
    in_model = masks if state is None else names_in(plain, state, rename)
    given = {name: tensor for name, tensor in in_model.items() if not is_left(name)}
    expected = given.keys() if state is None else {name for name in targets if not is_left(name)}
    _check_fit(given, {name: target for name, target in targets.items() if name in expected}, named, plain)
    check_attachable(model, masks, masked)
    if state is not None:
        _copy(given, targets)
    attach(model, masks, masked=masked)


def _say_left_out(names: Sequence[str]) -> None:
    if names:
        listed = shortened(dict.fromkeys(names))
        _log.warning("masks are left out, as the model keeps its own head: %s (head=[] puts them on)", listed)


def left_by(model: nn.Module, head: Sequence[str] | None, leave: Sequence[str]) -> Callable[[str], bool]:
    """Return the function that tells of a name in `model`, not wrapped, whether its tensor stays the model's own."""

    def is_left(name: str) -> bool:
        return within(name, leave) or (not in_body(name, model) if head is None else within(name, head))

    return is_left


def heads(config: TicketConfig, model: nn.Module, head: str | Sequence[str] | None) -> Sequence[str] | None:
    """Return the modules whose parameters stay the model's own; None for all beside the body.

    A ticket of a network of the user's own is of its head, too, and so no module stays of a model that has all that the
    ticket has, and nothing else.
    """
    if head is not None or (stated := config.architecture.parameters) is None:
        return [head] if isinstance(head, str) else head
    tensors, needed = tensors_of(model), {one.name: one.shape for one in stated}
    named = (tensors, bare_names(tensors, plain_model(model)))  # as a whole checkpoint names them, or from the body on
    return [] if any({name: list(one.shape) for name, one in of.items()} == needed for of in named) else None


def _copy(given: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> None:
    with torch.no_grad():
        for name, tensor in given.items():
            if is_sharded(targets[name]):
                memory(targets[name]).copy_(part_of(tensor, targets[name]))
            else:
                targets[name].copy_(tensor)


def check_kind(config: TicketConfig, model: nn.Module) -> None:
    """Raise TicketError for a model of another architecture than the ticket's; warn of one with another base."""
    if unlike := differences(config.architecture.model_dump(), plain_model(model)):
        raise TicketError(f"the ticket does not fit the model: {'; '.join(unlike)}")
    if isinstance(config.rewind, BaseRewind):
        _warn_of_another_base(config.rewind.repo_id, model)


def _warn_of_another_base(repo_id: str, model: nn.Module) -> None:
    """Warn where `model` says that it was loaded from another model on the Hub than the ticket's base, `repo_id`.

    It may be a descendant of it, as good a place for the ticket, or have a vocabulary of the same size and other
    tokens: from sizes alone that cannot be told. A model from a folder says nothing.
    """
    loaded = getattr(plain_model(model), "name_or_path", "")
    if not loaded or Path(loaded).is_absolute() or Path(loaded).exists():
        return
    if loaded not in (repo_id, repo_id.rpartition("/")[2]):
        what = f"the ticket is of {for_terminal(repo_id)}, the model was loaded from {for_terminal(loaded)[:200]}"
        warnings.warn(f"{what}: use them together only if both have the same tokenizer", stacklevel=5)


def names_in(model: nn.Module, named: Mapping[str, Tensor], rename: Rename | None) -> dict[str, Tensor]:
    """Return `named`, by names in a ticket, under the names in `model`."""
    return model_names_of(renamed(named, rename), model)


def _check_fit(given: Mapping[str, Tensor], targets: Mapping[str, Tensor], masks: Masks, model: nn.Module) -> None:
    absent = [name for name in given if name not in targets]
    unknown = [name for name in targets if name not in given]
    shapes = [name for name in given if name in targets and given[name].shape != targets[name].shape]
    meta = [name for name in given if name in targets and targets[name].is_meta]
    problems = []
    advised = advice(masks, model) if absent or unknown else ""

    def listed(names: Iterable[str]) -> str:
        shown = [for_terminal(name)[:200] for name in names]
        return shortened(dict.fromkeys(shown)) if advised else ", ".join(shown)

    if absent:
        problems.append(f"not in the model: {listed(absent)}")
    if unknown:
        problems.append(f"not in the ticket: {listed(unknown)}")
    for name in shapes:
        both = f"{tuple(given[name].shape)} in the ticket, {tuple(targets[name].shape)} in the model"
        problems.append(f"'{listed([name])}' has shape {both}")
    packed = [name for name, part in model.named_modules() if ".quantized" in type(part).__module__]
    if whole := [name for name in packed if name.rpartition(".")[0] not in packed]:
        problems.append(f"quantised modules, which hold no weights to mask: {listed(whole)}: quantise it afterwards")
    if meta:
        problems.append(f"without memory (on the meta device): {listed(meta)}")
    if problems:
        message = f"the ticket does not fit the model: {'; '.join(problems)}"
        raise TicketError(message + (advised or _hint({*absent, *unknown, *shapes})))


def _hint(names: set[str]) -> str:
    modules = {name.rpartition(".")[0] for name in names}
    if len(modules) != 1 or "" in modules:
        return ""
    return f"; if that is the head of another task, pass head='{modules.pop()}' to keep the model's own"
