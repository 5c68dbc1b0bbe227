"""Perturbed starts: tickets trained from their weights after changes of all kinds, by the size of the change."""

import math
import statistics
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, Field, PositiveInt, model_validator

from ticketzoo.evaluation.arms import ARMS, TICKET, Arm, arm_label, in_order
from ticketzoo.evaluation.controls import Labels
from ticketzoo.evaluation.metrics import describe, metric_of, show
from ticketzoo.evaluation.perturbed_arms import effective_std
from ticketzoo.evaluation.tables import Table
from ticketzoo.finding.config import RewindingConfig
from ticketzoo.finding.run import Replicate, Search
from ticketzoo.runs.store import Job, Store
from ticketzoo.studies.study import STUDIES, Curve, NetworkStudyConfig, Outcome, Row, StudyRecipe
from ticketzoo.studies.tables import table_of
from ticketzoo.util.text import show_sparsity

SIZE = "effective std"


def _perturbs(arm: str) -> str:
    if ARMS[arm].perturbs:
        return arm
    known = ", ".join(entry.name for entry in ARMS.values() if entry.perturbs)
    raise ValueError(f"{arm} changes more than the weights that a ticket starts from; choose of {known}")


class PerturbedConfig(NetworkStudyConfig):
    """The keys of the study `perturbed`.

    Attributes:
        name: name of the study.
        finder: how tickets are found, by iterative pruning.
        arms: changes of the weights that tickets start from, each trained from the ticket's rewind step on, fresh
            weights included; by default all there are.
        arm_levels: levels at which they are trained; all by default.
        draws: random draws of each random arm per seed.
    """

    name: str = "perturbed"
    finder: RewindingConfig = RewindingConfig(levels=5)
    arms: Annotated[tuple[Annotated[Arm, AfterValidator(_perturbs)], ...], Field(min_length=1)] = tuple(
        entry.name for entry in ARMS.values() if entry.perturbs
    )
    arm_levels: tuple[PositiveInt, ...] | None = None
    draws: PositiveInt = 1

    @model_validator(mode="after")
    def _rewinds_weights(self) -> "PerturbedConfig":
        if (self.finder.method, self.finder.rewinding) != ("imp", "weights"):
            raise ValueError("finder: method imp with rewinding weights gives the weights that are changed: set both")
        return self


@STUDIES.add(
    "perturbed",
    config=PerturbedConfig,
    cite="Frankle et al. 2020b, section 5",
    words="tickets trained from changed weights: accuracy by the size of the change, whatever its kind",
)
def study(recipe: StudyRecipe, store: Store) -> Outcome:
    """Find tickets, train them from their rewind weights and from each change of these, and measure its size."""
    config = recipe.study
    assert isinstance(config, PerturbedConfig)
    keys: dict[str, Any] = {"arms": config.arms, "arm_levels": config.arm_levels, "draws": config.draws}
    search = config.search(recipe.name, store, finder=config.finder, reinit_from="rewind-step", **keys)
    store.progress.planned(search.recipe.trainings)
    replicates = store.each(search.replicate, config.seeds)
    rows = [row for one in replicates for row in _ticket_rows(search, one)]
    rows += [row for one in replicates for row in _arm_rows(search, one, store)]
    return outcome_of(rows, f"test_{search.task.metric.name}")


def outcome_of(rows: list[Row], metric: str) -> Outcome:
    """Return tables, text and plot of the study's rows, by the metric that decides."""
    levels = sorted({row["level"] for row in rows if row["level"]})
    curves = [Curve(f"level {level}", list(_means(rows, level, metric).values())) for level in levels]
    axes = (f"{SIZE} of the change of kept weights", metric.replace("_", " "))
    tables = [table for level in levels for table in _tables(rows, level, metric)]
    return Outcome(rows, _text(rows, levels, metric), curves, axes, tables=tables, joined=False)


def _ticket_rows(search: Search, replicate: Replicate) -> list[Row]:
    found = [row for row in replicate.rows if row["arm"] != "chance" and row["at"] == "final"]
    return [_row(row, 0.0) for row in found if row["arm"] != TICKET or row["level"] in search.recipe.control_levels]


def _arm_rows(search: Search, replicate: Replicate, store: Store) -> list[Row]:
    """Return the rows of a seed's arms; of a plan none."""
    initial = replicate.initial.state

    def measure(control: tuple[Job, Labels]) -> list[Row]:
        (job, labels), (found, _) = control, search.measure(control)
        before, masks = replicate.found[labels["level"]].start.state, replicate.levels[labels["level"]]
        size = effective_std(before, job.state, masks, initial)
        return [_row(row, size) for row in found if row["at"] == "final"]

    return [row for rows in store.each(measure, search.controls(replicate)) for row in rows]


def _row(row: Row, size: float) -> Row:
    kept = {key: row[key] for key in ("arm", "level", "sparsity", "seed", "draw")}
    return {"study": "perturbed", **kept, "effective_std": size, "metric": row["metric"], "value": row["value"]}


def _of(rows: Sequence[Row], level: int, metric: str, arm: str) -> list[Row]:
    return [row for row in rows if (row["level"], row["metric"], row["arm"]) == (level, metric, arm)]


def _means(rows: Sequence[Row], level: int, metric: str) -> dict[str, tuple[float, float]]:
    """Return the mean size of the change and the mean number of each arm, the ticket included."""
    found = {}
    for arm in in_order(row["arm"] for row in rows if row["level"] == level and row["level"]):
        of = _of(rows, level, metric, arm)
        found[arm] = statistics.fmean(row["effective_std"] for row in of), statistics.fmean(row["value"] for row in of)
    return found


def rank_correlation(rows: Sequence[Row], level: int, metric: str) -> float | None:
    """Return Spearman's rank correlation of size and number over arms, the ticket included; None where it has none."""
    from scipy.stats import spearmanr

    means = list(_means(rows, level, metric).values())
    if len(means) < 3 or any(len({one[part] for one in means}) == 1 for part in (0, 1)):
        return None
    return float(spearmanr([size for size, _ in means], [value for _, value in means]).statistic)


def _tables(rows: Sequence[Row], level: int, metric: str) -> tuple[Table, ...]:
    means = _means(rows, level, metric)
    if not means:
        return ()
    lines = {}
    for arm in sorted(means, key=lambda one: means[one][0]):
        by_seed: dict[int, list[Row]] = {}
        for row in _of(rows, level, metric, arm):
            by_seed.setdefault(row["seed"], []).append(row)
        columns = {SIZE: "effective_std", metric.replace("_", " "): "value"}
        lines[arm_label(arm)] = {
            head: [statistics.fmean(row[key] for row in of) for of in by_seed.values()] for head, key in columns.items()
        }
    sparsity = next(row["sparsity"] for row in rows if row["level"] == level)
    caption = f"{describe([metric])} at level {level}, sparsity {show_sparsity(sparsity)}, by the size of the change"
    return table_of(caption, "arm", lines, lambda head, value: f"{value:.2f}" if head == SIZE else show(metric, value))


def _text(rows: Sequence[Row], levels: Sequence[int], metric: str) -> str:
    if not rows:
        return ""
    dense = statistics.fmean(row["value"] for row in _of(rows, 0, metric, "dense"))
    said = [f"Dense: {metric.replace('_', ' ')} {show(metric, dense)}."]
    for level in levels:
        found, number = rank_correlation(rows, level, metric), len(_means(rows, level, metric))
        rank = "none, as arms do not differ" if found is None or math.isnan(found) else f"{found:+.2f}"
        said.append(f"Spearman's rank correlation of size and {metric_of(metric).name} at level {level}: {rank}")
        said[-1] += f" ({number} arms, the ticket included)."
    explained = (
        "the root mean square of the change of kept weights over the standard deviation of their layer at step 0"
    )
    return " ".join([*said, f"{SIZE.capitalize()}: {explained}."])
