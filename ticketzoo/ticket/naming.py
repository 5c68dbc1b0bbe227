"""A ticket's names and those of the model that it is put on: another module's inside, or others altogether."""

from collections.abc import Callable, Mapping
from typing import TypeAlias, TypeVar

from torch import Tensor, nn

from ticketzoo.errors import TicketError
from ticketzoo.masks.masks import Masks, check_shaped
from ticketzoo.masks.plain import is_adapter, named_parameters, plain_model, plain_name
from ticketzoo.models.body import model_names_of
from ticketzoo.models.state import live_state

Rename: TypeAlias = Mapping[str, str] | Callable[[str], str]
"""The model's names by those in the ticket, of modules or tensors; or a function from one to the other."""
ValueT = TypeVar("ValueT")
_SHOWN = 4


def module_at(model: nn.Module, prefix: str) -> nn.Module:
    """Return the module of `model` that a ticket is put on. Raises TicketError where there is none at `prefix`."""
    try:
        return plain_model(plain_model(model).get_submodule(prefix.removesuffix(".")))
    except AttributeError:
        names = ", ".join(name for name, _ in plain_model(model).named_children())
        raise TicketError(f"prefix '{prefix}' is not the name of a module in the model, which has {names}") from None


def tensors_of(model: nn.Module) -> dict[str, Tensor]:
    """Return parameters and persistent buffers themselves, by their names in the plain model, tied ones once.

    Without what adapters add to their layers. Raises TicketError where parameters have no shape yet.
    """
    plain = plain_model(model)
    check_shaped(named_parameters(plain))
    state = live_state(plain).items()
    return {plain_name(name, plain): value for name, value in state if not _is_added(name, plain)}


def renamed(named: Mapping[str, ValueT], rename: Rename | None) -> dict[str, ValueT]:
    """Return `named` under the names that `rename` gives; what a mapping does not name stays.

    Raises:
        TicketError: two get the same name, or the mapping has a name that the ticket does not.
    """
    if rename is None:
        return dict(named)
    new = {name: rename(name) if callable(rename) else _mapped(name, rename) for name in named}
    if len(set(new.values())) < len(new):
        twice = next(name for name in new.values() if list(new.values()).count(name) > 1)
        raise TicketError(f"rename gives two tensors of the ticket the name '{twice}'")
    return {new[name]: value for name, value in named.items()}


def check_rename(rename: Rename | None, named: Mapping[str, object]) -> None:
    """Raise TicketError for a name in the mapping `rename` that is no module or tensor of the ticket."""
    for key in () if rename is None or callable(rename) else rename:
        if not any(name == key or name.startswith(f"{key}.") for name in named):
            raise TicketError(f"rename has '{key}', which is no module or tensor of the ticket: {shortened(named)}")


def advice(masks: Masks, model: nn.Module) -> str:
    """Return what would make the masks fit `model`: the module in it that they fit, or other names; "" if nothing does.

    Args:
        masks: by the names in the ticket.
        model: not wrapped.
    """
    best, most = "", _fitting(masks, model)
    for name, module in model.named_modules():
        if name and (count := _fitting(masks, module)) > most and 2 * count >= len(masks):
            best, most = plain_name(name, model), count
    if best:
        return f"; the ticket fits its module '{best}': pass prefix='{best}'"
    theirs = [(name, value) for name, value in named_parameters(model).items() if value.ndim > 1]
    shapes = [(name.rpartition(".")[0], mask.shape) for name, mask in masks.items() if mask.ndim > 1]
    if most or not shapes or [shape for _, shape in shapes] != [value.shape for _, value in theirs]:
        return ""
    pairs = {mine: name.rpartition(".")[0] for (mine, _), (name, _) in zip(shapes, theirs, strict=True)}
    shown = ", ".join(f"'{mine}': '{other}'" for mine, other in list(pairs.items())[:_SHOWN])
    more = ", ..." if len(pairs) > _SHOWN else ""
    return f"; its layers have the shapes of the ticket's, in order: pass rename={{{shown}{more}}}"


def shortened(names: Mapping[str, object]) -> str:
    """Return a few of the names, and how many more there are."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(list(names)[:_SHOWN]) + more


def _mapped(name: str, rename: Mapping[str, str]) -> str:
    keys = [key for key in rename if name == key or name.startswith(f"{key}.")]
    if not keys:
        return name
    longest = max(keys, key=len)
    return rename[longest] + name[len(longest) :]


def _fitting(masks: Masks, module: nn.Module) -> int:
    shapes = {name: parameter.shape for name, parameter in named_parameters(module).items()}
    return sum(shapes.get(name) == mask.shape for name, mask in model_names_of(masks, module).items())


def _is_added(name: str, model: nn.Module) -> bool:
    module: nn.Module | None = model
    for part in name.split("."):
        if module is None:
            return False
        if is_adapter(module) and part != "base_layer":
            return True
        module = module._modules.get(part)
    return False
