"""The rule on arrays: which levels of a ticket match dense, are below it, win. `verdict` applies it to rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ticketzoo.evaluation.inference import (
    Bools,
    Difference,
    Floats,
    Groups,
    apart,
    holm,
    leading,
    pooled,
    subtract,
    trailing,
)

ALPHA = 0.05
"""Level of every one-sided test."""


@dataclass(frozen=True)
class Measured:
    """The values of one ticket on one target, more being better; NaN where a seed was not measured.

    Attributes:
        dense: [..., seeds].
        levels: of the ticket, from the densest to the sparsest, [..., levels, seeds].
        controls: [..., arms, control levels, seeds]; an arm without any seed at a level is left out there.
        control_levels: position among `levels` of each control level, increasing.
        margin: by which a ticket may be below dense and match it, [...] or a number.
        draws: trainings that each value of a control is the mean of, [arms, control levels]; by default 1. Means of
            more vary less, so controls of as many alone share a spread.
        beside: dense and levels by another metric, which has to match, too; its controls are left alone.
    """

    dense: Floats
    levels: Floats
    controls: Floats
    control_levels: Sequence[int]
    margin: float | Floats
    draws: NDArray[np.int_] | None = None
    beside: "Measured | None" = None

    def groups(self) -> Groups:
        """Return dense and the levels, [..., 1 + levels]: see `pooled`."""
        return pooled(np.concatenate([self.dense[..., None, :], self.levels], axis=-2), against_first=True)

    def tests(self) -> tuple[Difference, Floats, Floats]:
        """Return the ticket minus dense, and the p-values of being above minus the margin and below it."""
        groups = self.groups()
        to_dense = subtract(groups.of(slice(1, None)), groups.of(slice(0, 1)))
        bound = -np.asarray(self.margin)[..., None]
        return to_dense, to_dense.above(bound), to_dense.below(bound)


@dataclass(frozen=True)
class Decision:
    """The labels of levels.

    Attributes:
        groups: dense and the levels, [..., 1 + levels].
        to_dense: ticket minus dense, [..., levels].
        to_controls: ticket minus each control, [..., arms, control levels].
        matching: [..., levels], and so are `below` and `above_dense`.
        below: shown to be below dense by more than the margin.
        p_matching: p-values of the tests of matching, each level's by itself.
        above_dense: a claim of its own, with Holm's correction over levels.
        above_controls: above each control, from the sparsest control level on, [..., control levels].
        winning: the same of levels that match.
        beside: the difference to dense by the metric that has to match, too.
    """

    groups: Groups
    to_dense: Difference
    to_controls: Difference
    matching: Bools
    below: Bools
    p_matching: Floats
    above_dense: Bools
    above_controls: Bools
    winning: Bools
    beside: Difference | None = None

    @property
    def claims(self) -> "Claims":
        """Return what is claimed of levels."""
        return Claims(self.matching, self.below, self.above_dense, self.above_controls, self.winning)


class Claims(NamedTuple):
    """Claims of an earlier look, which stand, in the shapes of `Decision`."""

    matching: Bools | bool = False
    below: Bools | bool = False
    above_dense: Bools | bool = False
    above_controls: Bools | bool = False
    winning: Bools | bool = False


NONE = Claims()


def decide(
    measured: Measured,
    *,
    alpha: float | Floats = ALPHA,
    alpha_winning: float | Floats | None = None,
    claims: Claims = NONE,
) -> Decision:
    """Return the labels of the levels in `measured`.

    Matching is non-inferiority: the lower bound of ticket minus dense is above -margin. It is claimed from the densest
    level on up to the first that fails; below, from the sparsest level back to the first that fails. Winning is
    matching and above each control (a union of alternatives), claimed from the sparsest level that matches back to the
    first that fails. So each label is wrong in about `alpha` of the tickets, and in more where the sparsest level
    that matches is left to chance or one level is noisy among quiet ones: docs/verdicts.md says by how much.

    Where another metric has to match, too, a level matches by both, each tested at `alpha` (an intersection of
    alternatives), and is below by either, each tested at half of it.

    Args:
        measured: of one ticket, or [...] of them.
        alpha: level of every one-sided test, a number or [...].
        alpha_winning: of those against controls, and of being above dense; default `alpha`.
        claims: of earlier looks (`ticketzoo.evaluation.looks`): these tests are passed.
    """
    of_matching = np.asarray(alpha)[..., None]
    of_claims = of_matching if alpha_winning is None else np.asarray(alpha_winning)[..., None]
    groups = measured.groups()
    ticket = groups.of(slice(1, None))
    to_dense, p_matching, p_below = measured.tests()
    beside = None
    if measured.beside is not None:
        beside, matches_too, below_too = measured.beside.tests()
        p_matching, p_below = np.maximum(p_matching, matches_too), 2 * np.minimum(p_below, below_too)
    matching = leading((p_matching <= of_matching) & np.logical_not(claims.below) | claims.matching)
    below = trailing((p_below <= of_matching) | claims.below) & ~matching
    at = np.asarray(measured.control_levels, dtype=int)
    here = ticket.each(lambda column: column[..., None, at])
    to_controls = subtract(here, controls := _control_groups(measured))
    above = ((to_controls.above(0.0) <= of_claims[..., None]) | (controls.seeds == 0)).all(axis=-2)
    winning = trailing(matching[..., at] & (above | claims.winning), among=matching[..., at]) | claims.winning
    above_dense = holm(to_dense.above(0.0), of_claims) | claims.above_dense
    above_controls = trailing(above | claims.above_controls)
    found = (groups, to_dense, to_controls, matching, below, p_matching, above_dense, above_controls, winning)
    return Decision(*found, beside)


def _control_groups(measured: Measured) -> Groups:
    """Return the controls [..., arms, levels]: the spread of those of as many draws is pooled, where it is equal."""
    *outer, arms, levels, seeds = measured.controls.shape
    values = measured.controls.reshape(*outer, arms * levels, seeds)
    draws = np.ones(arms * levels, dtype=int) if measured.draws is None else measured.draws.reshape(-1)
    flat = apart(values)
    for count in np.unique(draws):
        alike = draws == count
        for column, of_these in zip(flat, pooled(values[..., alike, :]), strict=True):
            column[..., alike] = of_these
    apart_from_ticket = flat._replace(pooled=np.zeros_like(flat.pooled))
    return apart_from_ticket.each(lambda column: column.reshape(*outer, arms, levels))
