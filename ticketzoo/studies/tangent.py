"""Tickets in tangent space: masks of nonlinear and of linear training, trained in both ways."""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Annotated, Any

from pydantic import Field, PositiveInt, model_validator

from ticketzoo.evaluation.arms import CHANCE, DENSE, TICKET
from ticketzoo.evaluation.metrics import describe, metric_of, show
from ticketzoo.evaluation.statistics import summarise
from ticketzoo.evaluation.tables import Table
from ticketzoo.finding.config import RewindingConfig
from ticketzoo.finding.lab import RecipeLab
from ticketzoo.finding.method import Start, Trained
from ticketzoo.finding.run import Replicate, Search
from ticketzoo.masks.masks import Masks, sparsity
from ticketzoo.recipe import Steps
from ticketzoo.runs.store import Store
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
from ticketzoo.training.parametrisation import WEIGHTS
from ticketzoo.training.tangent import TANGENT
from ticketzoo.util.text import show_sparsity

WAYS = {"nonlinear": WEIGHTS, "linear": TANGENT}
"""Ways of training, by name."""
FOUND = {"magnitude": "tangent_ticket", "movement": "tangent_ticket_by_change"}
"""Criteria by which linear training is pruned, |w + D| and |D|, and the arms that their masks are."""


class TangentConfig(NetworkStudyConfig):
    """The keys of the study `tangent`.

    Attributes:
        name: name of the study.
        finder: how the network is pruned round by round, by iterative pruning; `rewinds` says where it rewinds to.
        rewinds: points of training that tickets rewind to, and around which networks are linear.
        arms: what is trained beside the ticket of each level.
        arm_levels: levels at which everything but the search itself is trained; all by default.
    """

    name: str = "tangent"
    finder: RewindingConfig = RewindingConfig(levels=4)
    rewinds: Annotated[tuple[Steps, ...], Field(min_length=1)] = (Steps(0, "it"), Steps(1, "ep"))
    arms: tuple[BesideTicket, ...] = ("random_mask", "random_reinit")
    arm_levels: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _can_be_linear(self) -> "TangentConfig":
        if (self.finder.method, self.finder.rewinding) != ("imp", "weights"):
            raise ValueError("finder: networks are linear around rewind weights of method imp: set rewinding: weights")
        if self.training.precision != "fp32":
            raise ValueError("training.precision: changes of weights are lost in bf16: set it to fp32")
        return self


@STUDIES.add(
    "tangent",
    config=TangentConfig,
    cite="Fort et al. 2020",
    words="tickets of ordinary training and of training linear in the weights, each trained in both ways",
)
def study(recipe: StudyRecipe, store: Store) -> Outcome:
    """Find tickets by ordinary and by linear training for each rewind step, and train all of them in both ways."""
    config = recipe.study
    assert isinstance(config, TangentConfig)
    keys: dict[str, Any] = {"arms": (TICKET, DENSE, *config.arms), "arm_levels": config.arm_levels, "draws": 1}
    rows: list[Row] = []
    seeds, points = len(config.seeds), len(config.rewinds)
    store.progress.planned(seeds * points * _trainings(config))
    for rewind in config.rewinds:
        finder = config.finder.model_copy(update={"rewind": rewind})
        search = config.search(recipe.name, store, finder=finder, reinit_from="rewind-step", **keys)
        for replicate in store.each(search.replicate, config.seeds):
            rows += _of_seed(search, replicate)
    return outcome_of(rows, f"test_{search.task.metric.name}")


def _trainings(config: TangentConfig) -> int:
    """Return the trainings of a seed at a rewind step."""
    levels = config.finder.levels
    measured = levels if config.arm_levels is None else len(config.arm_levels)
    return 2 * (1 + len(config.arms) * measured) + levels + measured + len(FOUND) * (levels + measured)


def _of_seed(search: Search, replicate: Replicate) -> list[Row]:
    """Return the rows of a seed; of a plan none."""
    lab, levels = search.lab(replicate.seed), search.recipe.control_levels
    start, dense = replicate.found[1].start, replicate.levels[0]
    about = {"study": "tangent", "rewind": start.step, "seed": replicate.seed}
    rows = [
        about
        | {"arm": CHANCE, "training": "", "level": 0, "sparsity": 0.0, "metric": row["metric"], "value": row["value"]}
        for row in replicate.rows
        if (row["arm"], row["at"]) == (CHANCE, "final")
    ]

    def add(arm: str, training: str, level: int, masks: Masks, trained: Trained) -> None:
        labels = {"arm": arm, "training": training, "level": level, "sparsity": sparsity(masks)}
        final = trained.record.final
        rows.extend(
            about | labels | {"metric": key, "value": final[key]} for key in sorted(final) if key.startswith("test_")
        )

    for level in (0, *levels):
        masks, trained, arm = replicate.levels[level], replicate.found[level].trained, TICKET if level else DENSE
        assert trained is not None
        add(arm, "nonlinear", level, masks, trained)
        lab.level = level
        add(arm, "linear", level, masks, lab.train(masks, start, learn=TANGENT, what=f"{arm}, linear"))
    for job, labels in search.controls(replicate):
        lab.level = labels["level"]
        for training, learn in WAYS.items():
            begun = Start(lambda job=job: job.state, job.start_step)  # type: ignore[misc]
            trained = lab.train(job.masks, begun, learn=learn, what=f"{labels['arm']}, {training}")
            add(labels["arm"], training, labels["level"], job.masks, trained)
    for criterion, arm in FOUND.items():
        for level, trained in _pruned_linearly(lab, dense, start, criterion):
            if level in levels:
                add(arm, "linear", level, trained.masks, trained)
                again = lab.train(trained.masks, trained.start, what=f"{arm}, nonlinear")
                add(arm, "nonlinear", level, trained.masks, again)
    return rows


def _pruned_linearly(lab: RecipeLab, dense: Masks, start: Start, criterion: str) -> Iterator[tuple[int, Trained]]:
    """Yield level and training of iterative pruning in which every training is linear."""
    parts = lab.recipe.finder.pruning
    prune = {"criterion": criterion, "scope": parts.scope, "schedule": parts.schedule}
    finder = lab.recipe.finder.model_copy(update={"prune": parts.model_validate(prune)})
    pruning = replace(lab, recipe=lab.recipe.model_copy(update={"finder": finder}))
    masks, trained = dense, lab.train(dense, start, learn=TANGENT)
    for level in range(1, lab.levels + 1):
        masks = pruning.prune(trained, masks, to=level)
        known = is_known(trained.final)
        begun = start if known else replace(start, read=lambda: _apart(start, criterion))
        lab.level = level
        trained = lab.train(masks, begun, learn=TANGENT, what=f"{FOUND[criterion]}, linear")
        yield level, trained


def _apart(start: Start, criterion: str) -> dict[str, Any]:
    """Return weights of a plan, in which masks of all searches are the same, that are another's."""
    shift = 0.01 * (1 + list(FOUND).index(criterion))
    return {name: tensor + shift if tensor.is_floating_point() else tensor for name, tensor in start.state.items()}


def outcome_of(rows: list[Row], metric: str) -> Outcome:
    """Return tables, text and plot of the study's rows, by the metric that decides."""
    rewinds = sorted({row["rewind"] for row in rows})
    tables = [table for rewind in rewinds for training in WAYS for table in _table(rows, rewind, training, metric)]
    arms = dict.fromkeys(row["arm"] for row in rows if row["arm"] not in (CHANCE, DENSE))
    last = rewinds[-1] if rewinds else 0
    curves = [
        Curve(f"{arm}, {training}", _means(rows, last, arm, training, metric)) for training in WAYS for arm in arms
    ]
    axes = (f"sparsity, rewound to iteration {last:,}", metric.replace("_", " "))
    text = " ".join(part for rewind in rewinds for part in _text(rows, rewind, list(arms), metric))
    if text:
        text += (
            " Linear training moves D of f(x; w) + J(x; w) D, w being the weights at the rewind step under the mask. "
            "Masks of tangent_ticket are of the largest |w + D|, those of tangent_ticket_by_change of the largest |D|."
        )
    return Outcome(rows, text, [curve for curve in curves if curve.points], axes, tables=tables)


def _values(rows: Sequence[Row], rewind: int, arm: str, training: str, metric: str, level: int) -> dict[int, float]:
    """Return the numbers by seed."""
    sought = {"rewind": rewind, "arm": arm, "training": training, "metric": metric, "level": level}
    return {row["seed"]: row["value"] for row in rows if sought.items() <= row.items()}


def _levels(rows: Sequence[Row], rewind: int) -> dict[int, float]:
    """Return the sparsities by level, dense among them."""
    found = {row["level"]: row["sparsity"] for row in rows if row["rewind"] == rewind and row["arm"] in (TICKET, DENSE)}
    return dict(sorted(found.items()))


def _means(rows: Sequence[Row], rewind: int, arm: str, training: str, metric: str) -> list[tuple[float, float]]:
    found = []
    for level, of_level in _levels(rows, rewind).items():
        values = _values(rows, rewind, DENSE if arm == TICKET and not level else arm, training, metric, level)
        found += [(of_level, statistics.fmean(values.values()))] if values else []
    return found


def _table(rows: Sequence[Row], rewind: int, training: str, metric: str) -> tuple[Table, ...]:
    arms = dict.fromkeys(row["arm"] for row in rows if row["rewind"] == rewind and row["arm"] != CHANCE)
    lines = {
        arm: {
            show_sparsity(of_level): list(_values(rows, rewind, arm, training, metric, level).values())
            for level, of_level in _levels(rows, rewind).items()
        }
        for arm in arms
    }
    caption = f"{describe([metric])} of {training} training by sparsity, rewound to iteration {rewind:,}"
    return table_of(caption, "arm", lines, lambda _, value: show(metric, value))


def _text(rows: Sequence[Row], rewind: int, arms: Sequence[str], metric: str) -> Iterator[str]:
    """Yield what is to be said of a rewind step: nothing of networks that did not learn."""
    chance = list(_values(rows, rewind, CHANCE, "", metric, 0).values())
    higher = metric_of(metric).higher_is_better
    yield f"Rewound to iteration {rewind:,}:"
    for training in WAYS:
        dense = _values(rows, rewind, DENSE, training, metric, 0)
        if not learned(list(dense.values()), chance, higher=higher):
            yield f"dense {training} training is not above chance, so that nothing is said of it."
            continue
        said = [f"dense {training} training gives {show(metric, statistics.fmean(dense.values()))}"]
        for arm in (TICKET, *FOUND.values()):
            for control in ("random_mask",) if "random_mask" in arms and arm in arms else ():
                said.append(f"{arm} less {control} is {_compared(rows, rewind, (arm, control), training, metric)}")
        yield "; ".join(said) + "."


def _compared(rows: Sequence[Row], rewind: int, arms: tuple[str, str], training: str, metric: str) -> str:
    """Return at how many levels one arm is above another, by the interval of their differences by seed."""
    signs = []
    for level in list(_levels(rows, rewind))[1:]:
        one, other = (_values(rows, rewind, arm, training, metric, level) for arm in arms)
        summary = summarise([one[seed] - other[seed] for seed in one])
        low, high = summary.low, summary.high
        signs.append(0 if low is None or high is None else int(low > 0) - int(high < 0))
    return f"above 0 at {signs.count(1)} levels, below at {signs.count(-1)}, not decided at {signs.count(0)}"
