"""Two tasks in turn: how much of the first a network forgets, by which of its weights the second may move."""

import statistics
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from ticketzoo.errors import RecipeError
from ticketzoo.evaluation.metrics import describe, metric_of, show
from ticketzoo.evaluation.tables import Table
from ticketzoo.finding.config import RewindingConfig
from ticketzoo.finding.lab import RecipeLab, steps_before_the_end
from ticketzoo.finding.method import Start, Trained
from ticketzoo.finding.run import Search
from ticketzoo.models.state import State
from ticketzoo.recipe import Steps
from ticketzoo.runs.plan import Unknown
from ticketzoo.runs.store import Store
from ticketzoo.studies.fine_tuning import WAYS, Stage, fine_tuned, pruned_by
from ticketzoo.studies.study import STUDIES, Curve, NetworkStudyConfig, Outcome, Row, StudyRecipe, is_known
from ticketzoo.studies.tables import table_of
from ticketzoo.tasks import TaskConfig
from ticketzoo.training.parametrisation import NOTHING


class ForgettingConfig(NetworkStudyConfig):
    """The keys of the study `forgetting`.

    Attributes:
        name: name of the study.
        task: the task that comes first.
        then: the task that comes second, of the same kind, for the same network.
        ways: which weights a task may move, each an experiment of its own; all others stay as they were.
        keep: fraction of the weights that a task may move.
        calibrate: length of the fine-tuning of all weights whose changes are ranked.
        include: parameters that are chosen from, by pattern, beside the prunable ones; by default all there are.
    """

    name: str = "forgetting"
    then: TaskConfig
    ways: Annotated[tuple[Annotated[str, AfterValidator(WAYS.known)], ...], Field(min_length=1)] = tuple(WAYS)
    keep: Annotated[float, Field(gt=0, le=0.5)] = 0.1
    calibrate: Steps = Steps(100, "it")
    include: tuple[str, ...] = ("*",)

    @model_validator(mode="after")
    def _calibrates(self) -> "ForgettingConfig":
        if self.calibrate.count <= 0:
            raise ValueError("calibrate must be longer than 0: otherwise no weight has moved")
        return self


@STUDIES.add(
    "forgetting",
    config=ForgettingConfig,
    cite="Panda et al. 2024, section 4.2",
    words="two tasks in turn, by which weights each may move: how much of the first is forgotten",
)
def study(recipe: StudyRecipe, store: Store) -> Outcome:
    """Train on both tasks in turn, once for each way; measure both tasks before, between and after."""
    config = recipe.study
    assert isinstance(config, ForgettingConfig)
    prune = pruned_by("movement", {"levels": [round(1 - config.keep, 12)]})
    finder = RewindingConfig(levels=1, include=config.include, prune=prune, allow_dead_layers=True)
    searches = [config.search(recipe.name, store, task, finder=finder) for task in (config.task, config.then)]
    _check_one_network(*searches)
    steps = [_calibration(config, search) for search in searches]
    each = [(search, count) for search, count in zip(searches, steps, strict=True)]
    trainings = sum(8 + 2 * WAYS[way].calibrates for way in config.ways)
    store.progress.planned(len(config.seeds) * trainings)
    rows = [row for found in store.each(lambda seed: _of_seed(each, seed, config.ways), config.seeds) for row in found]
    tasks = {search.task.name: f"test_{search.task.metric.name}" for search in searches}
    name, metric = next(iter(tasks.items()))
    curves = [Curve(way, _course(rows, way, name, metric)) for way in config.ways]
    axes = ("tasks trained on so far", f"{metric.replace('_', ' ')} of {name}")
    return Outcome(rows, _text(rows, config, tasks), curves, axes, tables=_tables(rows, config, tasks))


def _calibration(config: ForgettingConfig, search: Search) -> int:
    """Return the iterations of the short fine-tuning of a task. Raises RecipeError unless it ends before training."""
    return steps_before_the_end(config.calibrate, search.recipe, search.task)


def _check_one_network(first: Search, second: Search) -> None:
    if first.model.architecture != second.model.architecture:
        raise RecipeError("study.then: it needs another network than study.task, such as another head")
    if first.task.name == second.task.name:
        raise RecipeError(f"study.then: both tasks are called {first.task.name!r}: give one another name")


def _of_seed(searches: Sequence[tuple[Search, int]], seed: int, ways: Sequence[str]) -> list[Row]:
    """Return the rows of a seed, one way after the other: they share what is trained and measured before they part."""
    labs = [search.lab(seed) for search, _ in searches]
    rows = []
    for way in ways:
        start, free = labs[0].initial, labs[0].dense
        rows += _rows(labs, start, way, 0)
        for number, lab in enumerate(labs):
            moved, trained = fine_tuned(Stage(lab, start, free, searches[number][1]), way)
            free = {name: ~mask for name, mask in moved.items()}
            start = Start(partial(_told_apart, trained, way))
            rows += _rows(labs, start, way, number + 1)
    return rows


def _told_apart(trained: Trained, way: str) -> State:
    """Return the trained weights; in a plan, where nobody knows them, others for each way and task."""
    state = trained.final
    if is_known(state):
        return state
    shift = 0.01 * (len(WAYS) + 1 + list(WAYS).index(way))  # once or twice, and no two sums are equal
    return Unknown({name: tensor + shift for name, tensor in state.items()})


def _rows(labs: Sequence[RecipeLab], start: Start, way: str, trained: int) -> list[Row]:
    """Return the numbers of all tasks as the network stands, after `trained` of them."""
    rows = []
    for lab in labs:
        what = f"{lab.task.name} after {trained}{f' of {way}' if trained else ''}"
        record = lab.train(lab.dense, start, learn=NOTHING, keep_final=False, what=what).record
        about = {"study": "forgetting", "way": way, "trained": trained, "task": lab.task.name, "seed": lab.seed}
        rows += [
            {**about, "metric": key, "value": value} for key, value in sorted(record.final.items()) if key != "step"
        ]
    return rows


def _values(rows: Sequence[Row], way: str, trained: int, task: str, metric: str) -> dict[int, float]:
    """Return the numbers of a task by seed."""
    sought = {"way": way, "trained": trained, "task": task, "metric": metric}
    return {row["seed"]: row["value"] for row in rows if sought.items() <= row.items()}


def _course(rows: Sequence[Row], way: str, task: str, metric: str) -> list[tuple[float, float]]:
    found = [(trained, _values(rows, way, trained, task, metric)) for trained in range(3)]
    return [(trained, statistics.fmean(values.values())) for trained, values in found if values]


def _forgotten(rows: Sequence[Row], way: str, task: str, metric: str) -> list[float]:
    """Return what the second task cost the first, a seed each: above 0 is a loss, whichever way the metric goes."""
    learned, left = (_values(rows, way, trained, task, metric) for trained in (1, 2))
    sign = 1 if metric_of(metric).higher_is_better else -1
    return [sign * (learned[seed] - left[seed]) for seed in learned]


def _tables(rows: Sequence[Row], config: ForgettingConfig, tasks: Mapping[str, str]) -> tuple[Table, ...]:
    (first, of_first), (second, of_second) = tasks.items()
    lines = {}
    for way in config.ways:
        of = partial(_values, rows, way)
        lines[way] = {
            f"{first} after it": of(1, first, of_first).values(),
            f"{first} after {second}": of(2, first, of_first).values(),
            "forgotten": _forgotten(rows, way, first, of_first),
            f"{second} after it": of(2, second, of_second).values(),
        }
    caption = f"{describe({of_first, of_second})} by which weights the tasks may move"
    last = f"{second} after it"
    return table_of(caption, "way", lines, lambda column, value: show(of_second if column == last else of_first, value))


def _text(rows: Sequence[Row], config: ForgettingConfig, tasks: Mapping[str, str]) -> str:
    if not rows:
        return ""
    (first, metric), second = next(iter(tasks.items())), list(tasks)[1]
    seeds = f"mean of {len(config.seeds)} seed{'s' * (len(config.seeds) > 1)}"
    told = [f"{way} {show(metric, statistics.fmean(_forgotten(rows, way, first, metric)))}" for way in config.ways]
    text = f"What {second} cost {first}, in {metric.replace('_', ' ')}, {seeds}, above 0 a loss: {', '.join(told)}."
    before = [(task, statistics.fmean(_values(rows, config.ways[0], 0, task, tasks[task]).values())) for task in tasks]
    text += f" Before any training: {', '.join(f'{task} {show(tasks[task], value)}' for task, value in before)}."
    words = "; ".join(f"{way}: {WAYS[way].words}" for way in config.ways)
    return (
        f"{text} A task moves {config.keep:.0%} of the weights, but for `all`; {words}. The others stay as they were."
    )
