"""The metrics by which arms are compared, and those of predictions by scikit-learn's and scipy's definitions."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from torch import Tensor

from ticketzoo.util.registry import Registry

ROUNDING = 1e-6
"""A mean over many examples may be that far beyond its bounds."""


@dataclass(frozen=True)
class Metric:
    """A number that a task's `evaluate` gives: how it is shown, and which way is better.

    One that is registered (`METRICS.put(Metric("episode_return"))`) is shown as it says; of any other, rows tell the
    name alone, and the direction where less is better.

    Attributes:
        name: as `evaluate` gives it; in rows it follows a split, as in `test_accuracy`.
        higher_is_better: False of a loss or an error.
        unit: "percent" for a fraction, shown times 100 with a percent sign; "points" for a correlation, shown times
            100; "plain" for anything else, shown as it is.
        words: what people call it; by default the name with spaces.
        hub_name: the Hub's identifier for it; by default the name.
        beside: a metric of the same examples by which a ticket has to match dense, too, to match by this one.
        margin: from dense's value to the difference that a matching ticket may lack, unless a recipe states one; by
            default 0.01 of fractions and correlations, 2% of the value of anything else.
        floor: a metric of a network that has learned nothing, where a task gives it: dense has to be beyond that, too.
    """

    name: str
    higher_is_better: bool = True
    unit: Literal["percent", "points", "plain"] = "plain"
    words: str = ""
    hub_name: str = ""
    beside: str = ""
    margin: Callable[[float], float] | None = None
    floor: str = ""

    @property
    def bounds(self) -> tuple[float, float]:
        """Return the smallest and largest value that there can be."""
        return {"percent": (0.0, 1.0), "points": (-1.0, 1.0)}.get(self.unit, (-math.inf, math.inf))

    def can_be(self, value: float) -> bool:
        """Return False for a value beyond the bounds by more than `ROUNDING`; NaN and infinities are no value."""
        low, high = self.bounds
        return not math.isfinite(value) or low - ROUNDING <= value <= high + ROUNDING

    def default_margin(self, dense: float) -> float:
        """Return the margin where a recipe states none and dense's value is `dense`."""
        if self.margin is not None:
            return self.margin(dense)
        return 0.01 if self.unit != "plain" else 0.02 * abs(dense)


def share_of_error(accuracy: float) -> float:
    """Return 5% of the error of dense, at least 0.002: the margin of an accuracy."""
    return max(0.002, 0.05 * (1 - accuracy))


METRICS = Registry("metric", Metric)
"""The metrics that this version knows."""

ACCURACY = METRICS.put(Metric("accuracy", unit="percent", margin=share_of_error))
CLEAN_ACCURACY = METRICS.put(Metric("clean_accuracy", unit="percent", words="accuracy by labels without noise"))
ROBUST_ACCURACY = METRICS.put(Metric("robust_accuracy", unit="percent", beside="accuracy"))
LINEAR_ACCURACY = METRICS.put(
    Metric("linear_accuracy", unit="percent", margin=share_of_error, floor="untrained_linear_accuracy")
)
METRICS.put(
    Metric("untrained_linear_accuracy", unit="percent", words="best linear accuracy of five untrained networks")
)
METRICS.put(Metric("retrieval_accuracy", unit="percent"))
F1 = METRICS.put(Metric("f1", unit="percent", words="F1"))
EXACT_MATCH = METRICS.put(Metric("exact_match", unit="percent"))
MATTHEWS = METRICS.put(Metric("matthews", unit="points", words="Matthews correlation", hub_name="matthews_correlation"))
PEARSON = METRICS.put(Metric("pearson", unit="points", words="Pearson r", hub_name="pearsonr"))
SPEARMAN = METRICS.put(Metric("spearman", unit="points", words="Spearman rank correlation", hub_name="spearmanr"))
PERPLEXITY = METRICS.put(Metric("perplexity", higher_is_better=False))
BITS_PER_BYTE = METRICS.put(Metric("bits_per_byte", higher_is_better=False))
RETURN = METRICS.put(Metric("return", words="return of an episode"))
GREEDY_RETURN = METRICS.put(Metric("greedy_return", words="return of an episode, greedy"))
LOSS = METRICS.put(Metric("loss", higher_is_better=False))


def metric_called(name: str) -> Metric:
    """Return the metric `name`; one that is not registered is plain, and more of it counts as better."""
    return METRICS[name] if name in METRICS else Metric(name)


def guessed_classes(labels: Tensor, count: int) -> dict[str, list[float]]:
    """Return what guessing one class throughout scores, for each of `count` classes: see `classification_metrics`."""
    shares = (labels.bincount(minlength=count).double() / max(1, len(labels))).tolist()
    metrics = {"accuracy": shares, "matthews": [0.0] * count}
    if count == 2:
        metrics["f1"] = [0.0, 2 * shares[1] / (1 + shares[1])]
    return metrics


def classification_metrics(scores: Tensor, labels: Tensor) -> dict[str, float]:
    """Return the metrics of float scores [n, classes] and int64 labels [n].

    `accuracy` (a fraction), `matthews` (Matthews' correlation; 0 when all predictions or all labels are the same) and,
    of two classes, `f1` of class 1 (0 when it is never predicted).
    """
    from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

    truth, predicted = labels.numpy(), scores.argmax(1).numpy()
    tells = np.ptp(truth) > 0 and np.ptp(predicted) > 0  # else scikit-learn warns, and says 0
    metrics = {
        "accuracy": float(accuracy_score(truth, predicted)),
        "matthews": float(matthews_corrcoef(truth, predicted)) if tells else 0.0,
    }
    if scores.shape[1] == 2:
        metrics["f1"] = float(f1_score(truth, predicted, zero_division=0))
    return metrics


def regression_metrics(predicted: Tensor, values: Tensor) -> dict[str, float]:
    """Return `pearson` and `spearman` correlation of floats [n] and [n]; 0 when all of either are the same."""
    from scipy.stats import pearsonr, spearmanr

    pair: tuple[Any, Any] = predicted.double().numpy(), values.double().numpy()
    if any(np.ptp(side) == 0 for side in pair):
        return {"pearson": 0.0, "spearman": 0.0}
    return {"pearson": float(pearsonr(*pair).statistic), "spearman": float(spearmanr(*pair).statistic)}
