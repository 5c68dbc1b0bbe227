"""Sparse double descent: on wrong labels pruning makes a network worse at first, then better, then useless."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from ticketzoo.errors import RecipeError
from ticketzoo.evaluation.arms import CHANCE, DENSE, TICKET, arm_label
from ticketzoo.evaluation.metrics import describe, show
from ticketzoo.evaluation.tables import Table
from ticketzoo.finding.config import RewindingConfig
from ticketzoo.finding.run import Replicate, Search
from ticketzoo.runs.store import Store
from ticketzoo.studies.early import flat
from ticketzoo.studies.study import (
    STUDIES,
    BesideTicket,
    Curve,
    NetworkStudyConfig,
    Outcome,
    Row,
    StudyRecipe,
    is_known,
    learned,
)
from ticketzoo.studies.tables import table_of
from ticketzoo.util.text import show_numbers, show_sparsity

LIGHT, CRITICAL, SWEET, COLLAPSED, BETWEEN = "light", "critical", "sweet", "collapsed", "between"
DISTANCES = {"distance_from_start": "distance from the start", "distance_of_kept": "of kept weights"}
"""Headings of statistics of the prunable weights, by their name in rows."""
TRAINED = {"train_accuracy": "training accuracy", "train_clean_accuracy": "by clean labels"}


class DoubleDescentConfig(NetworkStudyConfig):
    """The keys of the study `double-descent`.

    Attributes:
        name: name of the study.
        finder: how the network is pruned round by round, by iterative pruning.
        arms: what is trained beside the ticket of each level, such as random_reinit; by default nothing.
        arm_levels: levels at which it is; all by default.
        margin: difference of test accuracy to dense, a fraction, by which a level counts as worse or better.
    """

    name: str = "double-descent"
    finder: RewindingConfig = RewindingConfig(levels=15)
    arms: tuple[BesideTicket, ...] = ()
    arm_levels: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] | None = None
    margin: Annotated[PositiveFloat, Field(lt=1)] = 0.005

    @model_validator(mode="after")
    def _prunes_in_rounds(self) -> "DoubleDescentConfig":
        if self.finder.method != "imp":
            raise ValueError("finder: method imp prunes round by round, which is what is looked at: set it")
        return self


@STUDIES.add(
    "double-descent",
    config=DoubleDescentConfig,
    cite="He et al. 2022",
    words="networks trained on wrong labels, level by level: what they fit, how they test, how far their weights went",
)
def study(recipe: StudyRecipe, store: Store) -> Outcome:
    """Find tickets as ever, and look at every level's accuracies and weights.

    Raises:
        RecipeError: of the task's metric less is better.
    """
    config = recipe.study
    assert isinstance(config, DoubleDescentConfig)
    arms = (TICKET, DENSE, *config.arms)
    search = config.search(recipe.name, store, finder=config.finder, arms=arms, arm_levels=config.arm_levels)
    if not search.task.metric.higher_is_better:
        what = f"of {search.task.metric.name} less is better, and phases are of accuracies"
        raise RecipeError(f"study.task: {what}: take a task that is measured by one, such as image-classification")
    store.progress.planned(search.recipe.trainings)
    replicates = store.each(search.replicate, config.seeds)
    rows = [row for one in replicates for row in _of_levels(search, one)]
    for found, _ in store.each(search.measure, (control for one in replicates for control in search.controls(one))):
        rows += [_row(row) for row in found if row["at"] == "final"]
    return outcome_of(rows, f"test_{search.task.metric.name}", config.margin)


def outcome_of(rows: list[Row], metric: str, margin: float = 0.005) -> Outcome:
    """Return table, text and plot of the study's rows, by the metric that decides."""
    means = _means(rows, TICKET)
    test = [one[metric] for one in means.values()]
    at_start, guess = (_values(rows, arm, metric, 0) for arm in (TICKET, CHANCE))
    names = phases(test, margin) if learned(at_start, guess) else []
    curves = _curves(rows, means, metric)
    axes = ("log2 of 1 / weights kept", f"{metric.removeprefix('test_').replace('_', ' ')}, or a fraction")
    text = _text(means, names, metric, margin)
    return Outcome(rows, text, curves, axes, tables=_tables(rows, names, metric))


def phases(test: Sequence[float], margin: float) -> list[str]:
    """Return the phase of each level, dense first, by test accuracies of which more is better.

    Sweet is above dense by more than `margin`; critical below by more than that, with a sweet level to come; collapsed
    below like all sparser ones. Light are the others before the first of these, and those after are between phases.
    """
    found: list[str] = []
    gaps = [value - test[0] for value in test]
    for level, gap in enumerate(gaps):
        if gap > margin:
            found.append(SWEET)
        elif gap < -margin and any(later > margin for later in gaps[level:]):
            found.append(CRITICAL)
        elif all(later < -margin for later in gaps[level:]):
            found.append(COLLAPSED)
        else:
            found.append(LIGHT if gap >= -margin and set(found) <= {LIGHT} else BETWEEN)
    return found


def _of_levels(search: Search, replicate: Replicate) -> list[Row]:
    """Return the rows of a seed's tickets, dense as that of level 0, and of the best guess; of a plan none."""
    rows = [_row(row) for row in replicate.rows if row["arm"] in (TICKET, CHANCE) and row["at"] == "final"]
    initial, names = replicate.initial.state, list(search.dense)
    labels = {(row["level"], row["seed"]): row for row in rows if row["arm"] == TICKET}
    for (level, _), row in labels.items():
        trained = replicate.found[level].trained
        if trained is None or not is_known(trained.final):
            continue
        masks = replicate.levels[level]
        moved = flat(trained.final, names) - flat(initial, names)
        kept = flat({name: mask.double() for name, mask in masks.items()}, names)
        for name, value in zip(DISTANCES, (moved.norm(), (moved * kept).norm()), strict=True):
            rows.append({**row, "metric": name, "value": float(value)})
    return rows


def _row(row: Mapping[str, object]) -> Row:
    return {
        "study": "double-descent",
        **{key: row[key] for key in ("arm", "level", "sparsity", "seed", "draw", "metric", "value")},
    }


def _values(rows: Sequence[Row], arm: str, metric: str, level: int) -> list[float]:
    return [row["value"] for row in rows if (row["arm"], row["metric"], row["level"]) == (arm, metric, level)]


def _others(rows: Sequence[Row]) -> list[str]:
    """Return the arms that are trained beside the ticket."""
    return [arm for arm in dict.fromkeys(row["arm"] for row in rows) if arm not in (TICKET, CHANCE)]


def _means(rows: Sequence[Row], arm: str) -> dict[int, dict[str, float]]:
    """Return by level, from 0, the means over seeds of all metrics of an arm, and the sparsity."""
    found: dict[int, dict[str, list[float]]] = {}
    for row in rows:
        if row["arm"] == arm:
            of_level = found.setdefault(row["level"], {"sparsity": []})
            of_level.setdefault(row["metric"], []).append(row["value"])
            of_level["sparsity"].append(row["sparsity"])
    return {level: {name: statistics.fmean(of) for name, of in found[level].items()} for level in sorted(found)}


def _curves(rows: Sequence[Row], means: Mapping[int, Mapping[str, float]], metric: str) -> list[Curve]:
    def points(of: Mapping[int, Mapping[str, float]], name: str, scale: float = 1) -> list[tuple[float, float]]:
        return [(-math.log2(1 - one["sparsity"]), one[name] / scale) for one in of.values() if name in one]

    curves = [Curve(metric.replace("_", " "), points(means, metric))]
    curves += [Curve(words, points(means, name)) for name, words in TRAINED.items()]
    curves += [
        Curve(f"{metric.replace('_', ' ')}, {arm_label(arm)}", points(_means(rows, arm), metric))
        for arm in _others(rows)
    ]
    distance = points(means, "distance_from_start")
    largest = max((value for _, value in distance), default=0.0)
    if largest:
        curves.append(Curve("distance from the start, of its largest", points(means, "distance_from_start", largest)))
    return [curve for curve in curves if curve.points]


def _tables(rows: Sequence[Row], names: Sequence[str], metric: str) -> tuple[Table, ...]:
    heads = {metric: metric.replace("_", " "), **TRAINED, **DISTANCES}
    lines: dict[str, dict[str, list[float]]] = {}
    for number, (level, one) in enumerate(_means(rows, TICKET).items()):
        phase = f", {names[number]}" if names else ""
        cells = lines.setdefault(f"{level}: {show_sparsity(one['sparsity'])}{phase}", {})
        for name, head in heads.items():
            cells[head] = _values(rows, TICKET, name, level)
        for arm in _others(rows):
            cells[arm_label(arm)] = _values(rows, arm, metric, level)
    lines = {line: {head: of for head, of in cells.items() if of} for line, cells in lines.items()}
    plain = set(DISTANCES.values())

    def shown(head: str, value: float) -> str:
        return f"{value:.3g}" if head in plain else show(metric, value)

    return table_of(f"{describe([metric])} by level, sparsity and phase", "level", lines, shown)


def _text(means: Mapping[int, Mapping[str, float]], names: Sequence[str], metric: str, margin: float) -> str:
    if not means:
        return ""
    levels, test = list(means), [one[metric] for one in means.values()]
    dense = f"Dense: {metric.replace('_', ' ')} {show(metric, test[0])}"
    if not names:
        return f"{dense}, which is not above a guess by three standard deviations, so that nothing is said of phases."
    said = [f"{dense}."]
    for phase in (LIGHT, CRITICAL, SWEET, COLLAPSED):
        of = [number for number, name in enumerate(names) if name == phase and number]
        if of:
            at = (min if phase == CRITICAL else max)(of, key=lambda number: test[number])
            extreme = "lowest" if phase == CRITICAL else "highest"
            where = f"{extreme} at level {levels[at]}, {show(metric, test[at] - test[0], sign='+')} to dense"
            said.append(f"{phase.capitalize()}: level {show_numbers(levels[number] for number in of)}, {where}.")
    for name in DISTANCES:
        found = {level: one[name] for level, one in means.items() if name in one}
        if found:
            whose = "Prunable" if name == "distance_from_start" else "Kept"
            said.append(f"{whose} weights end farthest from the start at level {max(found, key=found.__getitem__)}.")
    limit = show(metric, margin)
    said.append(
        f"Sweet is above dense by more than {limit}, critical below by more, with a sweet level to come, collapsed "
        "below like all sparser ones. Training accuracy is by the labels that were trained on. Distances are L2 norms "
        "over the prunable weights, pruned ones at 0, or over the kept ones alone."
    )
    return " ".join(said)
