"""One mask, on the parameter that it is on now."""

import weakref
from collections.abc import Callable

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from ticketzoo.errors import TicketError
from ticketzoo.masks.excluded import Excluded
from ticketzoo.masks.follow import Edge, Known, Place
from ticketzoo.masks.sharded import memory

HELD: "weakref.WeakValueDictionary[int, weakref.WeakSet[Entry]]" = weakref.WeakValueDictionary()
"""The masks on a parameter, by its id: several where models share it, or a model has it under two names."""

_ALWAYS = 1 << 17
"""Parameters on a CPU of up to so many weights are set back before every use, larger ones where a sample strayed."""


class Entry:
    """A mask, held on a parameter: by a hook on its gradient, and by whoever calls `hold` and `verify`.

    Attributes:
        name: of the mask and the parameter.
        whole: what it excludes of the whole parameter.
        part: what it excludes of the part that this process holds.
        parameter: the one that it is on; None before that has been found, and while there is none.
        replaced: whether another layer of the same shape is in its place.
        edges: the way to the parameter; after it has left the model, the part of the way on which it would come back.
    """

    def __init__(self, name: str, whole: Excluded, replaced: bool = False) -> None:
        self.name, self.whole, self.part, self.replaced = name, whole, whole, replaced
        self.parameter: nn.Parameter | None = None
        self.edges: list[Edge] = []
        self._shape = tuple(whole.bits.shape)
        self._owner: Callable[[], nn.Module | None] = lambda: None
        self._hook: RemovableHandle | None = None
        self._beside: weakref.WeakSet[Entry] = weakref.WeakSet()
        self._version, self._tensor = -1, 0

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
        if place.parameter is not self.parameter:
            self.release()
            self.parameter = place.parameter
            if freeze:
                self.whole.freeze(place.parameter)
            self.part = self.whole.part_of(place.parameter)
        self.take()

    def leave(self, *, replaced: bool = False) -> None:
        """Let go of a parameter that is not in the model any more."""
        self.release()
        self.parameter, self.replaced = None, replaced
        way, self.edges = self.edges, []
        for children, key, child in way:
            self.edges.append((children, key, children.get(key)))
            if children.get(key) is not child:
                break

    def take(self) -> None:
        """Hold the parameter again after `release`."""
        if self._hook is not None:
            return
        parameter = self._fitting()
        trainable = parameter.requires_grad
        parameter.requires_grad_(True)  # a frozen parameter refuses hooks, and may be thawed later
        self._hook = parameter.register_post_accumulate_grad_hook(self.part.zero_gradient)
        parameter.requires_grad_(trainable)
        self._beside = HELD.setdefault(id(parameter), weakref.WeakSet())
        self._beside.add(self)
        self._tensor = parameter._cdata
        self.zero_gradient()
        self.hold()

    def release(self) -> None:
        """Leave the parameter alone for now."""
        if self._hook is not None:
            self._hook.remove()
        self._hook = None
        self._beside.discard(self)
        self._beside = weakref.WeakSet()

    def freeze(self) -> None:
        """Hold what is excluded at the values that it has now."""
        parameter = self._fitting()
        self.release()
        self.whole.freeze(parameter)
        self.part = self.whole.part_of(parameter)
        self.take()

    def hold(self) -> None:
        """Set what is excluded back. Raises TicketError where the parameter's shape has changed."""
        parameter = self._fitting()
        self.part.hold(parameter)
        self._version = _version(parameter)

    def verify(self) -> None:
        """Set back what something else than an optimizer of torch has changed. Raises TicketError as `hold` does."""
        parameter = self._fitting()
        if parameter._cdata != self._tensor:  # torch.utils.swap_tensors: the tensor that it is now knows of no hook
            parameter._post_accumulate_grad_hooks = parameter._post_accumulate_grad_hooks
            self._tensor = parameter._cdata
        large = parameter.numel() > _ALWAYS and parameter.device.type == "cpu"
        if not large or _version(parameter) != self._version or self.part.sample_strayed(parameter):
            self.hold()

    def zero_gradient(self) -> None:
        """Set the gradient of what is excluded to 0.0."""
        if self.parameter is not None:
            self.part.zero_gradient(self.parameter)

    def strayed(self) -> int:
        """Return how many excluded weights, of this process's part, are not at the values that they are held at."""
        return self.part.strayed(self._fitting())

    def _fitting(self) -> nn.Parameter:
        assert self.parameter is not None
        now, mask = memory(self.parameter).shape, self.part.bits.shape
        if now != mask:
            raise TicketError(f"the mask of '{self.name}' no longer holds: shape {tuple(now)} now, mask {tuple(mask)}")
        return self.parameter


def _version(tensor: Tensor) -> int:
    return 0 if tensor.is_inference() else tensor._version
