"""One mask, on the parameter that it is on now."""

import weakref
from collections.abc import Callable, Collection
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from ticketzoo.errors import TicketError
from ticketzoo.masks import gradients
from ticketzoo.masks.excluded import Excluded, Masked
from ticketzoo.masks.follow import Edge, Known, Place
from ticketzoo.masks.sharded import memory

HELD: "weakref.WeakValueDictionary[int, weakref.WeakSet[Hold]]" = weakref.WeakValueDictionary()
"""The masks on a parameter, by its id: several where models share it, or a model has it under two names."""

_ALWAYS = 1 << 18
"""Parameters on a CPU of up to so many weights are set back before every use, larger ones where a sample strayed."""


class Hold:
    """The part of a mask that its parameter itself keeps, by the hook on its gradient.

    So a layer that was taken out of a model stays masked when the model is no more. It has no reference to the
    parameter, which would then outlive its model until garbage is collected.

    Attributes:
        name: of the mask.
        masked: what excluded weights are held at.
        whole: what the mask excludes of the whole parameter.
        part: what it excludes of the part that this process holds.
        version: of the parameter when it was last set back.
    """

    changes = 0
    """How often a mask was put on a parameter or taken off, of all models."""

    def __init__(self, name: str, whole: Excluded, masked: Masked, parameter: Tensor) -> None:
        self.name, self.whole, self.masked = name, whole, masked
        self.part, self.version, self._tensor = whole.part_of(parameter), -1, 0
        self._hook: RemovableHandle | None = None
        self._beside: weakref.WeakSet[Hold] = weakref.WeakSet()

    def take(self, parameter: nn.Parameter) -> None:
        """Hold the parameter until `release`."""
        if self._hook is not None:
            return
        self.fitting(parameter)
        trainable = parameter.requires_grad
        parameter.requires_grad_(True)  # a frozen parameter refuses hooks, and may be thawed later
        self._hook = parameter.register_post_accumulate_grad_hook(self.zero_accumulated)
        parameter.requires_grad_(trainable)
        self._beside = HELD.setdefault(id(parameter), weakref.WeakSet())
        self._beside.add(self)
        self._tensor = parameter._cdata
        Hold.changes += 1
        self.zero_gradient(parameter)
        self.set_back(parameter)

    def release(self) -> None:
        """Leave the parameter alone for now."""
        if self._hook is not None:
            self._hook.remove()
        self._hook = None
        Hold.changes += 1
        self._beside.discard(self)
        self._beside = weakref.WeakSet()

    def freeze(self, parameter: Tensor) -> None:
        """Hold what is excluded at the values that it has now."""
        self.whole.freeze(parameter)
        self.part = self.whole.part_of(parameter)

    def zero_accumulated(self, parameter: Tensor) -> None:
        """Zero the gradient that a backward pass has accumulated: the hook."""
        if gradients.waits(parameter):
            gradients.zero_later(self.part, parameter)
        else:
            self.part.zero_gradient(parameter)

    def zero_gradient(self, parameter: Any) -> None:
        """Set the gradient of what is excluded to 0.0."""
        self.part.zero_gradient(parameter)

    def set_back(self, parameter: Tensor) -> None:
        """Set back what is excluded. Raises TicketError where the parameter's shape has changed."""
        self.part.hold(self.fitting(parameter))
        self.version = _version(parameter)

    def verify(self, parameter: nn.Parameter) -> None:
        """Set back what something else than an optimizer of torch has changed. Raises TicketError as `set_back`."""
        self.fitting(parameter)
        if parameter._cdata != self._tensor:  # torch.utils.swap_tensors: the tensor that it is now knows of no hook
            parameter._post_accumulate_grad_hooks = parameter._post_accumulate_grad_hooks
            self._tensor = parameter._cdata
        if not is_sampled(parameter) or _version(parameter) != self.version or self.part.sample_strayed(parameter):
            self.set_back(parameter)

    def strayed(self, parameter: Tensor) -> int:
        """Return how many excluded weights, of this process's part, are not at the values that they are held at."""
        return self.part.strayed(self.fitting(parameter))

    def fitting(self, parameter: Tensor) -> Tensor:
        """Return the parameter. Raises TicketError where its shape has changed."""
        now, mask = memory(parameter).shape, self.part.bits.shape
        if now != mask:
            raise TicketError(f"the mask of '{self.name}' no longer holds: shape {tuple(now)} now, mask {tuple(mask)}")
        return parameter

    def agrees(self, mask: Tensor, masked: Masked) -> bool:
        """Tell whether another mask says the same of the parameter."""
        return self.masked == masked and torch.equal(self.whole.mask().to(mask.device), mask)


def is_sampled(parameter: Tensor) -> bool:
    """Tell whether a sample of a parameter is looked at before it is used, instead of all of it."""
    return parameter.numel() > _ALWAYS and parameter.device.type == "cpu"


def holds_on(parameter: Tensor) -> list[Hold]:
    """Return the masks that are held on a parameter, by whatever model."""
    return list(HELD.get(id(parameter), ()))


def contradiction(parameter: Tensor, mask: Tensor, masked: Masked, besides: Collection[Hold | None]) -> Hold | None:
    """Return a mask that is held on a parameter, not one of `besides`, and that says otherwise than `mask`."""
    others = [hold for hold in holds_on(parameter) if hold not in besides]
    return next((hold for hold in others if not hold.agrees(mask, masked)), None)


def freeze_all(hold: Hold, parameter: Tensor) -> None:
    """Hold what a mask, and others on the same parameter, exclude at the values that it has now."""
    for one in {hold, *holds_on(parameter)}:
        one.freeze(parameter)


class Entry:
    """A mask of a model, and where it is now.

    Attributes:
        name: of the mask and the parameter.
        whole: what it excludes of the whole parameter.
        masked: what excluded weights are held at.
        parameter: the one that it is on; None before that has been found, and while there is none.
        replaced: whether another layer of the same shape is in its place.
        edges: the way to the parameter; after it has left the model, the part of the way on which it would come back.
        hold: on that parameter.
    """

    def __init__(self, name: str, whole: Excluded, masked: Masked, replaced: bool = False) -> None:
        self.name, self.whole, self.masked, self.replaced = name, whole, masked, replaced
        self.parameter: nn.Parameter | None = None
        self.edges: list[Edge] = []
        self.hold: Hold | None = None
        self._shape = tuple(whole.bits.shape)
        self._owner: Callable[[], nn.Module | None] = lambda: None

    def known(self) -> Known:
        """Return where it was seen last."""
        return Known(self._shape, self._owner(), self.parameter, self.replaced, bool(self.edges))

    @property
    def may_return(self) -> bool:
        """True while the layer that it was on exists."""
        return self._owner() is not None

    def bind(self, place: Place, *, freeze: bool = False) -> None:
        """Hold this parameter from now on; with `freeze` at the values that it has now."""
        assert isinstance(place.parameter, nn.Parameter)
        self._owner, self.edges, self.replaced = weakref.ref(place.owner), list(place.edges), False
        if place.parameter is not self.parameter or self.hold is None:
            self.release()
            self.parameter = place.parameter
            self.hold = Hold(self.name, self.whole, self.masked, place.parameter)
            if freeze:
                freeze_all(self.hold, place.parameter)
        self.hold.name = self.name
        self.hold.take(place.parameter)

    def stays(self, place: Place | None) -> bool:
        """Tell whether it is on the parameter at a place already."""
        return place is not None and place.parameter is self.parameter and self.hold is not None

    def contradicted(self, parameter: Tensor, besides: Collection[Hold | None]) -> Hold | None:
        """Return another mask on a parameter, not one of `besides`, that says otherwise."""
        return contradiction(parameter, self.whole.mask(), self.masked, [self.hold, *besides])

    def leave(self, *, replaced: bool = False) -> None:
        """Let go of a parameter that is not in the model any more."""
        self.release()
        self.parameter, self.hold, self.replaced = None, None, replaced
        way, self.edges = self.edges, []
        for children, key, child in way:
            self.edges.append((children, key, children.get(key)))
            if children.get(key) is not child:
                break

    def release(self) -> None:
        """Leave the parameter alone for now."""
        if self.hold is not None:
            self.hold.release()


def _version(tensor: Tensor) -> int:
    return 0 if tensor.is_inference() else tensor._version
