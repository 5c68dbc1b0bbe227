"""Hold pruned weights exactly where they belong while a model trains in any plain PyTorch loop.

The forward pass computes what it did, and the `state_dict` has the same keys. A hook on each masked parameter zeroes
the gradient of pruned weights once it is accumulated, so gradient clipping never sees it, and a hook on all
optimizers of torch sets the pruned weights back after every step, whatever the optimizer did to them (weight decay,
stale momentum, orthogonalized updates). Before the model is called, saved or stepped, every mask is put where its
parameter is by then, and what else has changed is set back. `docs/masks.md` says what that covers.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ticketzoo.errors import TicketError
from ticketzoo.masks.entry import contradiction
from ticketzoo.masks.excluded import Masked
from ticketzoo.masks.guard import Guard, guard_on, living
from ticketzoo.masks.hooks import guards_in, held_elsewhere, put_on, take_off
from ticketzoo.masks.masks import check_fitting
from ticketzoo.masks.plain import named_parameters, plain_model

_TAKE_OFF = "call ticket.remove(other_model), or ticket.remove(this_model) if the other no longer exists"


def attach(model: nn.Module, masks: Mapping[str, Tensor], *, masked: Masked = "zero") -> None:
    """Hold the weights that `masks` prunes, now and after every step of any `torch.optim` optimizer, until `detach`.

    Survives `copy.deepcopy`, `torch.save` of the whole model, `model.to(...)`, `load_state_dict` and `torch.compile`
    (before or after). Gradients of pruned weights are zero once `backward` returns. Attaching again replaces the masks;
    those on a part of the model, or on a model that it is a part of, stay.

    Args:
        model: may be wrapped by `torch.compile`, DataParallel or DistributedDataParallel, and sharded by FSDP2.
        masks: bool tensors, True = kept, by parameter name, each of its parameter's shape.
        masked: hold pruned weights at 0.0 ("zero"), or at the values that they have now ("frozen"; after
            `load_state_dict`, at those that were loaded).

    Raises:
        TicketError: a mask of unknown name, of another shape, that isn't bool, or that contradicts the mask of a tied
            parameter or one that a part of the model has; the model is unchanged.
    """
    plain = plain_model(model)
    check_attachable(plain, masks, masked)
    take_off(plain)
    guard = Guard(plain, masks, masked)
    with torch.no_grad():
        guard.settle(freeze=masked == "frozen")
    put_on(plain, guard)


def check_attachable(model: nn.Module, masks: Mapping[str, Tensor], masked: Masked) -> None:
    """Raise TicketError, as `attach` does, for what cannot be attached."""
    plain = plain_model(model)
    named, own = named_parameters(plain), guard_on(plain)
    check_fitting(named, masks)
    replaced = own.holds if own else []
    for name, mask in masks.items():
        if (other := contradiction(named[name], mask, masked, replaced)) is None:
            continue
        parts = {path: guard_on(module) for path, module in plain.named_modules() if path}
        part = next((path for path, guard in parts.items() if guard and other in guard.holds), None)
        remedy = f"call ticket.remove(model.get_submodule('{part}'))"
        outside = f"another or the enclosing model ('{other.name}' there): {_TAKE_OFF}"
        where = f"its part '{part}': {remedy}" if part else outside
        raise TicketError(f"mask '{name}' of the model contradicts one of {where}")


def detach(model: nn.Module) -> None:
    """Make `model` an ordinary one again; its pruned weights stay as they are until something trains them.

    Masks of another model that it shares layers with stay, as long as that model lives.
    """
    for module in plain_model(model).modules():
        take_off(module)
    kept = [hold for guard in living() for hold in guard.holds]
    for _, hold, _ in held_elsewhere(model, {}):
        if hold not in kept:
            hold.release()


@contextmanager
def hooks_paused(model: nn.Module) -> Iterator[Callable[[], None]]:
    """Do without the hooks of `attach` in a loop that calls what this gives after every `backward`, which is faster.

    For optimizers that move no weight at 0.0 whose gradients have all been 0.0: those of `ticketzoo.training`. Frozen
    weights, which weight decay moves, keep their hooks.
    """
    guards = [guard for guard in guards_in(model).values() if guard.masked == "zero"]
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
