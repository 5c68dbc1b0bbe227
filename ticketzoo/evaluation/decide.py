"""The rule on arrays: which levels of a ticket match dense, are below it, win. `verdict` applies it to rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ticketzoo.evaluation.inference import (
    Bools,
    Difference,
    Floats,
    Groups,
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
    """

    dense: Floats
    levels: Floats
    controls: Floats
    control_levels: Sequence[int]
    margin: float | Floats

    def groups(self) -> Groups:
        """Return dense and the levels, [..., 1 + levels], their spread pooled where it is equal."""
        return pooled(np.concatenate([self.dense[..., None, :], self.levels], axis=-2), first_in_all=True)


@dataclass(frozen=True)
class Decision:
    """The labels of levels.

    Attributes:
        groups: dense and the levels, [..., 1 + levels].
        to_dense: ticket minus dense, [..., levels].
        to_controls: ticket minus each control, [..., arms, control levels].
        matching: [..., levels], and so are `below` and `above_dense`.
        below: shown to be below dense by more than the margin.
        above_dense: a claim of its own, with Holm's correction over levels.
        above_controls: above each control, from the sparsest control level on, [..., control levels].
        winning: the same of levels that match.
    """

    groups: Groups
    to_dense: Difference
    to_controls: Difference
    matching: Bools
    below: Bools
    above_dense: Bools
    above_controls: Bools
    winning: Bools

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


def decide(measured: Measured, *, alpha: float = ALPHA, claims: Claims = NONE) -> Decision:
    """Return the labels of the levels in `measured`.

    Matching is non-inferiority: the lower bound of ticket minus dense is above -margin. It is claimed from the densest
    level on up to the first that fails; below, from the sparsest level back to the first that fails. Winning is
    matching and above each control (a union of alternatives), claimed from the sparsest level that matches back to the
    first that fails. So each label is wrong in about `alpha` of the tickets; winning in more, up to 8.5% at 5%
    (docs/verdicts.md), where the sparsest level that matches is left to chance.

    Args:
        measured: of one ticket, or [...] of them.
        alpha: level of every one-sided test.
        claims: of earlier looks (`ticketzoo.evaluation.looks`): these tests are passed.
    """
    groups = measured.groups()
    ticket = groups.of(slice(1, None))
    to_dense = subtract(ticket, groups.of(slice(0, 1)))
    bound = -np.asarray(measured.margin)[..., None]
    matching = leading((to_dense.above(bound) <= alpha) & np.logical_not(claims.below) | claims.matching)
    below = trailing((to_dense.below(bound) <= alpha) | claims.below) & ~matching
    at = np.asarray(measured.control_levels, dtype=int)
    here = ticket.each(lambda column: column[..., None, at])
    to_controls = subtract(here, controls := _control_groups(measured.controls))
    above = ((to_controls.above(0.0) <= alpha) | (controls.seeds == 0)).all(axis=-2)
    winning = trailing(matching[..., at] & (above | claims.winning), among=matching[..., at]) | claims.winning
    above_dense = holm(to_dense.above(0.0), alpha) | claims.above_dense
    above_controls = trailing(above | claims.above_controls)
    return Decision(groups, to_dense, to_controls, matching, below, above_dense, above_controls, winning)


def _control_groups(controls: Floats) -> Groups:
    """Return the controls [..., arms, levels]: their spread is pooled among themselves, where it is equal."""
    *outer, arms, levels, seeds = controls.shape
    flat = pooled(controls.reshape(*outer, arms * levels, seeds))
    apart_from_ticket = flat._replace(pooled=np.zeros_like(flat.pooled))
    return apart_from_ticket.each(lambda column: column.reshape(*outer, arms, levels))
