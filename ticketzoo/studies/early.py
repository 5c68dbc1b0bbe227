"""The early phase of training: how far weights have moved after 0, 1, 2, 4, ... iterations, and what they are worth."""

import statistics
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from ticketzoo.evaluation.metrics import describe, show
from ticketzoo.evaluation.tables import Table
from ticketzoo.finding.config import RewindingConfig
from ticketzoo.finding.lab import RecipeLab
from ticketzoo.finding.method import Start, Trained
from ticketzoo.finding.run import Search
from ticketzoo.models.state import State
from ticketzoo.runs.store import Store
from ticketzoo.studies.study import STUDIES, Curve, NetworkStudyConfig, Outcome, Row, StudyRecipe, is_known
from ticketzoo.studies.tables import table_of
from ticketzoo.training.parametrisation import measuring

SIGNS, COSINE = "sign changes", "cosine of updates"
HEADS = {
    "mean_magnitude": "mean magnitude",
    "distance_from_start": "distance from the start",
    "distance_to_end": "to the end",
    "sign_changes": SIGNS,
    "update": "size of the next update",
    "update_cosine": COSINE,
}
"""Headings of statistics, by their name in rows."""


class EarlyConfig(NetworkStudyConfig):
    """The keys of the study `early`.

    Attributes:
        name: name of the study.
    """

    name: str = "early"


@STUDIES.add(
    "early",
    config=EarlyConfig,
    cite="Frankle et al. 2020b, section 4",
    words="the weights of dense training after 0, 1, 2, 4, ... iterations: how far they moved, what they are worth",
)
def study(recipe: StudyRecipe, store: Store) -> Outcome:
    """Train dense networks, keep the states around these iterations, and measure each as it is."""
    config = recipe.study
    assert isinstance(config, EarlyConfig)
    search = config.search(recipe.name, store, finder=RewindingConfig(levels=1))
    points = iterations(config.training.steps.iterations(search.task.steps_per_epoch(config.training.batch_size)))
    store.progress.planned(len(config.seeds) * (1 + len(points)))
    found = store.each(lambda seed: list(_of_seed(search, seed, points)), config.seeds)
    rows = [row for of_seed in found for row in of_seed]
    return outcome_of(rows, f"test_{search.task.metric.name}")


def outcome_of(rows: list[Row], metric: str) -> Outcome:
    """Return table, text and plot of the study's rows, by the metric that decides."""
    points = sorted({row["iteration"] for row in rows})
    curves = [Curve(words, _course(rows, name)) for name, words in _fractions(metric).items()] if rows else []
    axes = ("log2 of 1 + iterations", f"{metric.removeprefix('test_').replace('_', ' ')}, or a fraction")
    return Outcome(rows, _text(rows, points, metric), curves, axes, tables=_tables(rows, points, metric))


def iterations(end: int) -> list[int]:
    """Return 0, 1, 2, 4, ... below `end`, and `end`."""
    powers = [2**number for number in range(end.bit_length())]
    return [0, *(step for step in powers if step < end), end]


def _of_seed(search: Search, seed: int, points: Sequence[int]) -> Iterator[Row]:
    """Yield the rows of a seed, by iteration; of a plan none."""
    lab, end = search.lab(seed), points[-1]
    around = {step + by for step in points for by in (-1, 0, 1)}
    trained = lab.train(lab.dense, lab.initial, keep=sorted(step for step in around if 0 < step < end))
    for step in points:
        start, what = _told_apart(trained, step, end), f"after {step}"
        record = lab.train(lab.dense, start, learn=measuring(start.state), keep_final=False, what=what).record
        if not record.final:
            continue
        measured = {key: value for key, value in record.final.items() if key != "step"}
        for metric, value in {**_moved(lab, trained, step, end), **measured}.items():
            yield {"study": "early", "seed": seed, "iteration": step, "metric": metric, "value": value}


def _state(trained: Trained, step: int, end: int) -> State:
    return trained.final if step == end else trained.at(step).state


def _told_apart(trained: Trained, step: int, end: int) -> Start:
    """Return the state as a start of step 0; in a plan, where nobody knows it, another for each step."""

    def read() -> State:
        state = _state(trained, step, end)
        return state if is_known(state) else {name: tensor + 0.01 * (1 + step) for name, tensor in state.items()}

    return Start(read)


def _moved(lab: RecipeLab, trained: Trained, step: int, end: int) -> dict[str, float]:
    """Return the statistics of prunable weights after `step` updates, see `HEADS`."""

    def weights(at: int) -> Tensor:
        return flat(_state(trained, at, end), list(lab.dense))

    here, first, last = weights(step), weights(0), weights(end)
    found = {
        "mean_magnitude": float(here.abs().mean()),
        "distance_from_start": float((here - first).norm()),
        "distance_to_end": float((here - last).norm()),
        "sign_changes": float((here.sign() != first.sign()).double().mean()),
    }
    if step < end:
        after = weights(step + 1) - here
        found["update"] = float(after.norm())
        if step > 0:
            found["update_cosine"] = cosine(here - weights(step - 1), after)
    return found


def flat(state: Mapping[str, Tensor], names: Sequence[str]) -> Tensor:
    """Return these tensors as one of float64 [weights]."""
    return torch.cat([state[name].double().flatten() for name in names])


def cosine(one: Tensor, other: Tensor) -> float:
    """Return the cosine of the angle between two vectors; 0 where one has no length."""
    lengths = float(one.norm() * other.norm())
    return float(one @ other) / lengths if lengths else 0.0


def _values(rows: Sequence[Row], metric: str, step: int) -> list[float]:
    return [row["value"] for row in rows if (row["metric"], row["iteration"]) == (metric, step)]


def _course(rows: Sequence[Row], metric: str) -> list[tuple[float, float]]:
    found = [(step, _values(rows, metric, step)) for step in sorted({row["iteration"] for row in rows})]
    return [(float(torch.tensor(step + 1.0).log2()), statistics.fmean(of)) for step, of in found if of]


def _fractions(decides: str) -> dict[str, str]:
    """Return what the plot shows, with words."""
    return {decides: decides.replace("_", " "), "sign_changes": SIGNS, "update_cosine": COSINE}


def _tables(rows: Sequence[Row], points: Sequence[int], decides: str) -> tuple[Table, ...]:
    if not rows:
        return ()
    heads = {decides: decides.replace("_", " "), **HEADS}
    lines = {f"{step:,}": {head: _values(rows, metric, step) for metric, head in heads.items()} for step in points}

    def shown(head: str, value: float) -> str:
        if head == heads[decides]:
            return show(decides, value)
        return f"{value:.1%}" if head == SIGNS else f"{value:.2f}" if head == COSINE else f"{value:.3g}"

    return table_of(f"{describe([decides])} and the prunable weights of dense training", "iteration", lines, shown)


def _text(rows: Sequence[Row], points: Sequence[int], decides: str) -> str:
    if not rows:
        return ""
    half = statistics.fmean(_values(rows, "distance_from_start", points[-1])) / 2
    first = next(step for step in points if statistics.fmean(_values(rows, "distance_from_start", step)) >= half)
    changed = statistics.fmean(_values(rows, "sign_changes", points[-1]))
    final = show(decides, statistics.fmean(_values(rows, decides, points[-1])))
    return (
        f"After {points[-1]:,} iterations {decides.replace('_', ' ')} is {final} and {changed:.1%} of the signs have "
        f"changed; of those looked at, {first:,} is the first after which weights are half as far from the start. "
        "Distances are L2 norms over all prunable weights. The cosine is that of the update before and the one after. "
        "An update of SGD without momentum is the gradient times the learning rate."
    )
