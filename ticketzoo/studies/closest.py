"""The subset of some numbers whose sum is closest to a target, exactly, by meeting in the middle."""

from collections.abc import Sequence
from itertools import combinations

import torch
from torch import Tensor

from ticketzoo.errors import RecipeError

MOST = 24
"""Numbers at most: two lists of 2^12 sums."""

SAME = 1e-12
"""Errors that differ by no more count as equal where one subset is named."""

ROOM = 1 << 22
"""Sums that are held at a time, about."""


def closest_subset(numbers: Sequence[float], target: float) -> tuple[tuple[int, ...], float]:
    """Return the places of the subset whose sum is closest to `target`, and its error: sum minus target, in float64.

    Of equally close ones the smallest is taken, of these the first in the order of their places.

    Args:
        numbers: at most `MOST`.
        target: any number.

    Raises:
        RecipeError: there are more numbers.
    """
    values = torch.tensor(numbers, dtype=torch.float64).view(1, -1)
    goal = torch.tensor([target], dtype=torch.float64)
    best = abs(float(closest_sums(values, goal)[0][0]) - target)
    for size in range(len(numbers) + 1):
        for places in combinations(range(len(numbers)), size):
            error = sum(numbers[place] for place in places) - target
            if abs(error) <= best + SAME:
                return places, error
    raise AssertionError("the closest sum is that of a subset")


def closest_sums(numbers: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return for each target the closest sum of a subset of its own numbers, and how many numbers that takes.

    The numbers are divided in two halves; all sums of the second are sorted, and for each sum of the first the two
    neighbours of what is missing are looked at.

    Args:
        numbers: float64 [m, n], n at most `MOST`.
        targets: float64 [m].

    Returns:
        float64 [m] and int64 [m]; the empty subset has the sum 0.

    Raises:
        RecipeError: n is larger.
    """
    if numbers.shape[1] > MOST:
        raise RecipeError(f"of {numbers.shape[1]} numbers not all subsets can be looked at: {MOST} at most")
    half = numbers.shape[1] // 2
    rows = max(1, ROOM >> (numbers.shape[1] - half))
    parts = [
        _closest(few[:, :half], few[:, half:], goals)
        for few, goals in zip(numbers.split(rows), targets.split(rows), strict=True)
    ]
    return torch.cat([sums for sums, _ in parts]), torch.cat([counts for _, counts in parts])


def _closest(first: Tensor, second: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    (left, left_counts), (right, right_counts) = _subsets(first), _subsets(second)
    right, order = right.sort(dim=1, stable=True)
    missing = targets.unsqueeze(1) - left
    above = torch.searchsorted(right, missing).clamp(max=right.shape[1] - 1)
    below = (above - 1).clamp(min=0)
    nearer = (right.gather(1, below) - missing).abs() <= (right.gather(1, above) - missing).abs()
    place = torch.where(nearer, below, above)
    error = (right.gather(1, place) - missing).abs()
    chosen = error.argmin(dim=1, keepdim=True)
    there = place.gather(1, chosen)
    sums = left.gather(1, chosen) + right.gather(1, there)
    return sums.squeeze(1), (left_counts[chosen] + right_counts[order.gather(1, there)]).squeeze(1)


def _subsets(numbers: Tensor) -> tuple[Tensor, Tensor]:
    """Return the sums of all subsets [m, 2^n], and how many numbers each takes [2^n]."""
    count = numbers.shape[1]
    chosen = (torch.arange(1 << count).unsqueeze(1) >> torch.arange(count)) & 1
    return numbers @ chosen.to(numbers.dtype).T, chosen.sum(1)
