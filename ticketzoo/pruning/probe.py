"""Views of a network for a criterion: weights, where they came from, gradients, curvature, norms of inputs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor, nn

from ticketzoo.errors import RunError
from ticketzoo.masks.masks import Masks
from ticketzoo.models.state import State


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

    def model(self) -> nn.Module:
        """Return the network, masked: a new one at each call, so that nothing done to it lasts."""
        ...

    def gradients(self, batches: int = 1) -> State:
        """Return the gradient of the task's mean loss over `batches` batches, for every masked parameter."""
        ...

    def hessian_vector(self, vector: Mapping[str, Tensor], batches: int = 1) -> State:
        """Return the Hessian of that loss times `vector`, for every masked parameter."""
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

    def model(self) -> nn.Module:
        """Raise RunError: there is none."""
        raise RunError("this criterion needs the model and its data, and only weights are given")

    def gradients(self, batches: int = 1) -> State:
        """Raise RunError: there is no model."""
        raise RunError("this criterion needs gradients, and only weights are given")

    def hessian_vector(self, vector: Mapping[str, Tensor], batches: int = 1) -> State:
        """Raise RunError: there is no model."""
        raise RunError("this criterion needs second derivatives, and only weights are given")

    def input_norms(self, batches: int = 1) -> State:
        """Raise RunError: there is no model."""
        raise RunError("this criterion needs the inputs of layers, and only weights are given")
