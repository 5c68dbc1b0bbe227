"""SynFlow: the flow through each weight of a network in which all weights are positive, without data."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ticketzoo.errors import RunError
from ticketzoo.masks.masks import Masks
from ticketzoo.pruning.criteria import CRITERIA, CriterionConfig, Scores
from ticketzoo.pruning.probe import Probe

TOLERANCE = 1e-9
"""Relative error of float64 sums that are equal."""


class SynflowConfig(CriterionConfig):
    """The keys of criterion `synflow`: those of every criterion, with 100 iterations.

    Attributes:
        name: name of the criterion.
        iterations: how often to score on the way to a level.
    """

    name: str = "synflow"
    iterations: Annotated[int, Field(ge=1, le=10_000)] = 100


def _tried(probe: Probe, config: SynflowConfig) -> Scores:
    return synflow(probe, config)


@CRITERIA.add(
    "synflow",
    config=SynflowConfig,
    cite="Tanaka et al. 2020, section 5",
    words="smallest synaptic flow",
    tried=_tried,
)
def synflow(probe: Probe, config: SynflowConfig) -> Scores:
    """Score by |w| dR/d|w|, R being the sum of the outputs for an input of ones, all weights positive, in float64.

    Biases are 0; BatchNorm multiplies by the absolute value of its scale and does nothing else.

    Raises:
        RunError: the flow is not conserved: the network has other layers than linear, convolution, pooling,
            BatchNorm and ReLU, or nothing flows.
    """
    model, given = probe.model().double().eval(), probe.inputs()
    _make_positive(model, probe.masks)
    parameters = {name: model.get_parameter(name).requires_grad_() for name in probe.masks}
    pairs = given.items() if isinstance(given, dict) else enumerate(given)
    ones = {name: tensor.double().requires_grad_() for name, tensor in pairs}
    flow = _flow(model, ones)
    with torch.no_grad():
        doubled = _flow(model, {name: 2 * tensor for name, tensor in ones.items()})
    if flow == 0 and not all(mask.all() for mask in probe.masks.values()):  # the masks let nothing through
        return {name: torch.zeros(mask.shape, dtype=torch.float64) for name, mask in probe.masks.items()}
    unfit = torch.isfinite(flow) and (flow <= 0 or abs(doubled / flow - 2) > TOLERANCE)
    if unfit and (why := _not_conserved(model, ones, certain=bool(flow > 0))):
        raise RunError(f"criterion 'synflow': {why}")
    if not torch.isfinite(flow) or flow <= 0:
        raise RunError("criterion 'synflow': nothing flows from input to output, or more than a float64 holds")
    slopes = torch.autograd.grad(flow, [*ones.values(), *parameters.values()], materialize_grads=True)
    at_ones, slopes = slopes[: len(ones)], slopes[len(ones) :]
    if abs(sum(at_one.sum() for at_one in at_ones) / flow - 1) > TOLERANCE:
        raise RunError("criterion 'synflow': what leaves the input is not what reaches the output")
    return {
        name: (parameter * slope).detach().cpu()
        for (name, parameter), slope in zip(parameters.items(), slopes, strict=True)
    }


@torch.no_grad()
def _make_positive(model: nn.Module, masks: Masks) -> None:
    """Take absolute values of weights, and everything out of the flow that is added to it."""
    for name, module in model.named_modules():
        if isinstance(module, _BatchNorm):
            _only_scale(name, module)
    for name, parameter in model.named_parameters():
        if name.rpartition(".")[2].endswith("bias"):
            parameter.zero_()
        else:
            parameter.abs_()


def _only_scale(name: str, norm: _BatchNorm) -> None:
    if norm.weight is not None and (zeros := int((norm.weight == 0).sum())):
        raise RunError(f"criterion 'synflow': {zeros} of {norm.num_features} scales of {name} are 0: nothing passes")
    if norm.running_mean is None or norm.running_var is None:
        raise RunError(f"criterion 'synflow': {name} has no running statistics")
    norm.running_mean.zero_()
    norm.running_var.fill_(1)


def _flow(model: nn.Module, inputs: Mapping[Any, Tensor]) -> Tensor:
    by_name = all(isinstance(name, str) for name in inputs)
    try:
        output = model(**inputs) if by_name else model(*inputs.values())
    except Exception as error:  # anything a user's forward may raise
        shapes = ", ".join(str(list(tensor.shape)) for tensor in inputs.values())
        raise RunError(f"criterion 'synflow': the network takes no ones {shapes}: {_first_line(error)}") from None
    if not isinstance(output, Tensor):
        raise RunError("criterion 'synflow': the network's output is no tensor")
    return output.sum()


@torch.no_grad()
def _not_conserved(model: nn.Module, inputs: Mapping[Any, Tensor], *, certain: bool) -> str:
    """Return which module does not give twice its output for twice its input, the innermost of the first, and advice.

    Where none is found that is "", or if one is `certain` to be there, the network.
    """
    calls: list[tuple[str, nn.Module, list[Any], Any]] = []

    def note(name: str) -> Callable[..., None]:
        def after(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
            if isinstance(output, Tensor) and not kwargs:
                copies = [one.clone() if isinstance(one, Tensor) else one for one in args]  # later ones may write there
                calls.append((name, module, copies, output.clone()))

        return after

    hooks = [module.register_forward_hook(note(name), with_kwargs=True) for name, module in model.named_modules()]
    _flow(model, inputs)
    for hook in hooks:
        hook.remove()
    found = next(((name, module) for name, module, *call in calls if not _doubles(module, *call)), None)
    if found is None and not certain:
        return ""
    told = f"{_called(*found or ('', model))} gives other than twice the output for twice the input"
    needed = "synflow takes linear, convolution and pooling layers, BatchNorm and ReLU alone"
    return f"{told}; {needed}: {_instead(*found or ('', model))}choose criterion snip, phew or magnitude"


def _doubles(module: nn.Module, args: list[Any], output: Tensor) -> bool:
    twice = [2 * one if isinstance(one, Tensor) and one.is_floating_point() else one for one in args]
    return bool(torch.allclose(module(*twice), 2 * output, rtol=TOLERANCE, atol=0))


def _called(name: str, module: nn.Module) -> str:
    return f"'{name}', a {type(module).__name__}," if name else "the network"


def _instead(name: str, module: nn.Module) -> str:
    """Return which layer would do in the place of one that does not."""
    if not name or next(module.children(), None) is not None:
        return ""
    return f"put {'BatchNorm' if 'Norm' in type(module).__name__ else 'ReLU'} in its place, or "


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
