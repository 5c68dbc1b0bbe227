"""Labels by published rules, named beside the verdict and never mixed into it."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from ticketzoo.evaluation.arms import DENSE, TICKET
from ticketzoo.evaluation.inference import ROUNDING
from ticketzoo.evaluation.statistics import Summary

Arms: TypeAlias = Mapping[str, Summary]
"""Summaries by arm at one level on one target, negated where less is better."""


def chen_2020(arms: Arms) -> str | None:
    """Return "matching" within one standard deviation of dense: Chen et al. 2020, section 3."""
    ticket, dense = arms[TICKET], arms[DENSE]
    if dense.std is None or ticket.std is None:
        return None
    return "matching" if dense.mean - ticket.mean <= dense.std + ROUNDING else "not matching"


def frankle_2019(arms: Arms) -> str | None:
    """Return "at least dense" where the mean is, a winning ticket in the words of Frankle & Carbin 2019, section 1."""
    return "at least dense" if arms[TICKET].mean >= arms[DENSE].mean - ROUNDING else "less than dense"


def morcos_2019(arms: Arms) -> str | None:
    """Return "above" where the mean is above that of random tickets: Morcos et al. 2019; Yu et al. 2020.

    They have random masks and fresh weights (`random_ticket`); where that was not measured `random_mask` stands for it.
    """
    random = arms.get("random_ticket") or arms.get("random_mask")
    if random is None:
        return None
    return "above" if arms[TICKET].mean > random.mean + ROUNDING else "not above"


def ticketzoo_0_1(arms: Arms) -> str | None:
    """Return the label of ticketzoo's first rule: Chen et al.'s, and intervals clear of both random controls."""
    label = chen_2020(arms)
    controls = [arms[name] for name in ("random_reinit", "random_mask") if name in arms]
    if label != "matching" or len(controls) < 2 or min(arm.n for arm in (arms[TICKET], arms[DENSE], *controls)) < 3:
        return label
    return "winning" if all(_clear(arms[TICKET], control) for control in controls) else label


def _clear(ticket: Summary, control: Summary) -> bool:
    low, high = ticket.t_interval[0], control.t_interval[1]
    return low > high + ROUNDING


RULES: dict[str, Callable[[Arms], str | None]] = {
    "Chen et al. 2020 (one standard deviation of dense)": chen_2020,
    "Frankle & Carbin 2019 (means)": frankle_2019,
    "Morcos et al. 2019, Yu et al. 2020 (means, against random tickets)": morcos_2019,
    "ticketzoo 0.1 (Chen et al., intervals clear of the controls)": ticketzoo_0_1,
}
"""Rules by the name that cards print."""


def published_labels(arms: Arms) -> dict[str, str]:
    """Return the label by each rule that has one to give; none without ticket and dense."""
    if not {TICKET, DENSE} <= arms.keys():
        return {}
    labels = {name: rule(arms) for name, rule in RULES.items()}
    return {name: label for name, label in labels.items() if label is not None}
