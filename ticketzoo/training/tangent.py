"""Training of a network that is linear in its weights."""

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import nn

from ticketzoo.errors import RunError
from ticketzoo.masks.attach import Masked
from ticketzoo.masks.masks import Masks
from ticketzoo.models.linearised import Tangent, linearise
from ticketzoo.training.parametrisation import PARAMETRISATIONS, Learned, Parametrisation


@PARAMETRISATIONS.add(
    "tangent",
    cite="Lee et al. 2019; Fort et al. 2020",
    words="changes of all weights, to which the network's output is linear around where it started",
)
@dataclass(frozen=True)
class TangentSpace:
    """Learn changes D of the weights w: the network is f(x; m * w) + J(x; m * w)[m * D], D from 0.

    Weight decay pulls on D, so towards where training started. BatchNorm and dropout are in evaluation mode. What is
    kept as trained weights is m * (w + D): of the linear network, which is another than the one of these weights.
    """

    name: ClassVar[str] = "tangent"
    identity: ClassVar[dict[str, Any]] = {"learn": {"name": "tangent"}}
    masked: ClassVar[Masked] = "zero"

    def install(self, model: nn.Module, masks: Masks, seed: int) -> list[nn.Parameter]:
        """Linearise `model` under `masks` as in evaluation mode; return the changes."""
        return list(linearise(model.eval(), masks).changes.values())

    def learned(self, model: nn.Module) -> Learned:
        """Return the weights with their changes. Raises RunError where the model was not linearised."""
        if not isinstance(model.forward, Tangent):
            raise RunError("the network was not linearised: train it by learn=TANGENT")
        return Learned(model.forward.weights())


TANGENT: Parametrisation = TangentSpace()
