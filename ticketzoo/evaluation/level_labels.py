"""Labels of the levels of one ticket on one target, with differences, intervals and reasons."""

import numpy as np

from ticketzoo.evaluation.arms import TICKET
from ticketzoo.evaluation.decide import ALPHA, NONE, Claims, decide
from ticketzoo.evaluation.inference import Bools, Difference, apart, seeds_to_decide
from ticketzoo.evaluation.looks import left_open
from ticketzoo.evaluation.metrics import show, words
from ticketzoo.evaluation.published import published_labels
from ticketzoo.evaluation.statistics import summarise
from ticketzoo.evaluation.target import Target
from ticketzoo.ticket.verdict import Compared, Label, LevelVerdict, TargetVerdict
from ticketzoo.ticket.verdict_words import compared
from ticketzoo.util.text import show_numbers


def judge_target(target: Target, labelling: "Labelling | None") -> tuple[TargetVerdict, list[LevelVerdict]]:
    """Return the verdict on every level on `target`; without a labelling none of them is measured."""
    levels = [
        labelling.of(level) if labelling and level in target.measured_levels else not_measured(target, level)
        for level in target.levels
    ]
    spread, freedom, words = labelling.spread if labelling else (None, 0, "")
    about = TargetVerdict(
        target=target.name,
        metric=target.metric,
        margin=target.margin,
        spread=spread,
        freedom=freedom,
        pooled=words,
        alpha=labelling.alpha if labelling else ALPHA,
        alpha_winning=labelling.alpha_winning if labelling else ALPHA,
        chance=target.chance,
        examples=target.examples,
        sampling_error=target.sampling_error,
        short_training=target.short_training,
    )
    return about, levels


def not_measured(target: Target, level: int) -> LevelVerdict:
    """Return the verdict on a level of which too little is known."""
    arms, dense = target.levels[level], target.dense
    seeds = min(len(arms[TICKET].by_seed) if TICKET in arms else 0, len(dense.by_seed) if dense else 0)
    few = target.few(level)
    short = f"needs at least 2 seeds, has {few}" if few else "a denser level has too few seeds"
    reason = target.unmeasured or short
    sparsity = next(iter(arms.values())).sparsity
    return LevelVerdict(
        level=level, sparsity=sparsity, target=target.name, label="not measured", seeds=seeds, reason=reason
    )


class Labelling:
    """The rule applied to `target`.

    Args:
        target: with a measured level.
        alpha: level of the one-sided tests of matching and below.
        alpha_winning: of those of all other claims.
        look: number of the look, from 1; 0 where there is one only.
        before: the labelling at the look before, whose claims stand.
    """

    def __init__(
        self,
        target: Target,
        alpha: float,
        alpha_winning: float,
        look: int = 0,
        before: "Labelling | None" = None,
    ) -> None:
        self.target, self.alpha, self.alpha_winning, self.look, self.before = target, alpha, alpha_winning, look, before
        self.decision = decide(target.values, alpha=alpha, alpha_winning=alpha_winning, claims=self._standing())
        self.names = sorted({arm for level in target.control_levels for arm in target.controls(level)})

    def _standing(self) -> Claims:
        """Return the claims of the look before, in the shapes of the levels that are measured now."""
        if self.before is None:
            return NONE
        claims, now, earlier = self.before.decision.claims, self.target, self.before.target
        every = [_aligned(claim, now.measured_levels, earlier.measured_levels) for claim in claims[:3]]
        return Claims(*every, *(_aligned(claim, now.control_levels, earlier.control_levels) for claim in claims[3:]))

    @property
    def undecided(self) -> list[int]:
        """Return the levels that further seeds might decide."""
        left = left_open(self.decision, self.target.margin, self.alpha)
        return [level for level, is_open in zip(self.target.measured_levels, left, strict=True) if is_open]

    @property
    def spread(self) -> tuple[float | None, int, str]:
        """Return the pooled standard deviation, its degrees of freedom, and the groups that share it, in words."""
        groups = self.decision.groups
        if not groups.pooled.any():
            return None, 0, ""
        member = int(np.argmin(np.where(groups.pooled, groups.variance, np.inf)))
        inside = [level for level, is_in in zip(self.target.measured_levels, groups.pooled[1:], strict=True) if is_in]
        named = f"level{'s' if len(inside) > 1 else ''} {show_numbers(inside)}" if inside else ""
        words = " and ".join(part for part in ("dense" if groups.pooled[0] else "", named) if part)
        return float(np.sqrt(groups.variance[member])), int(groups.freedom[member]), words

    def of(self, level: int) -> LevelVerdict:
        """Return the verdict on a measured level."""
        target, at = self.target, self.target.measured_levels.index(level)
        arms, label = target.levels[level], self._label(level)
        dense = self._compared("dense", self.decision.to_dense, at, self.alpha)
        controls = self._controls(level)
        seeds = [len(arms[TICKET].by_seed), len(target.dense.by_seed) if target.dense else 0]
        if label in ("winning", "filters matter", "works untrained"):
            seeds += [len(arms[arm].by_seed) for arm in target.controls(level)]
        undecided = label == "undecided"
        look = 0 if undecided else self._first_look(level)
        summaries = {**arms} | ({"dense": target.dense} if target.dense else {})
        return LevelVerdict(
            level=level,
            sparsity=arms[TICKET].sparsity,
            target=target.name,
            label=label,
            seeds=min(seeds),
            reason=self._reason(level, dense, controls) + f"; claimed at look {look}" * (0 < look < self.look),
            dense=dense,
            control=min(controls, key=lambda pair: pair.difference * target.sign, default=None),
            above_dense=bool(self.decision.above_dense[at]),
            seeds_to_decide=self._seeds_to_decide(at) if undecided else None,
            published=published_labels({arm: summarise(target.rising(of)) for arm, of in summaries.items()}),
            look=look,
        )

    def _first_look(self, level: int) -> int:
        """Return the look at which the level earned its label."""
        before = self.before
        if before and level in before.target.measured_levels and before._label(level) == self._label(level):
            return before._first_look(level)
        return self.look

    def _label(self, level: int) -> Label:
        target, decision = self.target, self.decision
        at = target.measured_levels.index(level)
        control = target.control_levels.index(level) if level in target.control_levels else None
        if target.use == "as-is":
            if decision.matching[at]:
                return "matches untrained"
            works = control is not None and bool(decision.above_controls[control]) and self._above_guess(level)
            return "works untrained" if works else "below" if decision.below[at] else "undecided"
        if control is not None and decision.winning[control]:
            return "filters matter" if target.structured else "winning"
        return "matching" if decision.matching[at] else "below" if decision.below[at] else "undecided"

    def _above_guess(self, level: int) -> bool:
        """Tell whether the ticket is above the best guess that takes no notice of the input, where that is known."""
        if self.target.chance is None:
            return True
        ticket = apart(np.array(self.target.rising(self.target.levels[level][TICKET])))
        gap, error = ticket.mean - self.target.sign * self.target.chance, np.sqrt(ticket.variance / ticket.seeds)
        return bool(Difference(gap, error, ticket.freedom).above(0.0) <= self.alpha_winning)

    def _reason(self, level: int, dense: Compared, controls: list[Compared]) -> str:
        target, metric, at = self.target, self.target.metric, self.target.measured_levels.index(level)
        parts = [f"ticket - dense {compared(dense, metric)}, margin {show(metric, target.margin)}"]
        if target.beside and self.decision.beside is not None:
            also = self._compared("dense", self.decision.beside, at, self.alpha)
            named, allowed = words(target.beside.metric), show(target.beside.metric, target.beside.margin)
            parts.append(f"by {named} {compared(also, target.beside.metric)}, margin {allowed}")
        stopped = self.decision.p_matching[at] <= self.alpha
        if not self.decision.matching[at] and stopped:
            parts.append("a denser level is not matching")
        missing = target.missing_controls(level)
        if missing:
            parts.append(f"comparing with the controls needs at least 3 seeds, has {missing}")
        said = [f"{pair.arm} {compared(pair, metric)}" for pair in controls]
        if said:
            parts.append(f"ticket - controls: {', '.join(said)}")
        return "; ".join(parts)

    def _controls(self, level: int) -> list[Compared]:
        if level not in self.target.control_levels:
            return []
        at, here = self.target.control_levels.index(level), self.target.controls(level)
        differences = self.decision.to_controls
        return [
            self._compared(arm, Difference(*(column[number] for column in differences)), at, self.alpha_winning)
            for number, arm in enumerate(self.names)
            if arm in here
        ]

    def _compared(self, arm: str, difference: Difference, at: int, alpha: float) -> Compared:
        sign = self.target.sign
        ends = sorted(float(sign * end[at]) for end in (difference.low(alpha), difference.high(alpha)))
        return Compared(arm=arm, difference=float(sign * difference.mean[at]), interval=ends)

    def _seeds_to_decide(self, at: int) -> int | None:
        """Return the seeds that would decide a level, were the difference as measured; None where it has as many."""
        groups, difference = self.decision.groups, self.decision.to_dense
        both = bool(groups.pooled[0] and groups.pooled[at + 1])
        spread = float(np.sqrt((groups.variance[0] + groups.variance[at + 1]) / 2))
        gap = float(difference.mean[at] + self.target.margin)
        wanted = seeds_to_decide(gap, spread, int(groups.pooled.sum()) if both else 2, self.alpha)
        return wanted if wanted is not None and wanted > min(groups.seeds[0], groups.seeds[at + 1]) else None


def _aligned(claimed: Bools | bool, levels: list[int], earlier: list[int]) -> Bools:
    """Return the claims on `levels` of claims on `earlier` ones."""
    by_level = dict(zip(earlier, np.asarray(claimed).tolist(), strict=True))
    return np.array([by_level.get(level, False) for level in levels], dtype=bool)
