"""Images of lower resolution at their own size."""

import torch
from torch import Tensor
from torch.nn import functional as F

_AT_ONCE = 1000


def blurred(pixels: Tensor, factor: int) -> Tensor:
    """Return images averaged to sides `factor` times smaller, at least a pixel, and drawn at their own size again.

    Drawn bilinearly.

    Args:
        pixels: uint8 [n, C, H, W].
        factor: at least 2.

    Returns:
        the same shape and dtype.
    """
    side = [max(1, size // factor) for size in pixels.shape[2:]]
    made = []
    for part in pixels.split(_AT_ONCE):
        small = F.interpolate(part.float(), size=side, mode="area")
        made.append(F.interpolate(small, size=pixels.shape[2:], mode="bilinear").round().to(pixels.dtype))
    return torch.cat(made) if made else pixels
