"""Metrics as people read them.

A row's metric is a split and a name, such as `test_accuracy`; its value is never in percent.
"""

from collections.abc import Iterable, Mapping

DEFAULT = "test_accuracy"
"""The metric by which arms are compared on a target none of whose rows says otherwise."""

_FRACTIONS = ("accuracy", "f1", "exact_match")
_CORRELATIONS = ("matthews", "pearson", "spearman")
_LESS_IS_BETTER = ("loss", "perplexity")
_WORDS = {
    "f1": "F1",
    "matthews": "Matthews correlation",
    "pearson": "Pearson r",
    "spearman": "Spearman rank correlation",
}


def more_is_better(metric: str) -> bool:
    """Whether a higher value is the better one."""
    return _name(metric) not in _LESS_IS_BETTER


def words(metric: str) -> str:
    """A metric in words: "test accuracy", "test F1", "validation loss"."""
    split = metric.partition("_")[0]
    return f"{split} {_WORDS.get(_name(metric), _name(metric).replace('_', ' '))}"


def scale(metric: str) -> int:
    """What a value is multiplied with to be shown: 100 of fractions and correlations, else 1."""
    return 100 if _name(metric) in (*_FRACTIONS, *_CORRELATIONS) else 1


def show(metric: str, value: float, *, sign: str = "") -> str:
    """A value or a difference of values as tables show it, without the unit that `describe` names."""
    return f"{value * scale(metric):{sign}.{2 if scale(metric) == 100 else 4}f}"


def describe(metrics: Iterable[str], *, points: bool = False) -> str:
    """Metrics in words with their unit: "Test accuracy (%)", or in `points` of percent for a difference.

    Where there are several, each target has its own.
    """
    several = sorted(set(metrics))
    if len(several) != 1:
        return "Each target's metric (x 100)"
    (metric,) = several
    text = words(metric)[0].upper() + words(metric)[1:]
    if _is_fraction(metric):
        return f"{text} ({'percentage points' if points else '%'})"
    return f"{text} (x 100)" if scale(metric) == 100 else text


def titles(metrics: Mapping[str, str]) -> dict[str, str]:
    """Headings of targets, by target: with each its metric, where `metrics`, by target, differ."""
    if len(set(metrics.values())) == 1:
        return {target: target for target in metrics}
    return {target: f"{target} ({words(metric).partition(' ')[2]})" for target, metric in metrics.items()}


def with_unit(metric: str, value: float) -> str:
    """A value that stands alone: "97.81%", "54.50 (x 100)", "2.3026"."""
    if _is_fraction(metric):
        return f"{show(metric, value)}%"
    return f"{show(metric, value)} (x 100)" if scale(metric) == 100 else show(metric, value)


def _is_fraction(metric: str) -> bool:
    return _name(metric) in _FRACTIONS


def _name(metric: str) -> str:
    return metric.partition("_")[2]
