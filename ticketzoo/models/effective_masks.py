"""Flow through a masked network: the kept weights that lie on a path from its input to its output.

The network itself is run, forward and backward, on an input of ones, with weights that are 1 where its masks keep and 0
elsewhere. Whatever it computes is answered by an operation on sets: a unit is 1 where any path reaches it, and its
gradient is 1 where any path leads on from it. Sums of such numbers never cancel and never overflow, and one run of each
is the fixed point of dropping weights without a source or without a target.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from ticketzoo.errors import ModelError
from ticketzoo.masks.masks import Masks
from ticketzoo.models.layers import is_bias

ALLOWED = -1e4
"""Attention scores above this are of places that may be looked at."""


def effective_masks(
    model: nn.Module, masks: Masks, inputs: Mapping[str, Tensor], live: Mapping[str, Tensor] | None = None
) -> Masks:
    """Return the kept weights that lie on a path from input to output (Vysogorets & Kempe 2021, section 3).

    A path also begins at a bias that is not 0: what comes of it is no function of the input, but of the weights that
    lead on from it. Units that pass a zero on as something else (sigmoid, softplus, a binary sign) begin paths as well.
    Statistics of normalisation and attention scores count for paths as what is normalised and looked at. Parameters
    without a mask keep everything.

    Args:
        model: in plain PyTorch, on the CPU; its weights are overwritten.
        masks: bool, True = kept, by parameter name of the model.
        inputs: one example, by the names of arguments of `forward`; "" for the first.
        live: biases by name, of which entries that are not 0 begin paths; those that it does not name all do.

    Raises:
        ModelError: the network computes something through which paths cannot be followed; the message names it.
    """
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for name, parameter in parameters.items():
            mask, bias = masks.get(name), None if live is None else live.get(name)
            filled = torch.ones_like(parameter) if mask is None else mask.to(parameter.dtype)
            parameter.copy_(filled if bias is None or not is_bias(name) else filled * (bias != 0))
            parameter.requires_grad_(name in masks)
        for name, buffer in model.named_buffers():
            if buffer.is_floating_point():
                buffer.fill_(0.0 if name.endswith("mean") else 1.0)
    model.eval()
    named = dict(inputs)
    first = [named.pop("")] if "" in named else []
    with _Flow():
        outputs = _floats(model(*first, **named))
    reached = [output.sum() for output in outputs if output.requires_grad]
    wanted = [parameters[name] for name in masks]
    gradients: Any = [None] * len(wanted)
    if reached:
        gradients = torch.autograd.grad(torch.stack(reached).sum(), wanted, allow_unused=True)
    return {
        name: torch.zeros_like(mask) if gradient is None else mask & (gradient > 0)
        for (name, mask), gradient in zip(masks.items(), gradients, strict=True)
    }


def _floats(value: Any) -> list[Tensor]:
    """Return the float tensors in what a model or an operation gives."""
    if isinstance(value, Tensor):
        return [value] if value.is_floating_point() else []
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, tuple | list) else ()
    return [tensor for one in inner for tensor in _floats(one)]


class _Reached(torch.autograd.Function):
    """1.0 where anything arrives; backward, where anything leads on."""

    @staticmethod
    def forward(context: Any, values: Tensor) -> Tensor:
        return (values > 0).to(values.dtype)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        return (gradients[0] > 0).to(gradients[0].dtype)


class _Flow(TorchFunctionMode):
    """Follows paths through each operation of a network, or says which it cannot."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, kwargs = func.__name__.strip("_"), kwargs or {}
        rule = _RULES.get(name)
        result = func(*args, **kwargs) if rule is None else rule(*args, **kwargs)
        if not isinstance(result, Tensor | tuple | list) or not any(one.requires_grad for one in _floats(result)):
            return result
        if rule is None and name not in _MOVES and name not in _SUMS:
            raise ModelError(f"paths cannot be followed through {name}")
        if name in _MOVES or not isinstance(result, Tensor):
            return result
        return result if (result.detach() < 0).any() else _Reached.apply(result)


def _same(values: Tensor, *_: Any, **__: Any) -> Tensor:
    return values


def _begins(values: Tensor, *_: Any, **__: Any) -> Tensor:
    return values + 1


def _average(pool: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Return a pooling by sums in place of one by maxima, of which the gradient reaches one place alone."""

    def pooled(
        values: Tensor,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> Tensor:
        if return_indices or any(step != 1 for step in ([dilation] if isinstance(dilation, int) else dilation)):
            raise ModelError("paths cannot be followed through a pooling with dilation or indices")
        return pool(values, kernel_size, stride or kernel_size, padding, ceil_mode)

    return pooled


def _adaptive(pool: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return lambda values, output_size, *_, **__: pool(values, output_size)


def _normalised(values: Tensor, mean: Any, variance: Any, weight: Any = None, bias: Any = None, *_: Any, **__: Any):  # type: ignore[no-untyped-def]
    return _shifted(values, weight, bias, 1)


def _shifted(values: Tensor, weight: Tensor | None, bias: Tensor | None, axis: int) -> Tensor:
    """Return values times `weight` plus `bias`, of which each has the length of `values` along `axis`."""
    shape = [-1 if axis == at else 1 for at in range(values.dim())]
    scaled = values if weight is None else values * weight.view(shape)
    return scaled if bias is None else scaled + bias.view(shape)


def _layer_norm(values: Tensor, shape: Any, weight: Any = None, bias: Any = None, *_: Any, **__: Any) -> Tensor:
    scaled = values if weight is None else values * weight
    return scaled if bias is None else scaled + bias


def _group_norm(values: Tensor, groups: int, weight: Any = None, bias: Any = None, *_: Any, **__: Any) -> Tensor:
    return _shifted(values, weight, bias, 1)


def _softmax(scores: Tensor, *_: Any, **__: Any) -> Tensor:
    return torch.where(scores > ALLOWED, scores.clamp(min=0) + 1, 0)


def _attention(query: Tensor, key: Tensor, value: Tensor, attn_mask: Any = None, *_: Any, **__: Any) -> Tensor:
    looks = query @ key.transpose(-2, -1) + 1
    if attn_mask is not None:
        looks = looks.where(attn_mask if attn_mask.dtype is torch.bool else attn_mask > ALLOWED, 0)
    return looks @ value


_RULES: dict[str, Callable[..., Tensor]] = {
    **dict.fromkeys(("relu", "relu_", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish", "tanh"), _same),
    **dict.fromkeys(("relu6", "hardtanh", "hardswish", "softsign", "tanhshrink"), _same),
    **dict.fromkeys(("dropout", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout"), _same),
    **dict.fromkeys(("sigmoid", "logsigmoid", "hardsigmoid", "softplus", "exp", "binary_sign"), _begins),
    **{f"max_pool{n}d": _average(getattr(F, f"avg_pool{n}d")) for n in (1, 2, 3)},
    **{f"adaptive_max_pool{n}d": _adaptive(getattr(F, f"adaptive_avg_pool{n}d")) for n in (1, 2, 3)},
    "batch_norm": _normalised,
    "layer_norm": _layer_norm,
    "group_norm": _group_norm,
    "softmax": _softmax,
    "scaled_dot_product_attention": _attention,
}
"""By the name of an operation, what paths do there."""

_SUMS = {
    *("linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "bilinear"),
    *("matmul", "rmatmul", "bmm", "mm", "addmm", "baddbmm", "einsum", "embedding", "add", "iadd", "radd", "add_"),
    *("mul", "imul", "rmul", "mul_", "div", "truediv", "itruediv", "mean", "sum", "interpolate"),
    *(f"{kind}_pool{n}d" for kind in ("avg", "adaptive_avg") for n in (1, 2, 3)),
}
"""Operations that add and multiply what is not negative: something arrives where something comes in."""

_MOVES = {
    *("flatten", "view", "reshape", "permute", "transpose", "contiguous", "to", "type_as", "float", "double", "clone"),
    *("unsqueeze", "squeeze", "expand", "expand_as", "chunk", "split", "unbind", "stack", "cat", "concat", "getitem"),
    *("narrow", "select", "roll", "pad", "swapaxes", "movedim", "tile", "repeat", "get", "unflatten", "t"),
    *("index_select", "channel_shuffle", "pixel_shuffle", "stochastic_depth"),
}
"""Operations that move numbers and leave them as they are."""
