"""Binary activations: the sign of what comes in, with a gradient as if it were smooth."""

from typing import Any

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function_unary


class _Sign(torch.autograd.Function):
    """-1 or +1; backwards the derivative of the parabola through both."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return torch.where(x < 0, -1.0, 1.0).to(x.dtype)

    @staticmethod
    def setup_context(context: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        context.save_for_backward(*inputs)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        (x,) = context.saved_tensors
        return gradient * (2 * (1 - x.abs())).clamp(min=0)


def binary_sign(x: Tensor) -> Tensor:
    """Return the sign of `x`, +1 for 0; its gradient is 2 (1 - |x|) between -1 and 1, and 0 beyond."""
    if has_torch_function_unary(x):
        signs: Tensor = handle_torch_function(binary_sign, (x,), x)
    else:
        signs = _Sign.apply(x)
    return signs
