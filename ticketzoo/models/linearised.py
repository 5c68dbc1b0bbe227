"""Networks made linear in their weights: their first-order expansion around the weights that they have.

Lee et al. 2019 (arXiv 1902.06720); Fort et al. 2020 (arXiv 2010.15110) for weights of a later step.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.func import functional_call, jvp
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd
from torch.utils._pytree import tree_map

from ticketzoo.errors import RunError
from ticketzoo.masks.masks import Masks
from ticketzoo.models.state import State, copy_state

CHANGE: Final = "tangent_change_"
"""The beginning of the names of changes in a linearised network; their number follows."""


class _Plain(nn.Module):
    """A network that computes as it did before it was linearised."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model, self.compute = model, type(model).forward

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.compute(self.model, *args, **kwargs)


@dataclass(frozen=True)
class Tangent:
    """The forward pass of a linearised network: f(x; m * w) + J(x; m * w)[m * D].

    Attributes:
        plain: computes f.
        masks: m, by parameter name; parameters without one are whole.
        changes: D, by parameter name.
    """

    plain: _Plain
    masks: Masks
    changes: Mapping[str, nn.Parameter]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the network gives, any tree of tensors. Raises RunError where it has no derivative."""
        weights = {f"model.{name}": self.plain.model.get_parameter(name).detach() for name in self.changes}
        changes = {f"model.{name}": change for name, change in self.masked().items()}

        def computed(given: dict[str, Tensor]) -> Any:
            return functional_call(self.plain, given, args, kwargs)

        try:
            with sdpa_kernel(SDPBackend.MATH):  # the others have no derivative in forward mode
                value, slope = jvp(computed, (weights,), (changes,))[:2]
        except NotImplementedError as error:
            why = str(error).strip().splitlines()[0][:200]
            raise RunError(f"the network cannot be linearised: {why}; take layers with a forward derivative") from error
        return tree_map(torch.add, value, slope)

    def masked(self) -> dict[str, Tensor]:
        """Return m * D."""
        return {name: one * self.masks[name] if name in self.masks else one for name, one in self.changes.items()}

    def weights(self) -> State:
        """Return parameters and buffers of the network on the CPU, m * (w + D) in the place of w."""
        state = copy_state(self.plain.model)
        state = {name: tensor for name, tensor in state.items() if not name.startswith(CHANGE)}
        return state | {
            name: state[name] + change.detach().cpu() for name, change in self.masked().items() if name in state
        }


def linearise(model: nn.Module, masks: Masks | None = None) -> Tangent:
    """Make `model` linear in its weights, in place, and return its forward pass; its changes D are zeros.

    Its weights w stay as they are, or 0 where masks prune; D is what training moves, a tensor for each parameter, a
    tied one once. A forward pass costs about three. BatchNorm and dropout stay in evaluation mode, whatever mode the
    network is set to: in training mode it is no function of its weights and of one input alone.

    Args:
        model: with BatchNorm and dropout in evaluation mode.
        masks: bool, True = kept, by parameter name; by default none.

    Raises:
        RunError: BatchNorm or dropout is in training mode.
    """
    for name, module in model.named_modules():
        if isinstance(module, _HELD) and module.training:
            kind = "BatchNorm" if isinstance(module, _BatchNorm) else "dropout"
            what = f"a linearised network with {kind} in training mode ('{name}') is no function of its weights alone"
            raise RunError(f"{what}: call model.eval() before")
    parameters = dict(model.named_parameters())
    held = {name: mask.to(parameters[name].device) for name, mask in (masks or {}).items()}
    model.requires_grad_(False)
    with torch.no_grad():
        for name, mask in held.items():
            parameters[name].mul_(mask)
    changes = {name: nn.Parameter(torch.zeros_like(parameter)) for name, parameter in parameters.items()}
    tangent = Tangent(_Plain(model), held, changes)
    for number, change in enumerate(changes.values()):
        model.register_parameter(f"{CHANGE}{number}", change)
    model.forward = tangent
    model.train = partial(_train, model)  # type: ignore[method-assign]
    return tangent


_HELD = (_BatchNorm, _DropoutNd)


def _train(model: nn.Module, mode: bool = True) -> nn.Module:
    """Set the mode of all modules but BatchNorm and dropout, which stay in evaluation mode."""
    for module in model.modules():
        module.training = mode and not isinstance(module, _HELD)
    return model
