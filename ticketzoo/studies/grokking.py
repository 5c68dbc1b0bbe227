"""Grokking: how long after fitting a network generalises, and whether a ticket shortens that."""

import math
import statistics
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, Field, NonNegativeFloat

from ticketzoo.errors import RecipeError
from ticketzoo.evaluation.metrics import show
from ticketzoo.evaluation.statistics import summarise
from ticketzoo.evaluation.tables import Table
from ticketzoo.finding.config import RewindingConfig
from ticketzoo.finding.method import Start
from ticketzoo.finding.run import Search
from ticketzoo.masks.masks import sparsity
from ticketzoo.runs.store import Store
from ticketzoo.studies.grokking_arms import DENSE, GROKKING_ARMS, Grokked
from ticketzoo.studies.study import STUDIES, Curve, NetworkStudyConfig, Outcome, Row, StudyRecipe, is_known
from ticketzoo.training.config import TrainingConfig
from ticketzoo.util.text import show_sparsity

FITS, GENERALISES, DELAY = "steps_to_train", "steps_to_test", "delay"
POINTS = 32
"""Steps of a training, evenly spaced on a log scale, of whose accuracies there are rows."""


class GrokkingConfig(NetworkStudyConfig):
    """The keys of the study `grokking`.

    Attributes:
        name: name of the study.
        keep: fraction of the weights that tickets keep.
        include: parameters that are pruned beside weights of linear and convolution layers, by pattern; by default all.
        arms: what is trained, each from the weights of step 0; the ticket's masks come of the dense training that
            `training` describes.
        decays: weight decays, with each of which every arm is trained.
        threshold: accuracy from which on a split counts as fitted, or as generalised to.
        halfway: test accuracy from which on a network counts as half-way there.
    """

    name: str = "grokking"
    keep: Annotated[float, Field(gt=0, lt=1)] = 0.4
    include: tuple[str, ...] = ("*",)
    arms: Annotated[tuple[Annotated[str, AfterValidator(GROKKING_ARMS.known)], ...], Field(min_length=1)] = tuple(
        GROKKING_ARMS
    )
    decays: Annotated[tuple[NonNegativeFloat, ...], Field(min_length=1)] = (1.0, 0.0)
    threshold: Annotated[float, Field(gt=0, le=1)] = 0.99
    halfway: Annotated[float, Field(gt=0, lt=1)] = 0.5


@STUDIES.add(
    "grokking",
    config=GrokkingConfig,
    cite="Minegishi et al. 2023; Power et al. 2022",
    words="the steps by which a network fits its training split, and those by which it generalises, of tickets too",
)
def study(recipe: StudyRecipe, store: Store) -> Outcome:
    """Train dense networks until they generalise, and from step 0 again what is left of them by several masks.

    Raises:
        RecipeError: the task does not measure the course of trainings.
    """
    config = recipe.study
    assert isinstance(config, GrokkingConfig)
    finder = RewindingConfig(levels=1, rate=round(1 - config.keep, 12), include=config.include, allow_dead_layers=True)
    search = config.search(recipe.name, store, finder=finder)
    check_course(search)
    store.progress.planned(len(config.seeds) * (1 + len(config.arms) * len(config.decays)))
    found = [_dense(search, seed, config) for seed in config.seeds]
    asked = [(of, arm, decay) for of in found for arm in config.arms for decay in config.decays]
    rows = [row for of in store.each(lambda one: _trained(config, *one), asked) for row in of]
    return outcome_of(rows, config.threshold, config.training.optimizer.weight_decay)


def check_course(search: Search) -> None:
    """Raise RecipeError unless the task's trainings are measured on both splits while they go on."""
    if not getattr(search.task, "measures_course", False):
        what = f"{search.recipe.task.type} measures trainings at their end"
        raise RecipeError(f"study.task: {what}, and this study their course: take modular-addition")


def outcome_of(rows: list[Row], threshold: float = 0.99, base: float = 1.0) -> Outcome:
    """Return tables, text and plot of the study's rows; tickets come of dense trainings with weight decay `base`."""
    arms = list(dict.fromkeys(row["arm"] for row in rows))
    curves = [Curve(f"{arm}, test", _course(rows, arm, base, "test_accuracy")) for arm in arms]
    if DENSE in arms:
        curves.insert(0, Curve(f"{DENSE}, training", _course(rows, DENSE, base, "train_accuracy")))
    axes = (f"log10 of iterations, weight decay {base:g}", "accuracy")
    decays = list(dict.fromkeys(row["decay"] for row in rows))
    tables = [_table(rows, arms, decay, threshold) for decay in decays]
    return Outcome(rows, _text(rows, arms, decays, threshold, base), curves, axes, tables=tables)


def first_at(course: Iterable[Mapping[str, Any]], metric: str, threshold: float) -> int | None:
    """Return the first step at which a metric had come to `threshold`; None where it never had."""
    return next((point["step"] for point in course if point[metric] >= threshold), None)


def _dense(search: Search, seed: int, config: GrokkingConfig) -> Grokked:
    """Return a seed's dense training, trained once more to the steps that it itself tells, whose states are kept."""
    lab = search.lab(seed)
    course = lab.train(lab.dense, lab.initial, what=DENSE).record.curve
    memorised = first_at(course, "train_accuracy", config.threshold)
    halfway = first_at(course, "test_accuracy", config.halfway)
    if not course:  # of a plan nothing is known
        memorised, halfway = 1, 2
    kept = sorted({step for step in (memorised, halfway) if step is not None})
    return Grokked(lab, lab.train(lab.dense, lab.initial, what=DENSE, keep=kept), memorised, halfway)


def _trained(config: GrokkingConfig, of: Grokked, name: str, decay: float) -> list[Row]:
    """Return the rows of an arm; none where it cannot be, and none of a plan."""
    arm = GROKKING_ARMS[name]
    masks = arm.make(of)
    if masks is None:
        of.lab.cells.progress.warn(f"seed {of.lab.seed}: the dense network never came to where {name} is taken from")
        return []
    state = of.lab.initial.state if arm.start is None else arm.start(of)
    if not is_known(of.trained.final) and name != DENSE:  # in a plan, where masks of all arms are the same
        state = {key: tensor + 0.01 * (1 + list(GROKKING_ARMS).index(name)) for key, tensor in state.items()}
    training = _with_decay(config.training, decay)
    trained = of.lab.train(masks, Start(lambda: state), training=training, what=f"{name}, weight decay {decay:g}")
    course = trained.record.curve
    if not course:
        return []
    about = {"study": "grokking", "arm": name, "decay": decay, "seed": of.lab.seed, "sparsity": sparsity(masks)}
    about["iterations"] = course[-1]["step"]
    fits, generalises = (first_at(course, f"{split}_accuracy", config.threshold) for split in ("train", "test"))
    steps = {FITS: fits, GENERALISES: generalises}
    if fits is not None and generalises is not None:
        steps[DELAY] = generalises - fits
    rows = [about | {"metric": key, "value": value} for key, value in steps.items() if value is not None]
    for point in spaced(course):
        for metric in ("train_accuracy", "test_accuracy"):
            rows.append(about | {"metric": metric, "at": point["step"], "value": point[metric]})
    return rows


def spaced(course: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return `POINTS` points of a course at most, the first and the last among them, evenly spaced by log of step."""
    first, last = course[0]["step"], course[-1]["step"]
    wanted = [first * (last / first) ** (number / (POINTS - 1)) for number in range(POINTS)]
    chosen = {min(course, key=lambda point: abs(point["step"] - step))["step"] for step in wanted}
    return [point for point in course if point["step"] in chosen]


def _with_decay(training: TrainingConfig, decay: float) -> TrainingConfig:
    optimizer = training.optimizer.model_copy(update={"weight_decay": decay})
    return training.model_copy(update={"optimizer": optimizer})


def _of(rows: Sequence[Row], arm: str, decay: float, metric: str) -> list[Row]:
    return [row for row in rows if (row["arm"], row["decay"], row["metric"]) == (arm, decay, metric)]


def _course(rows: Sequence[Row], arm: str, decay: float, metric: str) -> list[tuple[float, float]]:
    """Return the means over seeds at the steps of which there are rows."""
    at: dict[int, list[float]] = {}
    for row in _of(rows, arm, decay, metric):
        at.setdefault(row["at"], []).append(row["value"])
    return [(math.log10(step), statistics.fmean(at[step])) for step in sorted(at)]


def _seeds(rows: Sequence[Row], arm: str, decay: float) -> Collection[int]:
    return {row["seed"] for row in _of(rows, arm, decay, "test_accuracy")}


def _iterations(rows: Sequence[Row]) -> int:
    return max(row["iterations"] for row in rows)


def reached(rows: Sequence[Row], arm: str, decay: float, metric: str) -> str:
    """Return the mean of steps with half its interval, over the seeds that came so far, or that none did."""
    values, seeds = [row["value"] for row in _of(rows, arm, decay, metric)], len(_seeds(rows, arm, decay))
    if not seeds:
        return "not trained"
    if not values:
        return f"not reached in {_iterations(rows):,}"
    summary = summarise(values)
    half = "" if summary.half_width is None else f" ± {summary.half_width:,.0f}"
    return f"{summary.mean:,.0f}{half}" + (f" ({len(values)} of {seeds} seeds)" if len(values) < seeds else "")


def _table(rows: Sequence[Row], arms: Sequence[str], decay: float, threshold: float) -> Table:
    lines = []
    for arm in arms:
        last = [row["value"] for row in _of(rows, arm, decay, "test_accuracy") if row["at"] == row["iterations"]]
        steps = [reached(rows, arm, decay, metric) for metric in (FITS, GENERALISES, DELAY)]
        sparsities = {row["sparsity"] for row in rows if row["arm"] == arm}
        final = show("test_accuracy", statistics.fmean(last)) if last else ""
        lines.append((arm, show_sparsity(min(sparsities)), *steps, final))
    seeds = max((len(_seeds(rows, arm, decay)) for arm in arms), default=0)
    what = f"Iterations until accuracy is {threshold:.0%}, with weight decay {decay:g}"
    over = f"means over {seeds} seeds ± half-width of the 95% interval" if seeds > 1 else "one seed, so no interval"
    heads = ("arm", "sparsity", "training split", "test split", "delay", "test accuracy at the end")
    return Table(f"{what}: {over}.", heads, "l" + "r" * (len(heads) - 1), tuple(lines))


def _text(rows: Sequence[Row], arms: Sequence[str], decays: Sequence[float], threshold: float, base: float) -> str:
    if not rows:
        return ""
    seeds, came = _seeds(rows, DENSE, base), len(_of(rows, DENSE, base, GENERALISES))
    at = f"{threshold:.0%} test accuracy"
    if came < len(seeds) or not seeds:
        what = f"{_iterations(rows):,} iterations with weight decay {base:g}"
        asked = f"reached {at} in {came} of {len(seeds)} seeds" if seeds else f"was not asked for {at}"
        return f"The dense network {asked} within {what}: of tickets nothing is said."
    steps = [reached(rows, DENSE, base, metric) for metric in (FITS, GENERALISES, DELAY)]
    said = [
        f"The dense network fits {threshold:.0%} of the training split after {steps[0]} iterations and reaches {at} "
        f"after {steps[1]}, with weight decay {base:g}: a delay of {steps[2]}."
    ]
    for decay in decays:
        of_arms = [f"{arm} {reached(rows, arm, decay, DELAY)}" for arm in arms if arm != DENSE or decay != base]
        said.append(f"Delays with weight decay {decay:g}: {', '.join(of_arms)}.")
    words = "; ".join(f"{arm}: {GROKKING_ARMS[arm].words}" for arm in arms)
    said.append(f"Steps are those of the first evaluation that found it. What is trained, from step 0: {words}.")
    return " ".join(said)
