"""BatchNorm over the batches that several processes share."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def synchronise_batch_norm(model: nn.Module, device: torch.device) -> None:
    """Have every BatchNorm in `model` take its statistics over all processes' parts of a batch; parameters stay."""
    if device.type == "cuda":
        nn.SyncBatchNorm.convert_sync_batchnorm(model)
        return
    for name, module in list(model.named_modules()):
        if isinstance(module, _BatchNorm):
            model.set_submodule(name, _SharedBatchNorm(module))


class Summed(torch.autograd.Function):
    """The sum of a tensor over the processes."""

    @staticmethod
    def forward(context: Any, tensor: Tensor) -> Tensor:
        """Return the sum, in each process."""
        total = tensor.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        """Return the sum of the gradients: each process's part is in the sum of all."""
        return Summed.forward(context, gradients[0])


class _SharedBatchNorm(_BatchNorm):
    """torch's SyncBatchNorm on any device; its own takes GPUs alone."""

    def __init__(self, other: _BatchNorm) -> None:
        super().__init__(other.num_features, other.eps, other.momentum, other.affine, other.track_running_stats)
        self.weight, self.bias = other.weight, other.bias
        self.running_mean, self.running_var = other.running_mean, other.running_var
        self.num_batches_tracked = other.num_batches_tracked
        self.train(other.training)

    def _check_input_dim(self, input: Tensor) -> None:
        pass

    def forward(self, input: Tensor) -> Tensor:
        """Normalise [b, C, ...]; moments are of float32."""
        if not self.training:
            return super().forward(input)
        others = [axis for axis in range(input.dim()) if axis != 1]
        values = input.float()
        count = torch.tensor([values.numel() / values.shape[1]], device=values.device)
        dist.all_reduce(count)
        mean = Summed.apply(values.sum(others)) / count
        centred = values - mean.view(1, -1, *[1] * (input.dim() - 2))
        variance = Summed.apply(centred.square().sum(others)) / count
        self._follow(mean.detach(), variance.detach() * count / (count - 1))
        scale = (self.weight if self.affine else 1) * torch.rsqrt(variance + self.eps)
        scaled = centred * scale.view(1, -1, *[1] * (input.dim() - 2))
        if self.affine:
            scaled = scaled + self.bias.view(1, -1, *[1] * (input.dim() - 2))
        return scaled.to(input.dtype)

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        """Move the running averages; `variance` is the unbiased one."""
        if self.num_batches_tracked is None or self.running_mean is None or self.running_var is None:
            return
        self.num_batches_tracked += 1
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance, share)
