"""The highest of a layer's scores in every forward pass: exact counts, ties by index, faster by the pass before."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_WIDEST = 256
"""Of so many values one is to be looked at, at most."""


class Highest:
    """Finds the highest of tensors that change little from call to call.

    On a CPU the value that divides what is kept from what is not is looked for near that of the call before, and among
    all where it is not there: what was called before decides how long this takes, never what comes of it.
    """

    def __init__(self) -> None:
        self._near: tuple[float, float] | None = None
        """The last dividing value, and how far around it to look."""

    def __call__(self, scores: Tensor, count: int, weights: Tensor | None = None) -> Tensor:
        """Return `weights`, or 1.0, where the `count` highest of `scores` are, else 0.0; of equal ones the later stay.

        Args:
            scores: floats, which may be overwritten: torch is many times faster where nothing is allocated.
            count: how many, from 1 to all.
            weights: floats of the shape of `scores`.
        """
        gone = scores.numel() - count
        if gone == 0:
            return torch.ones_like(scores) if weights is None else weights.clone()
        flat = scores.flatten()
        if not flat.is_cpu:
            kept = unseen_highest(flat, count).to(scores.dtype).view_as(scores)
            return kept if weights is None else kept.mul_(weights)
        values = flat.numpy()
        below, above = self._dividing(values, gone)
        ties = torch.from_numpy(np.flatnonzero(values == below)[above - count :]) if above < count else None
        if weights is None:
            flat.gt_(float(below))
        else:  # one pass over memory in the place of a comparison and a product
            torch.ops.aten.threshold_backward.grad_input(weights.flatten(), flat, float(below), grad_input=flat)
        if ties is not None:
            flat[ties] = 1.0 if weights is None else weights.flatten()[ties]
        return flat.view_as(scores)

    def _dividing(self, values: NDArray[np.float32], gone: int) -> tuple[np.float32, int]:
        """Return the highest of the `gone` lowest values, and how many are above it."""
        last, width = self._near or (0.0, -1.0)
        below, around = values < np.float32(last - width), values <= np.float32(last + width)
        place = gone - 1 - int(np.count_nonzero(below))
        np.greater(around, below, out=around)  # numpy's fastest "and not"; memory just written is at hand
        near = values[around.nonzero()[0]]
        if 0 <= place < len(near):
            near.partition(place)
            found = near[place]
            above = int(np.count_nonzero(near > found)) + len(values) - len(near) - (gone - 1 - place)
            width = width / 2 if len(near) * _WIDEST > len(values) else width
        else:  # numpy's partition takes a tenth of the time that torch's kthvalue does
            found = np.partition(values, gone - 1)[gone - 1]
            above = int(np.count_nonzero(values > found))
            width = 4 * max(width, 0.0) or _spread(values) / _WIDEST
        self._near = (float(found), width)
        return found, above


def _spread(values: NDArray[np.float32]) -> float:
    """Return the mean magnitude of those that are finite: what is excluded is -inf."""
    finite = values[np.isfinite(values)]
    return float(np.abs(finite).mean(dtype=np.float64)) if len(finite) else 0.0


def highest(scores: Tensor, count: int) -> Tensor:
    """Return where the `count` highest of `scores` are, as bool of their shape; of equal ones the later."""
    return Highest()(scores.detach().clone(), count).bool()


def unseen_highest(flat: Tensor, count: int) -> Tensor:
    """Return what `highest` does of [n] with n > `count`, without a look at any number from Python."""
    below = flat.kthvalue(len(flat) - count).values
    keep, ties = flat > below, flat == below
    missing = count - keep.count_nonzero()
    return keep | (ties & (ties.flip(0).cumsum(0).flip(0) <= missing))
