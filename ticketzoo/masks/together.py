"""Set back the weights of many parameters by one call of torch, instead of one after the other.

Their memory is kept as integers beside integers 1 (kept) and 0. A product turns whatever is there, NaN and inf too,
into +0.0 where the mask prunes, and changes nothing elsewhere; torch multiplies a whole list of tensors in one call, on
a GPU by one kernel. Frozen weights, parts of sharded parameters and very large parameters are set back alone.
"""

from collections.abc import Iterable, Sequence
from weakref import WeakKeyDictionary, ref

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ticketzoo.masks.entry import HELD, Hold, holds_on, is_sampled
from ticketzoo.masks.excluded import INTEGER_OF_WIDTH, PIECE


class Batch:
    """The memory of parameters and their masks. It keeps no parameter alive, and is of use while none has moved."""

    def __init__(self, pairs: Iterable[tuple[Hold, Tensor]]) -> None:
        pairs, self._weights, self._kept = list(pairs), [], []
        self._places = _places([parameter for _, parameter in pairs])
        for hold, parameter in pairs:
            weights = parameter.data.view(INTEGER_OF_WIDTH[parameter.element_size()])
            self._weights.append(weights)
            self._kept.append(hold.part.kept_like(weights))

    def is_of(self, parameters: Sequence[Tensor]) -> bool:
        """Tell whether the memory is still that of the parameters."""
        return _places(parameters) == self._places

    def zero(self) -> None:
        """Set all pruned weights to +0.0; autograd does not notice."""
        if self._weights:
            torch._foreach_mul_(self._weights, self._kept)


class Together:
    """The masks of one model, looked at before every call.

    Attributes:
        held: them and their parameters.
    """

    def __init__(self, held: Sequence[tuple[Hold, nn.Parameter]]) -> None:
        self.held = held
        self._batch: Batch | None = None
        self._parameters: list[nn.Parameter] = []
        self._alone: list[tuple[Hold, nn.Parameter]] = []

    def verify(self) -> None:
        """Set back what something else than an optimizer of torch has changed. Raises TicketError as `Hold.verify`."""
        if self._batch is not None and self._batch.is_of(self._parameters):
            self._batch.zero()
            _verify(self._alone)
        else:
            _verify(self.held)
            self._prepare()

    def _prepare(self) -> None:
        if torch.is_inference_mode_enabled():  # views made there cannot be changed elsewhere
            self._batch = None
            return
        joint, alone = _divided(self.held)
        small = [(hold, one) for hold, one in joint if not is_sampled(one)]
        self._alone = alone + [(hold, one) for hold, one in joint if is_sampled(one)]
        self._parameters, self._batch = [one for _, one in small], Batch(small)


class _Stepped:
    """The masks on the parameters of an optimizer, by their positions there: it keeps no parameter alive."""

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        self._ids, self._changes = [id(one) for one in parameters], Hold.changes
        joint, alone = _divided((hold, one) for one in parameters for hold in holds_on(one))
        self._versions = [(ref(hold), self._ids.index(id(one))) for hold, one in joint if is_sampled(one)]
        apart = {id(one) for _, one in alone}
        positions = {identity: position for position, identity in enumerate(self._ids)}
        self._joint = [positions[id(one)] for _, one in joint]
        self._alone = [positions[identity] for identity in apart]
        self._batch = Batch(joint)

    def set_back(self, parameters: Sequence[nn.Parameter]) -> bool:
        """Set back what is excluded, unless masks or parameters are not those from before: tell whether that is so."""
        if self._changes != Hold.changes or self._ids != list(map(id, parameters)):
            return False
        if not self._batch.is_of([parameters[position] for position in self._joint]):
            return False
        self._batch.zero()
        for reference, position in self._versions:
            if (hold := reference()) is not None:
                hold.version = parameters[position]._version
        if self._alone:
            set_back([parameters[position] for position in self._alone])
        return True


_STEPPED: "WeakKeyDictionary[Optimizer, _Stepped]" = WeakKeyDictionary()


def set_back_all(optimizer: Optimizer) -> None:
    """Set back what masks exclude of the parameters of an optimizer. Raises TicketError as `Hold.set_back`."""
    parameters = [one for group in optimizer.param_groups for one in group["params"]]
    stepped = _STEPPED.get(optimizer)
    if stepped is None or not stepped.set_back(parameters):
        set_back(parameters)
        if not torch.is_inference_mode_enabled():  # views made there cannot be changed elsewhere
            _STEPPED[optimizer] = _Stepped(parameters)


def set_back(parameters: Iterable[nn.Parameter]) -> None:
    """Set back what masks exclude of parameters, one after the other."""
    with torch.no_grad():
        for parameter in parameters:
            for hold in HELD.get(id(parameter), ()):
                hold.set_back(parameter)


def is_recording() -> bool:
    """Tell whether operations would be recorded or transformed, beside or instead of being done."""
    if torch._C._get_tracing_state() is not None or torch._C._functorch.peek_interpreter_stack() is not None:
        return True
    return torch.cuda.is_initialized() and torch.cuda.is_current_stream_capturing()


def fits(hold: Hold, parameter: Tensor) -> bool:
    """Tell whether a parameter can be set back with others."""
    return (
        type(parameter) is nn.Parameter
        and hold.part.held is None
        and parameter.layout is torch.strided
        and not parameter.is_meta
        and not parameter.is_inference()
        and parameter.shape == hold.part.bits.shape
        and parameter.numel() <= PIECE
    )


def _verify(held: Sequence[tuple[Hold, nn.Parameter]]) -> None:
    if held:
        with torch.no_grad():
            for hold, parameter in held:
                hold.verify(parameter)


def _divided(held: Iterable[tuple[Hold, nn.Parameter]]) -> tuple[list[tuple[Hold, nn.Parameter]], ...]:
    """Return the masks whose parameters can be set back together, one for each of these, and the others."""
    joint, alone = {}, []
    for hold, parameter in held:
        if fits(hold, parameter):
            joint[id(parameter)] = hold, parameter  # other masks on it are the same
        else:
            alone.append((hold, parameter))
    return list(joint.values()), alone


def _places(parameters: Iterable[Tensor]) -> list[tuple[object, ...]]:
    """Return what tells that parameters have the same memory as before."""
    return [(one.data_ptr(), one._cdata, one.shape, one.stride(), one.dtype) for one in parameters]
