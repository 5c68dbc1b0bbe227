"""Second derivatives of a loss on classes with respect to single weights: the diagonal of its Hessian."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ticketzoo.errors import RunError
from ticketzoo.models.state import State

Variant: TypeAlias = Literal["exact", "lecun", "fisher"]

LossOf: TypeAlias = Callable[[], tuple[Tensor, int]]
"""Computes the mean loss of this process's part of a batch, and gives how many examples the whole has."""

_AT_ONCE = 1 << 24
"""Numbers of per-example gradients that are in memory together."""

LABELS = 1e-3
"""Error of labels that are worked out of the loss."""

_KNOWN = ("Relu", "MaxPool", "View", "ReshapeAlias", "UnsafeView", "Add", "Squeeze", "Unsqueeze", "_Squared", "Clone")
"""Beginnings of the names of steps whose backward pass is that of second derivatives as well."""

_Layer: TypeAlias = nn.Linear | nn.Conv2d


def diagonal(model: nn.Module, names: list[str], losses: Iterator[LossOf], variant: Variant) -> State:
    """Return the second derivatives of the mean loss by name, of each weight alone.

    Args:
        model: in evaluation mode; hooks are left on it.
        names: of weights of linear and 2-D convolution layers.
        losses: of batches that count alike.
        variant: `exact` is the diagonal of the Gauss-Newton matrix, which for ReLU networks is that of the Hessian:
            each score is linear in any single weight. `lecun` propagates second derivatives back in one pass and drops
            those between units (LeCun et al. 1990, section 2.2). `fisher` is the mean square of the gradient of single
            examples at their labels.

    Raises:
        RunError: a weight is of another layer, the model does not score classes, or `lecun` does not know a step.
    """
    layers = {name: _layer(model, name) for name in names}
    taken = _Taken(model, layers, squared=variant == "lecun")
    sums = {name: torch.zeros_like(model.get_parameter(name)) for name in names}
    count = 0
    for loss_of in losses:
        loss, whole = loss_of()
        scores, count = taken.scores(), count + 1
        if variant != "fisher":
            _check_cross_entropy(loss, scores)
        parts = _lecun(taken, scores) if variant == "lecun" else _squares(taken, _columns(loss, scores, variant))
        for name, part in parts.items():
            sums[name] += part / whole
    return {name: total / max(count, 1) for name, total in sums.items()}


class _Taken:
    """Inputs and outputs of the layers, and the scores, of the last forward pass."""

    def __init__(self, model: nn.Module, layers: Mapping[str, _Layer], *, squared: bool) -> None:
        self.layers = layers
        self._scores: Tensor | None = None
        self.inputs: State = {}
        self.outputs: State = {}
        self.second: State = {}
        of_module = {id(module): name for name, module in layers.items()}
        for module in model.modules():
            name = of_module.get(id(module))
            if squared and isinstance(module, nn.Linear | nn.Conv2d | nn.modules.batchnorm._BatchNorm):
                module.register_forward_hook(self._square(name))
            elif name is not None:
                module.register_forward_hook(self._take(name))
        model.register_forward_hook(self._take_scores)

    def scores(self) -> Tensor:
        if self._scores is None or self._scores.dim() != 2:
            what = "second derivatives need a network whose output is scores of classes, one row an example"
            raise RunError(f"{what}: choose another criterion, such as snip or magnitude")
        return self._scores

    def _take(self, name: str) -> Callable[..., None]:
        def after(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            self.inputs[name], self.outputs[name] = inputs[0].detach(), output

        return after

    def _square(self, name: str | None) -> Callable[..., Tensor]:
        def after(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
            return _Squared.apply(inputs[0].requires_grad_(), output.detach(), module, self.second, name)

        return after

    def _take_scores(self, module: nn.Module, inputs: Any, output: Any) -> None:
        scores = output if isinstance(output, Tensor) else getattr(output, "logits", None)
        self._scores = scores if isinstance(scores, Tensor) else None


def _layer(model: nn.Module, name: str) -> _Layer:
    module, _, parameter = name.rpartition(".")
    layer = model.get_submodule(module)
    plain = isinstance(layer, nn.Conv2d) and layer.padding_mode == "zeros" and not isinstance(layer.padding, str)
    if parameter == "weight" and isinstance(layer, nn.Linear | nn.Conv2d) and (plain or isinstance(layer, nn.Linear)):
        return layer
    what = f"no second derivatives of '{name}', which is no weight of a linear or 2-D convolution layer"
    raise RunError(f"{what}: leave it out by finder.exclude, or choose another criterion")


def _check_cross_entropy(loss: Tensor, scores: Tensor) -> None:
    """Raise RunError unless the loss is the mean cross-entropy of the scores, whose derivatives the variants take."""
    (slope,) = torch.autograd.grad(loss, scores, retain_graph=True, materialize_grads=True, allow_unused=True)
    wanted = scores.detach().softmax(1) - slope * len(scores)  # the labels, as probabilities
    if scores.shape[1] < 2 or bool((wanted < -LABELS).any()) or bool(((wanted.sum(1) - 1).abs() > LABELS).any()):
        what = "variants exact and lecun are of the mean cross-entropy of at least two classes"
        raise RunError(f"{what}: take variant: fisher, or another criterion")


def _columns(loss: Tensor, scores: Tensor, variant: Variant) -> Iterator[Tensor]:
    """Yield vectors [b, classes] whose squared products with the scores' derivatives add up to the diagonal."""
    if variant == "fisher":
        (slope,) = torch.autograd.grad(loss, scores, retain_graph=True)
        yield slope * len(scores)
        return
    chances = scores.detach().softmax(1)
    for one in range(scores.shape[1]):
        unit = F.one_hot(torch.tensor(one), scores.shape[1]).to(scores)
        yield (unit - chances) * chances[:, one : one + 1].sqrt()


def _squares(taken: _Taken, columns: Iterator[Tensor]) -> State:
    """Return the sum over columns and examples of the squared gradient of single examples."""
    scores, sums = taken.scores(), dict[str, Tensor]()
    for column in columns:
        slopes = torch.autograd.grad(
            scores, list(taken.outputs.values()), column, retain_graph=True, materialize_grads=True, allow_unused=True
        )
        for (name, layer), slope in zip(taken.layers.items(), slopes, strict=True):
            part = _square_sum(layer, taken.inputs[name], slope)
            sums[name] = sums[name] + part if name in sums else part
    return sums


def _square_sum(layer: _Layer, inputs: Tensor, slopes: Tensor) -> Tensor:
    """Return the sum over examples of the squared gradient of the layer's weight."""
    if isinstance(layer, nn.Linear) and inputs.dim() == 2:
        return slopes.square().T @ inputs.square()
    groups = 1
    if isinstance(layer, nn.Linear):
        columns, rows = inputs.flatten(1, -2).transpose(1, 2), slopes.flatten(1, -2).transpose(1, 2)
    else:
        size: Any = (layer.kernel_size, layer.dilation, layer.padding, layer.stride)
        columns, rows, groups = F.unfold(inputs, *size), slopes.flatten(2), layer.groups
    columns, rows = (part.unflatten(1, (groups, -1)) for part in (columns, rows))
    at_once = max(1, _AT_ONCE // layer.weight.numel())
    parts = zip(rows.split(at_once), columns.split(at_once), strict=True)
    return torch.stack([(a @ b.mT).square().sum(0) for a, b in parts]).sum(0).reshape(layer.weight.shape)


def _lecun(taken: _Taken, scores: Tensor) -> State:
    """Return the sum over examples of second derivatives by one pass backward, from p (1 - p) at the scores."""
    _check_steps(scores)
    chances = scores.detach().softmax(1)
    taken.second.clear()
    torch.autograd.backward(scores, chances * (1 - chances))
    return dict(taken.second)


class _Squared(torch.autograd.Function):
    """A layer's output as it is, with a backward pass of second derivatives: by squared weights and squared inputs."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, output: Tensor, layer: nn.Module, second: State, name: str | None) -> Tensor:
        ctx.save_for_backward(inputs)
        ctx.layer, ctx.second, ctx.name = layer, second, name
        return output.clone()

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        (inputs,), layer, (slope,) = ctx.saved_tensors, ctx.layer, slopes
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            scale = layer.weight.detach().square() / (layer.running_var + layer.eps)  # type: ignore[operator]
            return slope * scale.view(1, -1, *[1] * (slope.dim() - 2)), None, None, None, None
        with torch.enable_grad():
            weight = layer.weight.detach().square().requires_grad_()
            squares = inputs.detach().square().requires_grad_()
            output = F.linear(squares, weight) if isinstance(layer, nn.Linear) else _convolved(layer, squares, weight)
            back, second = torch.autograd.grad(output, [squares, weight], slope)
        if ctx.name is not None:
            ctx.second[ctx.name] = ctx.second[ctx.name] + second if ctx.name in ctx.second else second
        return back, None, None, None, None


def _convolved(layer: nn.Conv2d, inputs: Tensor, weight: Tensor) -> Tensor:
    return F.conv2d(inputs, weight, None, layer.stride, layer.padding, layer.dilation, layer.groups)


def _check_steps(scores: Tensor) -> None:
    """Raise RunError where a step on the way back from the scores has another pass of second derivatives."""
    waiting, seen = [scores.grad_fn], set[Any]()
    while waiting:
        step = waiting.pop()
        if step is None or step in seen:
            continue
        seen.add(step)
        name = type(step).__name__
        if not name.startswith((*_KNOWN, "AccumulateGrad")):
            what = f"variant lecun knows no second derivatives of {name.partition('Backward')[0]}"
            raise RunError(f"{what}: take variant: exact or fisher")
        waiting += [ahead for ahead, _ in step.next_functions]
