"""The two families of a ticket's claims: those on its source have 5% of their own, those on other data another 5%.

What is claimed on the source was stated before any other data was chosen, so carrying the ticket to more of it changes
no label there. Each family has looks of its own, too, where seeds are added.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import NamedTuple

from ticketzoo.evaluation.decide import ALPHA
from ticketzoo.evaluation.level_labels import Labelling, judge_target
from ticketzoo.evaluation.looks import LookRows, rows_by_look
from ticketzoo.evaluation.statistics import Group
from ticketzoo.evaluation.target import Margin, Target
from ticketzoo.ticket.verdict import LABELS, Label, LevelVerdict, Look, TargetVerdict, Until

TargetsOf = Callable[[Sequence[Group], Margin], list[Target]]
"""Gives the targets of groups, at a margin."""


class Judged(NamedTuple):
    """The verdicts on targets and their levels at the last look, and all looks where there are several."""

    targets: list[tuple[TargetVerdict, list[LevelVerdict]]]
    looks: list[Look]


def judge_families(
    groups: Sequence[Group], targets_of: TargetsOf, margin: Margin, until: Until | None, carried: Collection[str]
) -> Judged:
    """Return the verdicts on the source and on the targets that are `carried` to, each judged as if it were alone."""
    parts = [[group for group in groups if (group.key.target in carried) is other] for other in (False, True)]
    families = [_judge(part, targets_of, margin, until) for part in parts if part]
    targets = sorted((one for family in families for one in family.targets), key=lambda one: one[0].target)
    return Judged(targets, _merged([family.looks for family in families]))


def _judge(groups: Sequence[Group], targets_of: TargetsOf, margin: Margin, until: Until | None) -> Judged:
    """Return the verdict on one family.

    A default margin, which follows dense's mean, is that of the first look at every later one, too. Where dense did not
    learn at a look nothing is measured there, and what was claimed before stands again once it has.
    """
    claimed: dict[str, Labelling] = {}
    judged: list[tuple[TargetVerdict, list[LevelVerdict]]] = []
    looks = []
    for look in rows_by_look(groups, until):
        targets = targets_of(look.groups, margin)
        margin = {key: value for target in targets if target.dense for key, value in target.margins.items()}
        labelled = _labelled(targets, look, claimed)
        claimed |= labelled
        judged = [judge_target(target, labelled.get(target.name)) for target in targets]
        label, _ = overall(level for _, levels in judged for level in levels)
        undecided = {name: one.undecided for name, one in labelled.items() if one.undecided}
        looks.append(Look(seeds=look.seeds, spent=look.spent, label=label, undecided=undecided))
    return Judged(judged, looks if until else [])


def _merged(families: Sequence[Sequence[Look]]) -> list[Look]:
    """Return the looks of all families; one that has fewer of them stays as it is. The label is that of the first."""
    looks = []
    for at_number in zip_longest(*families):
        now = [look or family[-1] for look, family in zip(at_number, families, strict=True)]
        undecided = {name: levels for look in now for name, levels in look.undecided.items()}
        longest = max(now, key=lambda look: look.seeds)
        looks.append(longest.model_copy(update={"label": now[0].label, "undecided": dict(sorted(undecided.items()))}))
    return looks


def _labelled(targets: Sequence[Target], look: LookRows, before: Mapping[str, Labelling]) -> dict[str, Labelling]:
    """Return the labelling of each target of a family that can be judged; they share its 5% by Holm's method.

    Each has an equal share; a target on which every level matches passes its share on to the others, for matching
    alone: what it shows says nothing of controls, or of being above dense. One that cannot be judged keeps its share
    where there are more looks: it may be judged at another.
    """
    judged = [target for target in targets if target.measured_levels and not target.unmeasured]
    kept = len(targets) - len(judged) if look.number else 0
    equal = look.level(ALPHA / max(1, len(judged) + kept))
    labelled: dict[str, Labelling] = {}
    while open_ones := [target for target in judged if target.name not in labelled]:
        alpha = look.level(ALPHA / (len(open_ones) + kept))
        tried = [Labelling(target, alpha, equal, look.number, before.get(target.name)) for target in open_ones]
        complete = [one for one in tried if one.decision.matching.all()]
        labelled |= {one.target.name: one for one in complete or tried}
    return labelled


def overall(levels: Iterable[LevelVerdict], carried: Collection[str] = ()) -> tuple[Label, float | None]:
    """Return the best label that one level has on the source, and the sparsity of the sparsest such level.

    Targets that are `carried` to do not count beside the source; where there is no other, a level has the label that it
    has on every one of them. One that matches on one target and wins on another is matching.
    """
    levels = list(levels)
    levels = [level for level in levels if level.target not in carried] or levels
    targets = {level.target for level in levels}
    labels: dict[int, list[Label]] = defaultdict(list)
    for level in levels:
        labels[level.level].append(level.label)
    worst: dict[int, Label] = {}
    for number, of_level in labels.items():
        worst[number] = max(of_level, key=LABELS.index) if len(of_level) == len(targets) else "not measured"
    best: Label = min(worst.values(), key=LABELS.index, default="not measured")
    if best == "not measured":
        return best, None
    return best, max(level.sparsity for level in levels if worst[level.level] == best)
