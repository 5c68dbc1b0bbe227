"""Numbers of a user's own `evaluate` are bounded as rows of results are: what one takes, the other does."""

import pytest
import torch
from torch import nn

from ticketzoo.errors import DataError
from ticketzoo.tasks.metrics import Metric
from ticketzoo.tasks.own import OwnTask
from ticketzoo.ticket.rows import beyond_bounds

PAIRS = torch.arange(8.0).reshape(4, 2), torch.tensor([0, 1, 0, 1])
ROUNDED = float(torch.tensor(1.0) + 2**-23)


@pytest.mark.parametrize(
    ("name", "value", "taken"),
    [
        ("accuracy", ROUNDED, True),
        ("accuracy", -1e-9, True),
        ("accuracy", 1.00001, False),
        ("accuracy", 97.5, False),
        ("f1", 50.0, False),
        ("matthews", -1.0000001, True),
        ("matthews", -1.1, False),
        ("f1", float("nan"), True),
        ("f1_of_mine", 50.0, True),
        ("loss", -3.0, True),
    ],
)
def test_what_evaluate_gives_is_taken_where_rows_take_it(name: str, value: float, taken: bool) -> None:
    task = OwnTask(PAIRS, lambda model: {"reward": 1.0, name: value}, metric=Metric("reward"))
    assert (beyond_bounds(f"test_{name}", value) == "") == taken
    if taken:
        assert task.evaluate(nn.Identity(), "test", torch.device("cpu")).keys() == {"reward", name}
    else:
        with pytest.raises(DataError, match=rf"^evaluate: {name} is {value}, and must be from .*, not in percent: "):
            task.evaluate(nn.Identity(), "test", torch.device("cpu"))


@pytest.mark.parametrize(("metric", "value"), [(Metric("top5", unit="percent"), 95.0), (Metric("f1"), 50.0)])
def test_the_deciding_metric_has_its_own_bounds_and_those_that_rows_know(metric: Metric, value: float) -> None:
    task = OwnTask(PAIRS, lambda model: {metric.name: value}, metric=metric)
    with pytest.raises(DataError, match=rf"^evaluate: {metric.name} is {value}, and must be from 0 to 1, "):
        task.evaluate(nn.Identity(), "test", torch.device("cpu"))
