"""How good predictions are, by scikit-learn's and scipy's definitions."""

from typing import Any

import numpy as np
from torch import Tensor


def classification_metrics(scores: Tensor, labels: Tensor) -> dict[str, float]:
    """Metrics of float scores [n, classes] and int64 labels [n].

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
    """`pearson` and `spearman` correlation of floats [n] and [n]; 0 when all of either are the same."""
    from scipy.stats import pearsonr, spearmanr

    pair: tuple[Any, Any] = predicted.double().numpy(), values.double().numpy()
    if any(np.ptp(side) == 0 for side in pair):
        return {"pearson": 0.0, "spearman": 0.0}
    return {"pearson": float(pearsonr(*pair).statistic), "spearman": float(spearmanr(*pair).statistic)}
