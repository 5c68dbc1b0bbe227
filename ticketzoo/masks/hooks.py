"""Moments at which masks are looked after: a model is called, loaded or saved, an optimizer makes a step."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from ticketzoo.masks.entry import HELD, Hold, holds_on
from ticketzoo.masks.guard import GUARD, GUARDS, Guard, guard_on, living
from ticketzoo.masks.plain import named_parameters, plain_model, plain_name
from ticketzoo.masks.together import set_back_all


def put_on(model: nn.Module, guard: Guard) -> None:
    """Make `guard` that of a plain model."""
    setattr(model, GUARD, guard)
    guard.hooks = [
        model.register_forward_pre_hook(_before_call, prepend=True),
        model.register_state_dict_pre_hook(_before_saving),
        model.register_load_state_dict_post_hook(_after_loading),
    ]


def take_off(model: nn.Module) -> None:
    """Leave a plain model without its guard and the hooks of that: a shallow copy has the same dicts of hooks."""
    guard = guard_on(model)
    if guard is None:
        return
    guard.after_use()
    guard.pause()
    GUARDS.pop(id(guard), None)
    delattr(model, GUARD)
    for hook in guard.hooks:
        hook.remove()


def guards_in(model: nn.Module) -> dict[str, Guard]:
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


def held_elsewhere(model: nn.Module, guards: Mapping[str, Guard]) -> list[tuple[str, Hold, nn.Parameter]]:
    """Return the masks on parameters of `model` that none of `guards` has: of other models, perhaps of ones no more."""
    own = {id(parameter) for guard in guards.values() for _, parameter in guard.held}
    others = {name: one for name, one in named_parameters(model).items() if id(one) not in own}
    return [(name, hold, one) for name, one in others.items() for hold in holds_on(one)]


def _before_call(model: nn.Module, args: Any) -> None:
    if torch.compiler.is_compiling():
        return
    guard = guard_on(model)
    if guard is not None and not guard.paused and "_is_replica" not in model.__dict__:
        guard.before_use()


def _before_saving(model: nn.Module, prefix: str, keep_vars: bool) -> None:
    guard = guard_on(model)
    if guard is not None and not guard.paused and not torch.compiler.is_compiling():
        guard.settle()
        guard.verify()


def _after_loading(model: nn.Module, incompatible_keys: Any) -> None:
    """Hold what was loaded: it may be dense, and `assign=True` even replaces the parameters."""
    guard = guard_on(model)
    if guard is None:
        return
    with torch.no_grad():
        guard.settle(freeze=guard.masked == "frozen")
        guard.set_back(freeze=guard.masked == "frozen")


def _before_step(optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
    if GUARDS and not torch.compiler.is_compiling():
        for guard in living():
            guard.before_step(optimizer)


def _after_step(optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
    if HELD:
        set_back_all(optimizer)


register_optimizer_step_pre_hook(_before_step)
register_optimizer_step_post_hook(_after_step)
