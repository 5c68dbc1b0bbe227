"""The masks in force on a model: listed, compared with its weights, and applied anew."""

import torch
from torch import nn

from ticketzoo.errors import TicketError
from ticketzoo.masks.hooks import guards_in, held_elsewhere
from ticketzoo.masks.masks import Masks
from ticketzoo.util.arguments import checked


def attached_masks(model: nn.Module) -> Masks | None:
    """Return the masks in force on `model` (bool, True = kept, by the parameter's name now), or None."""
    guards = guards_in(model)
    masks = {prefix + name: mask for prefix, guard in guards.items() for name, mask in guard.masks.items()}
    masks |= {name: hold.whole.mask() for name, hold, _ in held_elsewhere(model, guards)}
    return masks if masks or guards else None


def strayed(model: nn.Module) -> dict[str, int] | None:
    """Return how many pruned weights are not where `attach` holds them, by parameter; None where nothing is attached.

    Parameters without such weights are left out. Of a sharded one this process's part counts.

    Raises:
        TicketError: a mask can no longer be held at all.
    """
    guards = guards_in(model)
    others = held_elsewhere(model, guards)
    if not (guards or others):
        return None
    for guard in guards.values():
        guard.raise_lost()
    counts = {prefix + name: count for prefix, guard in guards.items() for name, count in guard.strayed().items()}
    counts |= {name: hold.strayed(parameter) for name, hold, parameter in others}
    return {name: count for name, count in counts.items() if count}


@checked
def check(model: nn.Module) -> None:
    """Raise TicketError unless every pruned weight of `model` is where its ticket holds it.

    Masks are looked after whenever the model is called, saved or stepped. This looks now, at every weight, as before
    an evaluation that must not be wrong. Of a sharded parameter it looks at this process's part.

    Args:
        model: one that a ticket was built for or applied to, wrapped or not; it is left as it is.

    Raises:
        TicketError: no masks are on the model, one can no longer be held, or pruned weights have other values; it
            names the parameters, and says how many weights of each.
    """
    counts = strayed(model)
    if counts is None:
        raise TicketError("no masks are on the model: ticket.apply(model) puts them there")
    if counts:
        listed = ", ".join(f"{count:,} of '{name}'" for name, count in counts.items())
        raise TicketError(f"pruned weights are not where they belong: {listed}; ticket.reapply(model) sets them back")


def reapply(model: nn.Module) -> None:
    """Set all pruned weights of `model` back, and put masks on layers that replaced others of the same shape.

    Raises:
        TicketError: no masks are on the model, or one can no longer be held.
    """
    if attached_masks(model) is None:
        raise TicketError("no masks are on the model: ticket.apply(model) puts them there")
    with torch.no_grad():
        for guard in (guards := guards_in(model)).values():
            guard.settle(accept=True)
            guard.raise_lost()
            guard.set_back()
        for _, hold, parameter in held_elsewhere(model, guards):
            hold.set_back(parameter)
