"""Looks at a verdict while seeds are added until its levels are decided.

The 5% of a claim are spent over the looks (Lan & DeMets 1983, "Discrete sequential boundaries for clinical trials") by
their function of Pocock's type: by the time that a share t of the seeds is measured, ln(1 + (e - 1) t) of it. It spends
early, so that three seeds can decide; the function of O'Brien & Fleming's type spends less than a hundredth there.
A claim that is made at a look stands, so the order of levels, and Holm's method over targets, go on from it at the next
(Maurer & Bretz 2013, "Multiple testing in group sequential trials using graphical approaches").
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import NamedTuple

import numpy as np

from ticketzoo.distributed import processes
from ticketzoo.evaluation.arms import DENSE, TICKET, arm_entry
from ticketzoo.evaluation.decide import ALPHA, Decision
from ticketzoo.evaluation.inference import Bools, Floats
from ticketzoo.evaluation.statistics import Group
from ticketzoo.runs.store import Store
from ticketzoo.seeds import FIRST_LOOK
from ticketzoo.ticket.verdict import Until, Verdict
from ticketzoo.util.text import show_numbers

AT = (3, 5, 7, 10, 15, 20, 30, 50)
"""Seeds of the looks; the last look is at the most that was stated."""


def looks_of(until: Until) -> list[list[int]]:
    """Return the seeds at each look, in order: at a later one those of the former, and the integers after the largest.

    Of seeds 0, 1 and 2 and ten at most they are the first 3, 5, 7 and 10 integers.
    """
    first, most = max(len(until.seeds), FIRST_LOOK), until.max_seeds
    after = max(until.seeds) + 1
    seeds = [*until.seeds, *range(after, after + most - len(until.seeds))]
    return [seeds[:count] for count in sorted({first, *(at for at in AT if first < at < most), most})]


def spent(share: float | Floats, alpha: float = ALPHA) -> Floats:
    """Return the part of `alpha` that is spent when a share of the seeds, from 0 to 1, is measured."""
    return np.asarray(alpha * np.log1p((np.e - 1) * np.asarray(share)))


@cache
def nominal_levels(seeds: tuple[int, ...], alpha: float = ALPHA) -> tuple[float, ...]:
    """Return the level of a one-sided test at each of the looks, at so many `seeds`, so that `alpha` is spent in all.

    At each look the bound is sought that a Brownian motion, sampled at the shares of the seeds, passes there and not
    before with the probability that is spent there (Armitage, McPherson & Rowe 1969, by Gauss-Legendre integration).
    Of few seeds that is an approximation: tests are Student's, and their level is taken as that of the normal one.
    """
    from scipy.optimize import brentq
    from scipy.special import ndtr

    nodes, weights = np.polynomial.legendre.leggauss(64)
    at, mass = np.zeros(1), np.ones(1)  # of the motion where it has passed no bound; at the start it is 0
    levels, before, used = [], 0.0, 0.0
    for share in (count / seeds[-1] for count in seeds):
        step, width = (share - before) ** 0.5, share**0.5
        wanted = float(spent(share, alpha)) - used
        bound = brentq(_excess, -9.0, 9.0, (at, mass, step, wanted), xtol=1e-14)
        levels.append(float(ndtr(-bound / width)))
        half = (bound + 9 * width) / 2
        there = half * (nodes + 1) - 9 * width
        density = mass @ np.exp(-(((there - at[:, None]) / step) ** 2) / 2) / (step * (2 * np.pi) ** 0.5)
        at, mass, before, used = there, half * weights * density, share, used + wanted
    return tuple(levels)


def _excess(bound: float, at: Floats, mass: Floats, step: float, wanted: float) -> float:
    """Return by how much more than `wanted` of the motion `at` passes `bound` within a step."""
    from scipy.special import ndtr

    return float(mass @ ndtr((at - bound) / step)) - wanted


def left_open(decision: Decision, margin: float | Floats, alpha: float) -> Bools:
    """Return the levels [..., levels] that further seeds might decide: undecided ones, unless the order forbids it.

    Where matching ends at a level that is shown to be below, and below at one that is shown to be matching, those
    between them stay undecided.
    """
    left, bound = ~(decision.matching | decision.below), -np.asarray(margin)[..., None]
    first, last = left & (left.cumsum(axis=-1) == 1), left & (left[..., ::-1].cumsum(axis=-1)[..., ::-1] == 1)
    ends = ((decision.to_dense.below(bound) <= alpha) & first).any(axis=-1)
    begins = ((decision.to_dense.above(bound) <= alpha) & last).any(axis=-1)
    return np.asarray(left & ~(ends & begins)[..., None])


class LookRows(NamedTuple):
    """The rows of a look.

    Attributes:
        number: of the look, from 1; 0 where there is one only, at all rows.
        seeds: how many there are.
        groups: of these seeds.
        spent: share of the 5% that is spent by then.
        level: gives the level of the tests at this look of the level that all looks share.
    """

    number: int
    seeds: int
    groups: Sequence[Group]
    spent: float
    level: Callable[[float], float]


def rows_by_look(groups: Sequence[Group], until: Until | None) -> list[LookRows]:
    """Return the looks of which all seeds are measured, the first in any case; without `until` there is one.

    See `measured_seeds`: of a seed that an arm lacks a look would say more than it rests on.
    """
    measured = measured_seeds(groups)
    if until is None:
        return [LookRows(0, len(measured), groups, 1.0, lambda alpha: alpha)]
    looks = looks_of(until)
    counts = tuple(map(len, looks))

    def at_look(number: int, seeds: Sequence[int]) -> LookRows:
        parts = [replace(group, by_seed={s: v for s, v in group.by_seed.items() if s in seeds}) for group in groups]
        return LookRows(
            number,
            len(measured.intersection(seeds)),
            [part for part in parts if part.by_seed],
            round(float(spent(len(seeds) / counts[-1], 1.0)), 6),
            lambda alpha: nominal_levels(counts, alpha)[number - 1],
        )

    return [at_look(number, at) for number, at in enumerate(looks, 1) if number == 1 or measured.issuperset(at)]


def measured_seeds(groups: Sequence[Group]) -> set[int]:
    """Return the seeds that a look may count: of dense, of every level of the ticket and of every control, everywhere.

    Everywhere is on each target, and for a control at each level that has it. Other arms, `chance` among them, do not
    count; a target without dense or without the ticket leaves none.
    """
    seeds = [set(group.by_seed) for group in groups if _is_judged(group)]
    everywhere = {(group.key.target, arm) for group in groups for arm in (DENSE, TICKET)}
    there = {(group.key.target, group.key.arm) for group in groups if _is_judged(group)}
    return set.intersection(*seeds) if seeds and everywhere <= there else set()


def _is_judged(group: Group) -> bool:
    """Return True of dense, of the ticket at a level above 0, and of the controls there."""
    level, arm = group.key.level, group.key.arm
    return arm == DENSE or (level > 0 and (arm == TICKET or arm_entry(arm).verdict_control))


def looks_words(until: Until) -> str:
    """Return when the looks are and what is spent of the 5%, as cards print it."""
    counts = show_numbers(len(seeds) for seeds in looks_of(until))
    return (
        f"seeds are added until every level is decided, in looks at {counts} seeds over which the 5% are spent by the "
        "function of Pocock's type (Lan & DeMets 1983); what is claimed at a look stands, unless dense is found "
        "not to have learned at a later one; a default margin is that of the first look"
    )


def look_by_look(
    seeds: Sequence[int],
    until: Until | None,
    measure: Callable[[Sequence[int]], None],
    verdicts: Callable[[], Mapping[str, Verdict]],
    store: Store,
) -> None:
    """Have `seeds` measured; with `until` those of each look, up to the one at which every level is decided.

    A plan, of which no verdict can be given, ends at the first look that has something left to train.

    Args:
        seeds: the recipe's.
        until: how seeds are added to them.
        measure: measures further seeds.
        verdicts: gives the verdicts on all that was measured, by ticket.
        store: of the trainings; its progress is told what each look came to.
    """
    if until is None:
        measure(seeds)
        return
    looks, measured = looks_of(until), 0
    for number, at in enumerate(looks, 1):
        measure(at[measured:])
        if not store.complete:
            return
        found = processes.from_first(verdicts)
        left, labels = _undecided(found), {verdict.label for verdict in found.values()}
        measured, more = len(at), len(looks[number]) - len(at) if left and number < len(looks) else 0
        outcome = f"undecided at {left}" if left else "not measured" if labels == {"not measured"} else "decided"
        follows = f" -> {more} more seeds" * (more > 0)
        store.progress.say(f"look {number} of {len(looks)}: {measured} seeds, {outcome}{follows}")
        if not more:
            return


def _undecided(verdicts: Mapping[str, Verdict]) -> str:
    """Return the levels that further seeds might decide, in words; empty where there are none."""
    left = [(name, *item) for name, one in verdicts.items() for item in one.looks[-1].undecided.items()]
    several = len(left) > 1 or len(verdicts) > 1
    return "; ".join(
        f"level{'s' * (len(levels) > 1)} {show_numbers(levels)}" + f" of {name} on {target}" * several
        for name, target, levels in left
    )
