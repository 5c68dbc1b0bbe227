"""All masks of one model: kept on its parameters whatever is done to it, or reported as lost."""

import warnings
import weakref
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from ticketzoo.errors import TicketError
from ticketzoo.masks.entry import Entry, Hold, freeze_all
from ticketzoo.masks.excluded import Excluded, Masked
from ticketzoo.masks.follow import Place, Trail, follow, in_functional_call, is_stacked
from ticketzoo.masks.gradients import zero_gradients
from ticketzoo.masks.masks import Masks
from ticketzoo.masks.sharded import is_sharded
from ticketzoo.masks.together import Together, is_recording

_DIFFERS = "whose mask differs: untie them, or take the masks off"

GUARDS: "weakref.WeakValueDictionary[int, Guard]" = weakref.WeakValueDictionary()
"""Those of all models that live, by their ids."""


class Guard:
    """The masks of one model: an attribute of it, copied and pickled along with it.

    Attributes:
        masked: what excluded weights are held at.
        paused: whether somebody else zeroes gradients for now, and changes nothing else.
        hooks: its own on the model.
    """

    def __init__(self, model: nn.Module, masks: Mapping[str, Tensor], masked: Masked) -> None:
        self._entries = {name: Entry(name, Excluded(mask.clone()), masked) for name, mask in masks.items()}
        self.masked = masked
        self.hooks: list[RemovableHandle] = []
        self._watch(model)

    def _watch(self, model: nn.Module) -> None:
        self._model, self.paused = weakref.ref(model), False
        self._trail: Trail | None = None
        self._together: Together | None = None
        self._lost: dict[str, str] = {}
        self._substituted: list[tuple[Place, Tensor]] = []
        GUARDS[id(self)] = self

    def is_of(self, model: nn.Module) -> bool:
        """Tell whether it is the guard of this very module."""
        return self._model() is model

    @property
    def held(self) -> list[tuple[Hold, nn.Parameter]]:
        """The masks that are on parameters of the model, and those."""
        pairs = ((entry.hold, entry.parameter) for entry in self._entries.values())
        return [(hold, parameter) for hold, parameter in pairs if hold is not None and parameter is not None]

    @property
    def holds(self) -> list[Hold]:
        """Those masks alone."""
        return [hold for hold, _ in self.held]

    @property
    def masks(self) -> Masks:
        """Those masks, by the names that their parameters have now."""
        return {hold.name: hold.whole.mask() for hold in self.holds}

    def settle(self, *, used: bool = False, accept: bool = False, freeze: bool = False) -> None:
        """Put every mask where its parameter is now.

        Args:
            used: the model is being called: what stands in for a parameter during the call is masked, too.
            accept: a layer that has replaced another of the same shape gets its mask.
            freeze: parameters not seen before are held at the values that they have now.
        """
        model = self._model()
        if model is None or self._is_settled():
            return
        found = follow(model, {name: entry.known() for name, entry in self._entries.items()}, accept=accept)
        called = in_functional_call()
        places = {name: place for name, (_, place) in found.places.items()}
        moving = [one.hold for name, one in self._entries.items() if not one.stays(places.get(name))]
        entries, passing = {}, False
        for name, entry in self._entries.items():
            if name in found.places:
                entry.name, place = found.places[name]
                if called or not isinstance(place.parameter, nn.Parameter):
                    passing = passing or place.parameter is not entry.parameter
                    self._substitute(entry, place, used)
                elif entry.parameter is not None and is_sharded(entry.parameter) and not is_sharded(place.parameter):
                    passing = True  # FSDP has joined the parts for a while
                elif (other := entry.contradicted(place.parameter, moving)) is not None:
                    found.lost[name] = f"is one parameter with '{other.name}', {_DIFFERS}"
                    entry.leave()
                else:
                    entry.bind(place, freeze=freeze)
            elif name in found.lost:
                entry.leave(replaced=name in found.replaced)
            elif entry.parameter is not None:
                if found.gone[name]:
                    what = f"the layer of '{name}' was replaced by one of another shape"
                    warnings.warn(f"{what}: its mask is gone, and all its weights train", stacklevel=2)
                entry.leave()
            elif not entry.may_return:
                continue
            entries[entry.name] = entry
        self._entries, self._lost, self._together = entries, found.lost, None
        if not passing:
            self._trail = Trail(edge for entry in entries.values() for edge in entry.edges)

    def _is_settled(self) -> bool:
        return self._trail is not None and not self._lost and self._trail.is_intact()

    def raise_lost(self) -> None:
        """Raise TicketError where a mask is wanted that cannot be held."""
        if self._lost:
            shown = [f"'{name}' {why}" for name, why in list(self._lost.items())[:3]]
            more = f"; and {len(self._lost) - 3} more" if len(self._lost) > 3 else ""
            raise TicketError(f"masks no longer hold: {'; '.join(shown)}{more}")

    def before_use(self) -> None:
        """Hold all masks before the model is called. Raises TicketError for those that are lost."""
        if self._substituted or not self._is_settled():
            self.after_use()
            self.settle(used=True)
            self.raise_lost()
        self.verify()

    def after_use(self) -> None:
        """Take back what stood in for a parameter during a call."""
        for place, masked in self._substituted:
            if place.owner._parameters.get(place.leaf) is masked:
                place.owner._parameters[place.leaf] = place.parameter  # type: ignore[assignment]
        self._substituted.clear()

    def strayed(self) -> dict[str, int]:
        """Return how many pruned weights of each parameter, where there are any, are not where they belong."""
        counts = {hold.name: hold.strayed(parameter) for hold, parameter in self.held}
        return {name: count for name, count in counts.items() if count}

    def set_back(self, *, freeze: bool = False) -> None:
        """Hold every mask now; with `freeze` at the values that its parameter has now."""
        for hold, parameter in self.held:
            if freeze:
                freeze_all(hold, parameter)
            hold.set_back(parameter)
        self.zero_gradients()

    def zero_gradients(self) -> None:
        """Set the gradients of pruned weights to 0.0."""
        zero_gradients((hold.part, parameter) for hold, parameter in self.held)

    def verify(self) -> None:
        """Set back whatever has changed; not where that would be recorded instead of done."""
        if is_recording():
            return
        if self._together is None:
            self._together = Together(self.held)
        self._together.verify()

    def before_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Find the parameters before they are moved. Raises TicketError where the optimizer moves a lost one."""
        if self.paused or self._is_settled():
            return
        model = self._model()
        if model is None:
            return
        with torch.no_grad():
            self.settle()
        if self._lost:
            moved = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
            if any(id(parameter) in moved for parameter in model.parameters()):
                self.raise_lost()

    def pause(self) -> None:
        """Leave all parameters alone for now."""
        self.paused = True
        for hold in self.holds:
            hold.release()

    def resume(self) -> None:
        """Hold them again."""
        self.paused = False
        for hold, parameter in self.held:
            hold.take(parameter)
        self.settle()

    def __getstate__(self) -> dict[str, Any]:
        self.settle()
        kept = {
            name: entry for name, entry in self._entries.items() if entry.parameter is not None or name in self._lost
        }
        masks = [(name, entry.whole, entry.replaced) for name, entry in kept.items()]
        return {"model": self._model(), "masks": masks, "masked": self.masked, "hooks": self.hooks}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.masked, self.hooks = state["masked"], state["hooks"]
        self._entries = {name: Entry(name, whole, self.masked, replaced) for name, whole, replaced in state["masks"]}
        self._watch(state["model"])

    def _substitute(self, entry: Entry, place: Place, used: bool) -> None:
        """Mask what `torch.func.functional_call` and its like have put in the place of a parameter, for one call."""
        model = self._model()
        if place.parameter is entry.parameter or not used or model is None:
            return
        if is_stacked(place.parameter):
            what = f"the masks of one model are on '{entry.name}', which stands for several models here"
            raise TicketError(f"{what}: take them off this one with ticket.remove(model)")
        masked = entry.whole.masked(place.parameter)
        place.owner._parameters[place.leaf] = masked  # type: ignore[assignment]
        if not any(hook.id in model._forward_hooks for hook in self.hooks):
            self.hooks.append(model.register_forward_hook(after_call, always_call=True))
        self._substituted.append((place, masked))


def after_call(model: nn.Module, args: Any, output: Any) -> None:
    """Take back what stood in for parameters: a forward hook."""
    guard = guard_on(model)
    if guard is not None:
        guard.after_use()


def guard_on(model: nn.Module) -> Guard | None:
    """Return the guard of this very module, not that of one whose shallow copy it is."""
    guard: Guard | None = model.__dict__.get(GUARD)
    return guard if guard is not None and guard.is_of(model) else None


def living() -> list[Guard]:
    """Return the guards of all models that live; others may be attached meanwhile, in other threads."""
    return [guard for reference in GUARDS.valuerefs() if (guard := reference()) is not None]


GUARD = "_ticketzoo_guard"
"""The attribute that holds it."""
