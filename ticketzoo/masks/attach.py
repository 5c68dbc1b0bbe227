"""Hold pruned weights exactly where they belong while a model trains in any plain PyTorch loop.

The forward pass computes what it did, and the `state_dict` has the same keys. A hook on each masked parameter zeroes
the gradient of pruned weights as soon as it is accumulated, so gradient clipping never sees it, and a hook on all
optimizers of torch sets the pruned weights back after every step, whatever the optimizer did to them (weight decay,
stale momentum, orthogonalized updates). Before the model is called, saved or stepped, every mask is put where its
parameter is by then, and what else has changed is set back. `docs/masks.md` says what that covers.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ticketzoo.errors import TicketError
from ticketzoo.masks.guard import Guard, Masked, guard_on
from ticketzoo.masks.hooks import put_on, take_off
from ticketzoo.masks.masks import Masks, check_attachable
from ticketzoo.masks.plain import named_parameters, plain_model, plain_name


def attach(model: nn.Module, masks: Mapping[str, Tensor], *, masked: Masked = "zero") -> None:
    """Hold the weights that `masks` prunes, now and after every step of any `torch.optim` optimizer, until `detach`.

    Survives `copy.deepcopy`, `torch.save` of the whole model, `model.to(...)`, `load_state_dict` and `torch.compile`
    (before or after). Gradients of pruned weights are zero once `backward` returns. Attaching again replaces the masks.

    Args:
        model: may be wrapped by `torch.compile`, DataParallel or DistributedDataParallel, and sharded by FSDP2.
        masks: bool tensors, True = kept, by parameter name, each of its parameter's shape.
        masked: hold pruned weights at 0.0 ("zero"), or at the values that they have now ("frozen"; after
            `load_state_dict`, at those that were loaded).

    Raises:
        TicketError: a mask of unknown name, of another shape, that isn't bool, or that contradicts the mask of a tied
            parameter; the model is unchanged.
    """
    plain = plain_model(model)
    check_attachable(named_parameters(plain), masks)
    detach(plain)
    guard = Guard(plain, masks, masked)
    with torch.no_grad():
        guard.settle(freeze=masked == "frozen")
    put_on(plain, guard)


def detach(model: nn.Module) -> None:
    """Make `model` an ordinary one again; its pruned weights stay as they are until something trains them."""
    for module in plain_model(model).modules():
        take_off(module)


def attached_masks(model: nn.Module) -> Masks | None:
    """Return the masks in force on `model` (bool, True = kept, by the parameter's name now), or None."""
    guards = _guards(model)
    if not guards:
        return None
    return {prefix + name: mask for prefix, guard in guards.items() for name, mask in guard.masks.items()}


def strayed(model: nn.Module) -> dict[str, int] | None:
    """Return how many pruned weights are not where `attach` holds them, by parameter; None where nothing is attached.

    Parameters without such weights are left out. Of a sharded one this process's part counts.

    Raises:
        TicketError: a mask can no longer be held at all.
    """
    guards = _guards(model)
    if not guards:
        return None
    for guard in guards.values():
        guard.raise_lost()
    return {prefix + name: count for prefix, guard in guards.items() for name, count in guard.strayed().items()}


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
        for guard in _guards(model).values():
            guard.settle(accept=True)
            guard.raise_lost()
            guard.set_back()


@contextmanager
def hooks_paused(model: nn.Module) -> Iterator[Callable[[], None]]:
    """Do without the hooks of `attach` in a loop that calls what this gives after every `backward`, which is faster.

    For optimizers that move no weight at 0.0 whose gradients have all been 0.0: those of `ticketzoo.training`. Frozen
    weights, which weight decay moves, keep their hooks.
    """
    guards = [guard for guard in _guards(model).values() if guard.masked == "zero"]
    for guard in guards:
        guard.pause()

    def zero_gradients() -> None:
        for guard in guards:
            guard.zero_gradients()

    try:
        yield zero_gradients
    finally:
        for guard in guards:
            guard.resume()


def _guards(model: nn.Module) -> dict[str, Guard]:
    """Return the guards on `model` and on modules in it, their masks where the parameters are now, by name prefix."""
    plain, guards = plain_model(model), {}
    for name, module in plain.named_modules():
        guard = guard_on(module)
        if guard is not None:
            with torch.no_grad():
                guard.settle()
            path = plain_name(name, plain)
            guards[f"{path}." if path else ""] = guard
    return guards
