"""torchvision v2 transforms of batches of images on the training device, with every random draw made per image."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torchvision.transforms import v2

from ticketzoo.data.images.batches import on_device
from ticketzoo.distributed.processes import Share


class Normalize(v2.Transform):
    """uint8 [b, C, H, W] -> float32 (x / 255 - mean) / std.

    Attributes:
        mean, std: [C], of pixels in [0, 1].
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean.float().reshape(-1, 1, 1).contiguous())
        self.register_buffer("std", std.float().reshape(-1, 1, 1).contiguous())

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Normalise one batch; the constants follow it to its device."""
        if self.mean.device != inpt.device:
            self.to(inpt.device)
        return inpt.to(torch.float32).div_(255).sub_(self.mean).div_(self.std)

    def of_pixels(self, pixels: Tensor) -> Tensor:
        """Normalise floats [b, C, H, W] in [0, 1], of which gradients can be taken."""
        if self.mean.device != pixels.device:
            self.to(pixels.device)
        return (pixels - self.mean) / self.std


class _PerImage(v2.Transform):
    """Takes a batch of images, and maybe which share of it this process has; gives back both.

    Draws are then made for all of the batch: what happens to an image does not depend on the number of processes.
    """

    def forward(self, *inputs: Any) -> Any:
        """Transform [b, C, H, W], leave the share as it is."""
        images, *share = inputs
        transformed = self.transform(images, self.make_params(list(inputs)))
        return (transformed, *share) if share else transformed

    def drawn(self, inputs: list[Any], draw: Callable[[int], Tensor]) -> Tensor:
        """Return what `draw(count)` [..., count] gives for the images here."""
        here = len(inputs[0])
        if len(inputs) == 1:
            return draw(here)
        share: Share = inputs[1]
        unreadable = share.stop - share.start - here
        return draw(share.total - unreadable)[..., share.start : share.start + here]


class RandomCropPerImage(_PerImage):
    """Pad with `padding` zeros on each side, then crop each image back to its size at its own uniformly drawn place.

    (`v2.RandomCrop` on a batch draws one place for all its images.)
    """

    def __init__(self, padding: int) -> None:
        super().__init__()
        self.padding = padding

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Draw top and left of each image, int64 [b] in 0..2 * padding, on the CPU: the same on every device."""
        top, left = self.drawn(flat_inputs, lambda count: torch.randint(2 * self.padding + 1, (2, count)))
        return {"top": top, "left": left}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Crop [b, C, H, W]."""
        batch, channels, height, width = inpt.shape
        padded = torch.nn.functional.pad(inpt, [self.padding] * 4)
        rows, columns = padded.shape[2:]
        # Every height x width window of the padded batch as a view, by the element it starts with: one index_select
        # of whole windows is four times faster than gathering their elements.
        count = padded.numel() - (height - 1) * columns - (width - 1)
        windows = padded.as_strided((count, height, width), (1, columns, 1))
        planes = torch.arange(batch * channels, device=params["top"].device).view(batch, channels) * rows * columns
        starts = planes + (params["top"] * columns + params["left"])[:, None]
        return windows.index_select(0, on_device(starts.flatten(), inpt.device)).view(inpt.shape)


class RandomFlipPerImage(_PerImage):
    """Mirror each image left-right on its own fair coin; `v2.RandomHorizontalFlip` tosses one for the batch."""

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Draw bool [b], on the CPU: the same on every device."""
        return {"flip": self.drawn(flat_inputs, torch.rand) < 0.5}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Flip [b, C, H, W]."""
        both = torch.cat([inpt, inpt.flip(-1)])
        chosen = torch.arange(len(inpt), device=params["flip"].device) + len(inpt) * params["flip"]
        return both.index_select(0, on_device(chosen, inpt.device))
