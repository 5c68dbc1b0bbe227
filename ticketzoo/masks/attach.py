"""Hold pruned weights exactly where they belong while a model trains in any plain PyTorch loop.

`attach` changes nothing in the forward pass: no forward hooks, no parametrisation, the same `state_dict` keys. A hook
on each masked parameter zeroes the gradient of pruned weights as soon as it is accumulated, so gradient clipping never
sees it, and one hook on all optimisers sets the pruned weights back after every step, whatever the optimiser did to
them (weight decay, stale momentum, orthogonalised updates).
"""

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal
from weakref import WeakValueDictionary

import torch
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.utils.hooks import RemovableHandle

from ticketzoo.masks.excluded import Excluded
from ticketzoo.masks.masks import Masks, check_attachable
from ticketzoo.masks.plain import named_parameters, plain_model

Masked = Literal["zero", "frozen"]
"""Pruned weights are 0.0, or stay at the values that they had."""

_GUARD = "_ticketzoo_guard"
_excluded_of: WeakValueDictionary[int, Excluded] = WeakValueDictionary()  # by id of a parameter, whose hook holds it
_optimiser_hook: RemovableHandle | None = None


def attach(model: nn.Module, masks: Mapping[str, Tensor], *, masked: Masked = "zero") -> None:
    """Hold the weights that `masks` prunes, now and after every step of any `torch.optim` optimiser, until `detach`.

    Survives `copy.deepcopy`, `torch.save` of the whole model, `model.to(...)`, `load_state_dict` and `torch.compile`
    (before or after). Gradients of pruned weights are zero once `backward` returns. Attaching again replaces the masks.

    Args:
        model: may be wrapped by `torch.compile`, DataParallel or DistributedDataParallel.
        masks: bool tensors, True = kept, by parameter name, each of its parameter's shape.
        masked: hold pruned weights at 0.0 ("zero"), or at the values that they have now ("frozen"; after
            `load_state_dict`, at those that were loaded).

    Raises:
        TicketError: a mask of unknown name, of another shape, that isn't bool, or that contradicts the mask of a tied
            parameter; the model is unchanged.
    """
    plain = plain_model(model)
    named = named_parameters(plain)
    check_attachable(named, masks)
    detach(plain)
    parameters = {name: named[name] for name in masks}
    load_hook = plain.register_load_state_dict_post_hook(_after_load_state_dict)
    setattr(plain, _GUARD, _Guard(parameters, dict(masks), masked, load_hook))


def detach(model: nn.Module) -> None:
    """Make `model` an ordinary one again; its pruned weights stay as they are until something trains them."""
    plain = plain_model(model)
    guard = _guard_of(plain)
    if guard is not None:
        guard.release()
        guard.load_hook.remove()
        delattr(plain, _GUARD)


def attached_masks(model: nn.Module) -> Masks | None:
    """Return the masks in force on `model` (bool, True = kept, by parameter name), or None."""
    guard = _guard_of(model)
    return None if guard is None else {name: bits != 0 for name, bits in guard.bits.items()}


def strayed(model: nn.Module) -> dict[str, int] | None:
    """Return how many pruned weights are not where `attach` holds them, by parameter; None where nothing is attached.

    Parameters without such weights are left out.
    """
    guard = _guard_of(model)
    if guard is None:
        return None
    counts = {name: guard.excluded[id(one)].strayed(one.detach()) for name, one in guard.parameters.items()}
    return {name: count for name, count in counts.items() if count}


@contextmanager
def hooks_paused(model: nn.Module) -> Iterator[Callable[[], None]]:
    """Do without the hooks of `attach` in a loop that calls what this gives after every `backward`, which is faster.

    For optimisers that move no weight at 0.0 whose gradients have all been 0.0: those of `ticketzoo.training`. Frozen
    weights, which weight decay moves, keep their hooks.
    """
    guard = _guard_of(model)
    if guard is None or guard.masked == "frozen":
        yield lambda: None
        return
    guard.release()
    try:
        yield guard.zero_gradients
    finally:
        guard.hold(guard.parameters)


class _Guard:
    """The masks attached to one model: a plain attribute of it, copied and pickled along with its parameters."""

    def __init__(
        self,
        parameters: dict[str, nn.Parameter],
        bits: dict[str, Tensor],
        masked: Masked,
        load_hook: RemovableHandle,
    ) -> None:
        global _optimiser_hook
        if _optimiser_hook is None:
            _optimiser_hook = register_optimizer_step_post_hook(_after_optimiser_step)
        self.bits, self.masked, self.load_hook = bits, masked, load_hook
        self.hold(parameters)

    def hold(self, parameters: dict[str, nn.Parameter]) -> None:
        """Hold the pruned weights of these parameters, now and from now on."""
        self.parameters = parameters
        self.hooks: list[RemovableHandle] = []
        self.excluded: dict[int, Excluded] = {}
        for name, parameter in parameters.items():
            if id(parameter) in self.excluded:
                continue
            excluded = Excluded(self.bits[name])
            if self.masked == "frozen":
                excluded.held = parameter.detach().masked_fill(excluded.mask().to(parameter.device), 0)
            self.excluded[id(parameter)] = _excluded_of[id(parameter)] = excluded
            with torch.no_grad():
                excluded.hold(parameter)
                excluded.zero_gradient(parameter)
            self.bits[name] = excluded.bits
            trainable = parameter.requires_grad
            parameter.requires_grad_(True)  # a frozen parameter refuses hooks, and may be thawed later
            self.hooks.append(parameter.register_post_accumulate_grad_hook(excluded.zero_gradient))
            parameter.requires_grad_(trainable)

    def zero_gradients(self) -> None:
        for parameter in self.parameters.values():
            self.excluded[id(parameter)].zero_gradient(parameter)

    def release(self) -> None:
        for hook in self.hooks:
            hook.remove()
        for key, excluded in self.excluded.items():
            if _excluded_of.get(key) is excluded:
                del _excluded_of[key]

    def __deepcopy__(self, memo: dict[int, Any]) -> "_Guard":
        parameters = {name: copy.deepcopy(parameter, memo) for name, parameter in self.parameters.items()}
        return _Guard(parameters, dict(self.bits), self.masked, copy.deepcopy(self.load_hook, memo))

    def __reduce__(self) -> tuple[Any, ...]:
        masks = {name: bits != 0 for name, bits in self.bits.items()}
        return _Guard, (self.parameters, masks, self.masked, self.load_hook)


def _guard_of(model: nn.Module) -> _Guard | None:
    return getattr(plain_model(model), _GUARD, None)


def _after_optimiser_step(optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
    if not _excluded_of:
        return
    with torch.no_grad():
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                excluded = _excluded_of.get(id(parameter))
                if excluded is not None:
                    excluded.hold(parameter)


def _after_load_state_dict(model: nn.Module, incompatible_keys: Any) -> None:
    """Hold what was loaded: it may be dense, and `assign=True` even replaces the parameters."""
    guard: _Guard = getattr(model, _GUARD)
    guard.release()
    named = named_parameters(model)
    guard.hold({name: named[name] for name in guard.bits})
