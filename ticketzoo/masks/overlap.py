"""Overlap of two masks, and the overlap that chance gives two masks of the same counts.

Two masks that keep `first` and `second` of `weights` positions, drawn uniformly and independently, both keep a number
of positions that is hypergeometric: its mean is first * second / weights.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

Groups = NDArray[np.int64]
"""Shape (groups, 4): of each the positions, those that the first mask keeps, the second, both."""

EXACT, FEW = 4096, 32
"""Up to as many values of the number kept by both, of so few groups, are summed one by one; else moments do."""
WIDTH = 1.959963984540054
"""Standard deviations on each side of the mean that hold 95% of a normal distribution."""


@dataclass(frozen=True)
class Overlap:
    """The overlap of two masks beside that of chance: of random masks with the same counts in each group of positions.

    Attributes:
        weights: positions looked at.
        first: of these, those that the first mask keeps.
        second: those that the second keeps.
        both: those that both keep.
        expected: mean intersection over union of random masks; None where neither keeps anything.
        low: 2.5% of random masks have less.
        high: 2.5% have more.
        z: `both` less its mean by chance, in standard deviations; None where chance leaves no choice.
    """

    weights: int
    first: int
    second: int
    both: int
    expected: float | None
    low: float | None
    high: float | None
    z: float | None

    @property
    def iou(self) -> float | None:
        """Intersection over union; None where neither keeps anything."""
        union = self.first + self.second - self.both
        return self.both / union if union else None

    @property
    def ratio(self) -> float | None:
        """Intersection over union, as a multiple of what chance gives; None where that is 0 or nothing is kept."""
        return self.iou / self.expected if self.iou is not None and self.expected else None


def overlap(groups: Groups) -> Overlap:
    """Return the overlap of two masks, given the counts of groups within which chance would draw positions.

    One group is a layer at its density; several are layers, each at its own. The expectation is exact where few counts
    are possible, and otherwise of second order in the spread of the number kept by both.
    """
    weights, first, second, both = (int(column) for column in groups.sum(axis=0))
    if first + second == 0:
        return Overlap(weights, first, second, both, None, None, None, None)
    mean, variance = _moments(groups)
    z = (both - mean) / variance**0.5 if variance > 0 else None
    kept = first + second
    if len(groups) <= FEW and _supports(groups).sum() <= EXACT:
        expected, low, high = _exact(groups, kept)
    else:
        expected = _iou(mean, kept) + kept / (kept - mean) ** 3 * variance
        least, most = _bounds(groups)
        ends = (mean + side * WIDTH * variance**0.5 for side in (-1, 1))
        low, high = (_iou(min(max(end, least), most), kept) for end in ends)
    return Overlap(weights, first, second, both, expected, low, high, z)


def joined(groups: Iterable[Groups]) -> Groups:
    """Return the groups of several layers one after the other."""
    return np.concatenate([np.zeros((0, 4), np.int64), *groups])


def _iou(both: float, kept: int) -> float:
    return both / (kept - both)


def _moments(groups: Groups) -> tuple[float, float]:
    """Return mean and variance of the number that both keep: the sum of those of the groups."""
    weights, first, second, _ = groups.astype(np.float64).T
    some = np.maximum(weights, 1)
    mean = first * second / some
    variance = mean * (weights - first) * (weights - second) / (some * np.maximum(weights - 1, 1))
    return float(mean.sum()), float(variance.sum())


def _supports(groups: Groups) -> NDArray[np.int64]:
    """Return how many numbers kept by both are possible in each group."""
    weights, first, second, _ = groups.T
    return np.minimum(first, second) - np.maximum(0, first + second - weights) + 1


def _bounds(groups: Groups) -> tuple[int, int]:
    """Return the least and the most that both can keep."""
    weights, first, second, _ = groups.T
    return int(np.maximum(0, first + second - weights).sum()), int(np.minimum(first, second).sum())


def _exact(groups: Groups, kept: int) -> tuple[float, float, float]:
    """Return the mean of the intersection over union, and its 2.5% and 97.5% quantiles."""
    chances, least = np.ones(1), 0
    for weights, first, second, _ in groups.tolist():
        chances = np.convolve(chances, _hypergeometric(weights, first, second))
        least += max(0, first + second - weights)
    both = least + np.arange(len(chances))
    ious = both / (kept - both)
    reached = chances.cumsum() / chances.sum()
    low, high = (float(ious[np.searchsorted(reached, at)]) for at in (0.025, 0.975))
    return float((chances * ious).sum() / chances.sum()), low, high


def _hypergeometric(weights: int, first: int, second: int) -> NDArray[np.float64]:
    """Return the chance of each number that both keep, from the least possible to the most."""
    both = torch.arange(max(0, first + second - weights), min(first, second) + 1, dtype=torch.float64, device="cpu")
    logs = _log_choose(first, both) + _log_choose(weights - first, second - both)
    return (logs - logs.max()).exp().div((logs - logs.max()).exp().sum()).numpy()


def _log_choose(of: int, chosen: torch.Tensor) -> torch.Tensor:
    return (
        torch.lgamma(torch.tensor(of + 1.0, dtype=torch.float64))
        - torch.lgamma(chosen + 1)
        - torch.lgamma(of - chosen + 1)
    )
