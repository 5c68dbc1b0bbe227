"""The largest weights of a network: exact counts, ties by index, fast at any size."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ticketzoo.errors import RunError
from ticketzoo.masks.masks import Masks, kept, total

_PIECE = 1 << 16
"""Weights looked at together: they and their temporaries fit a core's level-2 cache."""


def keep_largest(weights: Mapping[str, Tensor], masks: Masks, count: int) -> Masks:
    """Return the `count` survivors in `masks` of largest magnitude among all of them; of equal ones the later.

    Nothing is sorted whole. A random sample brackets the magnitude that divides what goes from what stays. One pass
    over the weights, in pieces that fit a processor's cache, drops the survivors below the bracket and collects the
    few inside it, of which exactly as many as are still missing go. A bracket that misses is opened on that side and
    the pass repeated, so chance decides how long this takes but never what is removed.

    Magnitudes are compared as float32 and on the CPU; the masks returned are where the given ones are.

    Raises:
        RunError: a surviving weight is NaN.
    """
    survivors = kept(masks)
    gone = survivors - count
    low, high = _bracket(weights, masks, gone / max(1, survivors))
    while True:
        splits = {name: _split(name, weights[name], mask, low, high) for name, mask in masks.items()}
        inside = np.concatenate([split.magnitudes for split in splits.values()])
        missing = gone - (survivors - sum(int(np.count_nonzero(split.keep)) for split in splits.values()))
        if missing < 0:
            low = 0.0
        elif missing > len(inside):
            high = math.inf
        else:
            break
    ends = np.cumsum([len(split.positions) for split in splits.values()])
    for split, out in zip(splits.values(), np.split(_smallest(inside, missing), ends[:-1]), strict=True):
        split.keep[split.positions[out]] = False
    return {name: torch.from_numpy(splits[name].keep).view(mask.shape).to(mask.device) for name, mask in masks.items()}


class _Split(NamedTuple):
    """The survivors of one flattened parameter, divided by a bracket of magnitudes."""

    keep: NDArray[np.bool_]
    """True for the survivors inside the bracket or above it."""
    positions: NDArray[np.int64]
    """Where the survivors inside the bracket are, in order."""
    magnitudes: NDArray[np.float32]
    """Their magnitudes."""


def _split(name: str, weight: Tensor, mask: Tensor, low: float, high: float) -> _Split:
    """Divide survivors by the bracket from `low` to `high`, ends included. Raises RunError when one is NaN."""
    flat, survives = weight.detach().cpu().reshape(-1), mask.cpu().reshape(-1).numpy()
    keep = np.empty(len(survives), np.bool_)
    positions, magnitudes = [np.empty(0, np.int64)], [np.empty(0, np.float32)]
    for start in range(0, len(keep), _PIECE):
        here = slice(start, start + _PIECE)
        magnitude: NDArray[np.float32] = flat[here].abs().float().numpy()
        if np.isnan(magnitude.max()) and np.isnan(magnitude[survives[here]]).any():
            raise RunError(f"weight '{name}' is NaN where its mask keeps it: the training diverged, lower its lr")
        keep[here] = survives[here] & (magnitude >= low)
        inside = np.flatnonzero(keep[here] & (magnitude <= high))
        positions.append(inside + start)
        magnitudes.append(magnitude[inside])
    return _Split(keep, np.concatenate(positions), np.concatenate(magnitudes))


def _bracket(weights: Mapping[str, Tensor], masks: Masks, fraction: float) -> tuple[float, float]:
    """Return magnitudes between which the `fraction`-quantile of the survivors lies, but for one time in a million.

    Of n weights n**(2/3) are sampled: then looking at the sample and ranking what it leaves open cost about the same.
    """
    share = max(1, total(masks)) ** (-1 / 3)
    generator = np.random.default_rng(0)
    magnitudes = []
    for name, mask in masks.items():
        drawn = generator.integers(max(1, mask.numel()), size=math.ceil(share * mask.numel()))
        here = torch.from_numpy(drawn)
        survives = mask.reshape(-1)[here].cpu()
        magnitudes.append(weights[name].detach().reshape(-1)[here].cpu().abs().float()[survives])
    sample = torch.cat(magnitudes).sort().values
    middle, spread = fraction * len(sample), math.sqrt(fraction * (1 - fraction) * len(sample))
    first, last = math.floor(middle - 5 * spread) - 1, math.ceil(middle + 5 * spread) + 1
    return (
        float(sample[first]) if first >= 0 else 0.0,
        float(sample[last]) if last < len(sample) else math.inf,
    )


def _smallest(magnitudes: NDArray[np.float32], count: int) -> NDArray[np.bool_]:
    """Return a mask of the `count` smallest; among equal ones the earlier are."""
    if count == 0:
        return np.zeros(len(magnitudes), np.bool_)
    largest = np.partition(magnitudes, count - 1)[count - 1]
    smallest: NDArray[np.bool_] = magnitudes < largest
    ties = np.flatnonzero(magnitudes == largest)
    smallest[ties[: count - np.count_nonzero(smallest)]] = True
    return smallest
