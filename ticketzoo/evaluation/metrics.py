"""Metrics of rows in words and in numbers for people.

A row's metric is a split and a name, such as `test_accuracy`; its value is never in percent.
"""

from collections.abc import Collection, Iterable, Mapping

from ticketzoo.tasks.metrics import Metric, metric_called
from ticketzoo.ticket.rows import DEFAULT_METRIC

DEFAULT = DEFAULT_METRIC

LESS_IS_BETTER = "less is better"


def metric_of(metric: str) -> Metric:
    """Return the metric of a row's `metric`, without the split."""
    return metric_called(metric.partition("_")[2])


def beside_of(metric: str) -> str:
    """Return the metric, as rows name it, by which a ticket has to match dense, too; empty where there is none."""
    name = metric_of(metric).beside
    return f"{metric.partition('_')[0]}_{name}" if name else ""


def words(metric: str) -> str:
    """Return a metric in words: "test accuracy", "test F1", "validation loss"."""
    split, _, name = metric.partition("_")
    return f"{split} {metric_of(metric).words or name.replace('_', ' ')}"


def scale(metric: str) -> int:
    """Return what a value is multiplied by to be shown: 100 for fractions and correlations, else 1."""
    return 1 if metric_of(metric).unit == "plain" else 100


def show(metric: str, value: float, *, sign: str = "") -> str:
    """Return a value or a difference of values as tables show it, without the unit that `describe` names."""
    return f"{value * scale(metric):{sign}.{2 if scale(metric) == 100 else 4}f}"


def describe(metrics: Iterable[str], *, points: bool = False, falling: Collection[str] = ()) -> str:
    """Return metrics in words with their unit: "Test accuracy (%)", or in `points` of percent for a difference.

    Where there are several, each target has its own. `falling` are those of which less is better.
    """
    several = sorted(set(metrics))
    if len(several) != 1:
        scaled = "x 100" if all(scale(metric) == 100 for metric in several) else "fractions and correlations x 100"
        return f"Each target's metric ({scaled})"
    (metric,) = several
    text = words(metric)[0].upper() + words(metric)[1:]
    unit = {"percent": "percentage points" if points else "%", "points": "x 100", "plain": ""}[metric_of(metric).unit]
    remarks = ", ".join(remark for remark in (unit, LESS_IS_BETTER if metric in falling else "") if remark)
    return f"{text} ({remarks})" if remarks else text


def as_error(metric: str, *, points: bool = False) -> str:
    """Return a metric as what it is 1 minus of, in words: "Test accuracy (%), as an error"; "Test loss" as it is."""
    return describe([metric], points=points) + ", as an error" * metric_of(metric).higher_is_better


def titles(metrics: Mapping[str, str], *, falling: Collection[str] = ()) -> dict[str, str]:
    """Return headings of targets, by target: with each its metric, where `metrics`, by target, differ.

    `falling` are those of which less is better.
    """
    if len(set(metrics.values())) == 1:
        return {target: target for target in metrics}
    return {
        target: f"{target} ({words(metric).partition(' ')[2]}{f', {LESS_IS_BETTER}' if metric in falling else ''})"
        for target, metric in metrics.items()
    }


def with_unit(metric: str, value: float) -> str:
    """Return a value that stands alone: "97.81%", "54.50 (x 100)", "2.3026"."""
    return show(metric, value) + {"percent": "%", "points": " (x 100)", "plain": ""}[metric_of(metric).unit]
