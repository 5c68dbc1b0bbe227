"""Differences between arms and their tests, on arrays: [...] experiments at once, of which a ticket is one.

Values are [..., groups, seeds] or [..., seeds], NaN where a seed was not measured. More is better throughout.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]

UNEQUAL = 0.05
"""Level of the tests of equal spread, below which a wide group is left out of the pool."""

ROUNDING = 1e-12
"""Differences up to this are rounding."""


class Groups(NamedTuple):
    """Groups of seeds: mean, variance and its degrees of freedom, seeds, and if the variance is the pooled one."""

    mean: Floats
    variance: Floats
    freedom: Floats
    seeds: Floats
    pooled: Bools

    def each(self, change: Callable[[Any], Any]) -> "Groups":
        """Return the groups with every column changed in one way."""
        return Groups(*map(change, self))

    def of(self, index: slice) -> "Groups":
        """Return the groups at `index` of the last axis."""
        return self.each(lambda column: column[..., index])


class Difference(NamedTuple):
    """The difference of two means, its standard error and the degrees of freedom of that."""

    mean: Floats
    error: Floats
    freedom: Floats

    def low(self, alpha: float) -> Floats:
        """Return the lower one-sided bound at `alpha`."""
        return self.mean - self._width(alpha)

    def high(self, alpha: float) -> Floats:
        """Return the upper one-sided bound at `alpha`."""
        return self.mean + self._width(alpha)

    def above(self, bound: float | Floats) -> Floats:
        """Return the one-sided p-value against "the difference is at most `bound`"."""
        return 1.0 - self._below(self.mean - bound)

    def below(self, bound: float | Floats) -> Floats:
        """Return the one-sided p-value against "the difference is at least `bound`"."""
        return self._below(self.mean - bound)

    def _below(self, gap: Floats) -> Floats:
        from scipy.special import stdtr

        exact = np.where(gap > ROUNDING, 1.0, np.where(gap < -ROUNDING, 0.0, 0.5))
        with np.errstate(divide="ignore", invalid="ignore"):
            tested = stdtr(self.freedom, gap / self.error)
        return np.where(self.error <= ROUNDING, exact, tested)

    def _width(self, alpha: float) -> Floats:
        from scipy.special import stdtrit

        return np.where(self.error <= ROUNDING, 0.0, stdtrit(self.freedom, 1 - alpha) * self.error)


def apart(values: Floats) -> Groups:
    """Return groups of `values` [..., seeds], each with its own variance; NaN for a single seed."""
    seeds = np.sum(~np.isnan(values), axis=-1).astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.nansum(values, axis=-1) / seeds
        squares = np.nansum((values - mean[..., None]) ** 2, axis=-1)
        variance = np.where(seeds > 1, squares / (seeds - 1), np.nan)
    return Groups(mean, variance, np.maximum(seeds - 1, 1.0), seeds, np.zeros(seeds.shape, dtype=bool))


def pooled(values: Floats, *, against_first: bool = False) -> Groups:
    """Return the groups of `values` [..., groups, seeds] with one variance where tests of equal spread allow it.

    Levene's test (1960), of distances from the group's mean: while it rejects, the widest group is left out and keeps
    a variance of its own, as a level that collapsed does. Groups of a single seed are no part of it. Where all groups
    have two seeds there is no such test, and nothing is pooled.

    Args:
        values: NaN where a seed was not measured.
        against_first: True where each group is compared with the first. Levene's test of three seeds hardly sees one
            noisy group among many: so the first, which is in all comparisons, is left out, too, where an F test finds
            it wider than the others together, and none counts as quieter than it was measured.
    """
    groups = apart(values)
    if not values.shape[-2]:
        return groups
    members = _equally_wide(values.reshape(-1, *values.shape[-2:])).reshape(groups.seeds.shape)
    if against_first:
        members[..., 0] &= ~_first_is_wider(groups, members)
        members &= members.sum(axis=-1, keepdims=True) > 1
    variance, freedom = _shared(groups, members)
    least = groups.variance if against_first else 0.0
    return groups._replace(
        variance=np.where(members, np.maximum(variance[..., None], least), groups.variance),
        freedom=np.where(members, freedom[..., None], groups.freedom),
        pooled=members,
    )


def _shared(groups: Groups, members: Bools) -> tuple[Floats, Floats]:
    """Return the variance that the `members` share, [...], and its degrees of freedom."""
    own = np.where(members, groups.freedom, 0.0)
    freedom = own.sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.sum(own * np.where(members, groups.variance, 0.0), axis=-1) / freedom, freedom


def _first_is_wider(groups: Groups, members: Bools) -> Bools:
    from scipy.special import fdtrc

    others = members.copy()
    others[..., 0] = False
    variance, freedom = _shared(groups, others)
    first = groups.variance[..., 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        p_value = fdtrc(groups.freedom[..., 0], freedom, first / variance)
    wider: Bools = np.where(variance > 0, p_value < UNEQUAL, first > ROUNDING**2)
    return wider & (freedom > 0)


def _equally_wide(values: Floats) -> Bools:
    """Return the groups that share a spread, [n, groups], of `values` [n, groups, seeds]."""
    groups = apart(values)
    members = groups.seeds > 1
    members &= (groups.seeds * members).max(axis=-1, keepdims=True) > 2
    left = np.arange(len(values))
    while len(left):
        rejected = levene(values[left], groups.mean[left], members[left]) < UNEQUAL
        left = left[rejected]
        members[left, np.argmax(np.where(members[left], groups.variance[left], -1.0), axis=-1)] = False
    return members & (members.sum(axis=-1, keepdims=True) > 1)


def levene(values: Floats, means: Floats, members: Bools) -> Floats:
    """Return the p-value of Levene's test [...] that the `members` [..., groups] of `values` spread equally."""
    from scipy.special import fdtrc

    distance = np.where(members[..., None], np.abs(values - means[..., None]), np.nan)
    largest = np.nan_to_num(distance).max(axis=(-2, -1), keepdims=True)
    distance /= np.where(largest > ROUNDING, largest, 1.0)  # so that no square of a square is out of bounds
    of_group = apart(distance)
    seeds = np.where(members, of_group.seeds, 0.0)
    total, count = seeds.sum(axis=-1), members.sum(axis=-1)
    center = np.where(members, of_group.mean, 0.0)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        overall = np.sum(seeds * center, axis=-1) / total
        between = np.sum(seeds * (center - overall[..., None]) ** 2, axis=-1)
        within = np.nansum((distance - of_group.mean[..., None]) ** 2, axis=(-2, -1))
        statistic = (between / (count - 1)) / (within / (total - count))
        p_value = fdtrc(count - 1.0, np.maximum(total - count, 1), statistic)
    return np.where((within <= ROUNDING**2) & (between <= ROUNDING**2) | (count < 2), 1.0, p_value)


def subtract(one: Groups, other: Groups) -> Difference:
    """Return the differences of means, by Student's test where both are pooled, else by Welch's (1947)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        of_one, of_other = one.variance / one.seeds, other.variance / other.seeds
        squared = of_one + of_other
        share = of_one / squared
        welch = 1 / (share**2 / one.freedom + (1 - share) ** 2 / other.freedom)
    freedom = np.where(one.pooled & other.pooled, one.freedom, np.where(squared > 0, welch, 1.0))
    return Difference(one.mean - other.mean, np.sqrt(squared), freedom)


def leading(passed: Bools) -> Bools:
    """Return `passed` [..., levels] up to the first that is False: a sequence that is tested in its order."""
    return np.logical_and.accumulate(passed, axis=-1)


def trailing(passed: Bools, among: Bools | None = None) -> Bools:
    """Return `passed` [..., levels] from the last back to the first that is False.

    With `among` the sequence begins at the last of these.
    """
    backwards = passed[..., ::-1]
    if among is None:
        return leading(backwards)[..., ::-1]
    begun = np.logical_or.accumulate(among[..., ::-1], axis=-1)
    return (leading(backwards | ~begun) & begun)[..., ::-1]


def holm(p_values: Floats, alpha: float | Floats) -> Bools:
    """Return the rejected hypotheses among `p_values` [..., hypotheses] with Holm's correction (1979).

    `alpha` is a number or [..., 1].
    """
    order = np.argsort(p_values, axis=-1)
    count = p_values.shape[-1]
    ordered = np.take_along_axis(p_values, order, axis=-1)
    rejected = leading(ordered <= alpha / (count - np.arange(count)))
    result = np.zeros(p_values.shape, dtype=bool)
    np.put_along_axis(result, order, rejected, axis=-1)
    return result


def seeds_to_decide(gap: float, spread: float, groups: int, alpha: float, *, most: int = 1000) -> int | None:
    """Return the seeds of each arm that show a difference of `gap` with 80% power; None for more than `most`.

    `groups` share `spread`, a standard deviation.
    """
    from scipy.special import stdtrit

    seeds = np.arange(2, most + 1)
    freedom = groups * (seeds - 1.0)
    wanted = (stdtrit(freedom, 1 - alpha) + stdtrit(freedom, 0.8)) * spread * np.sqrt(2 / seeds)
    enough = np.flatnonzero(wanted <= abs(gap))
    return int(seeds[enough[0]]) if len(enough) else None
