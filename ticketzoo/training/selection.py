"""The highest of a layer's scores in every forward pass: exact counts, ties by index, faster by the pass before."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_WIDEST = 64
"""Of so many values one is to be looked at, at most."""


class Highest:
    """Finds the highest of tensors that change little from call to call.

    On a CPU the value that divides what is kept from what is not is looked for near that of the call before, and among
    all where it is not there: what was called before decides how long this takes, never what comes of it.
    """

    def __init__(self) -> None:
        self._near: tuple[float, float] | None = None
        """The last dividing value, and how far around it to look."""

    def __call__(self, scores: Tensor, count: int) -> Tensor:
        """Return where the `count` highest of `scores` are, as bool of their shape; of equal ones the later."""
        flat = scores.detach().flatten()
        gone = len(flat) - count
        if gone == 0:
            return torch.ones_like(scores, dtype=torch.bool)
        if flat.device.type != "cpu":
            return unseen_highest(flat, count).view(scores.shape)
        below = torch.tensor(self._dividing(flat.numpy(), gone))
        keep = flat > below
        missing = count - int(keep.count_nonzero())
        if missing:
            ties = (flat == below).nonzero().flatten()
            keep[ties[len(ties) - missing :]] = True
        return keep.view(scores.shape)

    def _dividing(self, values: NDArray[np.float32], gone: int) -> np.float32:
        """Return the highest of the `gone` lowest values."""
        found, inside, width = self._inside(values, gone) if self._near else (None, 0, 0.0)
        if found is None:  # numpy's partition takes a tenth of the time that torch's kthvalue does
            found = np.partition(values, gone - 1)[gone - 1]
            width = 4 * width or float(np.abs(values).mean()) / _WIDEST
        elif inside * _WIDEST > len(values):
            width /= 2
        self._near = (float(found), width)
        return found

    def _inside(self, values: NDArray[np.float32], gone: int) -> tuple[np.float32 | None, int, float]:
        """Return the value if it lies near the last one, how many do, and how far that reaches."""
        assert self._near is not None
        last, width = self._near
        below, to_high = values < np.float32(last - width), values <= np.float32(last + width)
        near = values[np.greater(to_high, below)]
        place = gone - 1 - int(np.count_nonzero(below))
        inside = 0 <= place < len(near)
        return (np.partition(near, place)[place] if inside else None), len(near), width


def highest(scores: Tensor, count: int) -> Tensor:
    """Return where the `count` highest of `scores` are, as bool of their shape; of equal ones the later."""
    return Highest()(scores, count)


def unseen_highest(flat: Tensor, count: int) -> Tensor:
    """Return what `highest` does of [n] with n > `count`, without a look at any number from Python."""
    below = flat.kthvalue(len(flat) - count).values
    keep, ties = flat > below, flat == below
    missing = count - keep.count_nonzero()
    return keep | (ties & (ties.flip(0).cumsum(0).flip(0) <= missing))
