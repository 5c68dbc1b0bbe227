"""Parametrisations: the tensors that gradient descent moves in a training, and the part of them that is kept."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from torch import nn

from ticketzoo.masks.attach import Masked, attach
from ticketzoo.masks.masks import Masks
from ticketzoo.models import head_modules
from ticketzoo.models.body import within
from ticketzoo.models.state import State, copy_state
from ticketzoo.util.registry import Registry


@dataclass(frozen=True)
class Learned:
    """The result of a training.

    Attributes:
        weights: parameters and buffers by their names in the plain model, on the CPU.
        masks: bool, True = kept, by parameter name; empty where the training kept the masks that it was given.
        extras: further tensors, such as scores, by kind and parameter name.
    """

    weights: State
    masks: Masks = field(default_factory=dict)
    extras: Mapping[str, State] = field(default_factory=dict)


def split_learned(learned: Learned) -> State:
    """Return masks and extras as one set of tensors named `<kind>/<parameter>`; empty if there are weights alone."""
    kinds = {"masks": learned.masks, **learned.extras}
    return {f"{kind}/{name}": tensor for kind, state in kinds.items() for name, tensor in state.items()}


def join_learned(weights: State, others: State) -> Learned:
    """Return what `split_learned` split."""
    kinds: dict[str, State] = {}
    for key, tensor in others.items():
        kind, _, name = key.partition("/")
        kinds.setdefault(kind, {})[name] = tensor
    return Learned(weights, kinds.pop("masks", {}), kinds)


class Parametrisation(Protocol):
    """The thing that a training learns: a picklable value without state, one of those that decide the numbers.

    The model computes with the tensors that `install` put into it (by `torch.nn.utils.parametrize` where they are
    functions of others), so losses, evaluation, checkpoints and other processes need not know of it.
    """

    @property
    def name(self) -> str:
        """Return its name in `PARAMETRISATIONS`."""
        ...

    @property
    def identity(self) -> dict[str, Any]:
        """Return what it adds to the specification of a training, as JSON; nothing for `WEIGHTS`."""
        ...

    @property
    def masked(self) -> Masked:
        """Return what the weights are that the masks exclude: 0.0, or frozen at their values in the start."""
        ...

    def install(self, model: nn.Module, masks: Masks, seed: int) -> list[nn.Parameter]:
        """Change `model` in place and return what gradient descent moves of it; all else stays as it is.

        Args:
            model: the plain model on its device, holding the weights to start from.
            masks: bool, True = kept, by parameter name; empty for a dense training.
            seed: of whatever is drawn, the same in every process.
        """
        ...

    def learned(self, model: nn.Module) -> Learned:
        """Return what `model`, which `install` changed, has learned. Raises RunError where that is not finite."""
        ...


@dataclass(frozen=True)
class ParametrisationEntry:
    """A row of `PARAMETRISATIONS`.

    Attributes:
        name: by which it is asked for.
        make: gives the parametrisation; its arguments are its own.
        words: what it learns, for people.
        cite: where it comes from.
    """

    name: str
    make: Callable[..., Parametrisation]
    words: str
    cite: str = ""


PARAMETRISATIONS: Registry[ParametrisationEntry] = Registry("parametrisation", ParametrisationEntry)


@PARAMETRISATIONS.add("weights", cite="Frankle & Carbin 2019, section 1", words="the kept weights and everything else")
@dataclass(frozen=True)
class Weights:
    """Ordinary training: all parameters move, and what the masks prune is 0.0 throughout."""

    name: ClassVar[str] = "weights"
    identity: ClassVar[dict[str, Any]] = {}
    masked: ClassVar[Masked] = "zero"

    def install(self, model: nn.Module, masks: Masks, seed: int) -> list[nn.Parameter]:
        """Attach `masks`; return the parameters that are not frozen."""
        if masks:
            attach(model, masks, masked=self.masked)
        return [parameter for parameter in model.parameters() if parameter.requires_grad]

    def learned(self, model: nn.Module) -> Learned:
        """Return the weights."""
        return Learned(copy_state(model))


@PARAMETRISATIONS.add("head", words="the head alone, on a frozen body")
@dataclass(frozen=True)
class Head(Weights):
    """Training of the task's head alone: the body stays as it is."""

    name: ClassVar[str] = "head"
    identity: ClassVar[dict[str, Any]] = {"trainable": "head"}

    def install(self, model: nn.Module, masks: Masks, seed: int) -> list[nn.Parameter]:
        """Attach `masks`; return the head's parameters. Raises ModelError where the model has no head."""
        super().install(model, masks, seed)
        head = head_modules(model)
        return [parameter for name, parameter in model.named_parameters() if within(name, head)]


@PARAMETRISATIONS.add("frozen", cite="Panda et al. 2024", words="the kept weights; the others stay")
@dataclass(frozen=True)
class Frozen(Weights):
    """Training of the weights that the masks keep, and of all that has none: excluded weights stay as they started."""

    name: ClassVar[str] = "frozen"
    identity: ClassVar[dict[str, Any]] = {"learn": {"name": "frozen"}}
    masked: ClassVar[Masked] = "frozen"


@PARAMETRISATIONS.add("nothing", cite="Zhou et al. 2019, section 5", words="nothing: the network is measured as it is")
@dataclass(frozen=True)
class Nothing(Weights):
    """No training at all: the masked network is measured as it is, as befits a supermask and its controls.

    Running statistics of batch normalisation are those of the start.
    """

    name: ClassVar[str] = "nothing"
    identity: ClassVar[dict[str, Any]] = {"learn": {"name": "nothing"}}

    def install(self, model: nn.Module, masks: Masks, seed: int) -> list[nn.Parameter]:
        """Attach `masks`; return no parameter."""
        super().install(model, masks, seed)
        return []


@PARAMETRISATIONS.add("statistics", words="running statistics alone: the weights are measured as they are")
@dataclass(frozen=True)
class Statistics(Nothing):
    """No training, but running statistics of batch normalisation gathered anew, as befits weights only now masked."""

    name: ClassVar[str] = "statistics"
    identity: ClassVar[dict[str, Any]] = {"learn": {"name": "statistics"}}


WEIGHTS: Parametrisation = Weights()
HEAD: Parametrisation = Head()
FROZEN: Parametrisation = Frozen()
NOTHING: Parametrisation = Nothing()
STATISTICS: Parametrisation = Statistics()


def measuring(state: State) -> Parametrisation:
    """Return what measures weights as they are: with running statistics of their own, if they have any."""
    return STATISTICS if any(name.endswith("running_mean") for name in state) else NOTHING


def is_untrained(learn: Parametrisation) -> bool:
    """Tell whether no parameter is trained: the network is measured as it is."""
    return learn in (NOTHING, STATISTICS)
