"""Views of a network for a criterion: weights, where they came from, gradients, curvature, norms of inputs."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeAlias

from torch import Tensor, nn

from ticketzoo.errors import RunError
from ticketzoo.masks.masks import Masks
from ticketzoo.models.state import State
from ticketzoo.pruning.curvature import Variant


@dataclass(frozen=True)
class Scored:
    """The data that the loss of a probe is computed of.

    Attributes:
        per_class: examples of each class in a batch; None is the task's own number.
        batch_size: examples in a batch, at most; None is 128, or as many as `per_class` says.
        temperature: what the network's output is divided by.
    """

    per_class: int | None = None
    batch_size: int | None = None
    temperature: float = 1.0


Inputs: TypeAlias = tuple[Tensor, ...] | dict[str, Tensor]
"""Arguments of a model's `forward`, by position or by name."""

USUAL = Scored()
"""One batch of the task's own number of examples."""


class Probe(Protocol):
    """A network at the moment of pruning."""

    @property
    def weights(self) -> Mapping[str, Tensor]:
        """Parameters and buffers, by name."""
        ...

    @property
    def start(self) -> Mapping[str, Tensor]:
        """The weights that their training started from."""
        ...

    @property
    def masks(self) -> Masks:
        """Bool masks of the prunable parameters, True = kept."""
        ...

    @property
    def seed(self) -> int:
        """Of the recipe's run."""
        ...

    def under(self, masks: Masks) -> "Probe":
        """Return a probe of the same weights under other masks, of which nothing is stored."""
        ...

    def on(self, scored: Scored) -> "Probe":
        """Return a probe whose loss is of what `scored` says."""
        ...

    def model(self) -> nn.Module:
        """Return the network, masked: a new one at each call, so that nothing done to it lasts."""
        ...

    def inputs(self) -> Inputs:
        """Return what the model takes, of one example, all numbers 1; a dict of a model that takes it by name."""
        ...

    def losses(self, model: nn.Module, examples: int) -> Iterator[Callable[[], Tensor]]:
        """Yield, for each of so many training examples, a function that computes the task's loss of it on `model`.

        Of several processes, each gets its share.
        """
        ...

    def gradients(self, batches: int = 1) -> State:
        """Return the gradient of the task's mean loss over `batches` batches, for every masked parameter."""
        ...

    def hessian_vector(self, vector: Mapping[str, Tensor], batches: int = 1) -> State:
        """Return the Hessian of that loss times `vector`, for every masked parameter."""
        ...

    def curvature(self, variant: Variant, batches: int = 1) -> State:
        """Return the second derivative of that loss by each masked weight alone."""
        ...

    def input_norms(self, batches: int = 1) -> State:
        """Return the L2 norms [inputs] of the inputs of masked layers, over examples and positions."""
        ...


@dataclass(frozen=True)
class Weights:
    """A `Probe` of weights alone, for criteria that need neither model nor data. All else raises RunError."""

    weights: Mapping[str, Tensor]
    masks: Masks
    start: Mapping[str, Tensor] = field(default_factory=dict)
    seed: int = 0

    def under(self, masks: Masks) -> "Weights":
        """Return the same weights under other masks."""
        return replace(self, masks=masks)

    def on(self, scored: Scored) -> "Weights":
        """Return the probe itself: it has no loss."""
        return self

    def inputs(self) -> Inputs:
        """Raise RunError: there is no model."""
        raise RunError("this criterion needs the model, and only weights are given")

    def model(self) -> nn.Module:
        """Raise RunError: there is none."""
        raise RunError("this criterion needs the model and its data, and only weights are given")

    def losses(self, model: nn.Module, examples: int) -> Iterator[Callable[[], Tensor]]:
        """Raise RunError: there are no data."""
        raise RunError("this criterion needs data, and only weights are given")

    def gradients(self, batches: int = 1) -> State:
        """Raise RunError: there is no model."""
        raise RunError("this criterion needs gradients, and only weights are given")

    def hessian_vector(self, vector: Mapping[str, Tensor], batches: int = 1) -> State:
        """Raise RunError: there is no model."""
        raise RunError("this criterion needs second derivatives, and only weights are given")

    def curvature(self, variant: Variant, batches: int = 1) -> State:
        """Raise RunError: there is no model."""
        raise RunError("this criterion needs second derivatives, and only weights are given")

    def input_norms(self, batches: int = 1) -> State:
        """Raise RunError: there is no model."""
        raise RunError("this criterion needs the inputs of layers, and only weights are given")
