"""Metrics beside numbers worked out by hand from their definitions."""

import math

import pytest
import torch

from ticketzoo.tasks.metrics import classification_metrics, regression_metrics


def scores_for(predicted: list[int], classes: int) -> torch.Tensor:
    return torch.nn.functional.one_hot(torch.tensor(predicted), classes).float()


def test_two_classes() -> None:
    # 3 true positives, 1 false positive, 2 false negatives, 4 true negatives.
    labels = torch.tensor([1, 1, 1, 0, 1, 1, 0, 0, 0, 0])
    predicted = [1, 1, 1, 1, 0, 0, 0, 0, 0, 0]
    assert classification_metrics(scores_for(predicted, 2), labels) == {
        "accuracy": pytest.approx(0.7),
        "f1": pytest.approx(2 * 3 / (2 * 3 + 1 + 2)),
        "matthews": pytest.approx((3 * 4 - 1 * 2) / math.sqrt(4 * 5 * 5 * 6)),
    }


def test_three_classes_have_no_f1() -> None:
    labels = torch.tensor([0, 0, 1, 1, 2, 2])
    metrics = classification_metrics(scores_for([0, 0, 1, 0, 2, 1], 3), labels)
    # Gorodkin's R_K: right 4 of 6; the classes are 2, 2, 2 in truth and 3, 2, 1 in the predictions.
    right, n, cross = 4, 6, 2 * 3 + 2 * 2 + 2 * 1
    expected = (right * n - cross) / math.sqrt((n * n - (9 + 4 + 1)) * (n * n - (4 + 4 + 4)))
    assert metrics == {"accuracy": pytest.approx(4 / 6), "matthews": pytest.approx(expected)}


def test_one_answer_for_everything_correlates_with_nothing() -> None:
    metrics = classification_metrics(scores_for([0, 0, 0, 0], 2), torch.tensor([0, 0, 0, 1]))
    assert metrics == {"accuracy": 0.75, "matthews": 0.0, "f1": 0.0}
    assert regression_metrics(torch.ones(3), torch.tensor([1.0, 2.0, 3.0])) == {"pearson": 0.0, "spearman": 0.0}


def test_values() -> None:
    metrics = regression_metrics(torch.tensor([1.0, 2.0, 3.0, 10.0]), torch.tensor([2.0, 1.0, 3.0, 4.0]))
    # Deviations -3, -2, -1, 6 and -0.5, -1.5, 0.5, 1.5; ranks 1, 2, 3, 4 and 2, 1, 3, 4.
    assert metrics["pearson"] == pytest.approx((1.5 + 3 - 0.5 + 9) / math.sqrt(50 * 5))
    assert metrics["spearman"] == pytest.approx(1 - 6 * (1 + 1) / (4 * 15))
