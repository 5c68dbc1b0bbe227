"""Errors, or losses, along lines in words for people."""

from ticketzoo.evaluation.metrics import metric_of, scale, words


def error_words(metric: str) -> str:
    """Return what is looked at along a line: "test error" of an accuracy, "test loss" of a loss."""
    split, _, name = metric.partition("_")
    if name == "accuracy":
        return f"{split} error"
    return words(metric) + " as an error" * metric_of(metric).higher_is_better


def unit(metric: str) -> str:
    """Return the unit that numbers are shown in: "%", "x 100" or none."""
    return {"percent": "%", "points": "x 100"}.get(metric_of(metric).unit, "")


def in_brackets(metric: str, *, points: bool = False) -> str:
    """Return the unit as it follows a heading, " (%)", or " (points of %)" for a difference; empty if none."""
    if not unit(metric):
        return ""
    return f" ({'points of ' * (points and unit(metric) == '%')}{unit(metric)})"


def limit(threshold: float, metric: str) -> str:
    """Return a threshold as it was stated: "0.5%", "0.02"."""
    return f"{scale(metric) * threshold:g}{'%' * (unit(metric) == '%')}"
