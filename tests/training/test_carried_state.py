"""A training whose batches depend on what the model made of those before goes on from any step with the same bits."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ticketzoo.errors import RunError
from ticketzoo.models.state import copy_state
from ticketzoo.tasks.metrics import LOSS
from ticketzoo.training import TrainingConfig, train
from ticketzoo.training.callbacks import Callbacks, Resumption

CPU = torch.device("cpu")
TOTAL = 7


class Stopped(Exception):
    """As if the process were gone."""


class Sums(Iterator[Tensor]):
    """Each batch is the model's weight as it was at all updates before, summed up."""

    def __init__(self, start: int, stop: int, kind: type) -> None:
        self._steps, self.total, self._kind = iter(range(start, stop)), torch.zeros(1), kind

    def __next__(self) -> Tensor:
        next(self._steps)
        return self.total.clone()

    def state_dict(self) -> dict[str, Any]:
        return {"total": self._kind(self.total)}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.total = state["total"]


class Summing:
    name, metric, has_validation = "summing", LOSS, False

    def __init__(self, kind: type = Tensor, stop_after: int | None = None) -> None:
        self.kind, self.stop_after, self.done = kind, stop_after, 0
        self.examples = {"train": 1, "validation": 0, "test": 1}

    def steps_per_epoch(self, batch_size: int) -> int:
        return 1

    def batches(self, batch_size: int, seed: int, start: int, stop: int, device: torch.device) -> Sums:
        self.sums = Sums(start, stop, self.kind)
        return self.sums

    def loss(self, model: nn.Module, batch: Tensor) -> Tensor:
        if self.done == self.stop_after:
            raise Stopped
        self.done += 1
        self.sums.total = self.sums.total + model.weight.detach().flatten()
        return (model(batch) - 1).square().mean()

    def size(self, batch: Tensor) -> int:
        return 1

    def evaluate(self, model: nn.Module, split: str, device: torch.device) -> dict[str, float]:
        return {"loss": model.weight.item()}


def trained(task: Summing, folder: Path | None = None) -> dict[str, Tensor]:
    torch.manual_seed(0)
    model = nn.Linear(1, 1)
    training = TrainingConfig.model_validate({"steps": f"{TOTAL}it", "optimizer": {"name": "adam", "lr": 0.1}})
    resumption = folder and Resumption(folder, 0)
    train(model, task, training, seed=0, device=CPU, callbacks=Callbacks(resumption=resumption))
    return copy_state(model)


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def test_a_training_stopped_after_any_step_ends_with_the_same_bits(tmp_path: Path) -> None:
    whole = trained(Summing())
    for step in range(1, TOTAL):
        (folder := tmp_path / str(step)).mkdir()
        with pytest.raises(Stopped):
            trained(Summing(stop_after=step), folder)
        task = Summing()
        assert same(trained(task, folder), whole)
        assert task.done == TOTAL - step, "steps were done again"


def test_a_checkpoint_without_the_state_would_end_otherwise(tmp_path: Path) -> None:
    """The state matters, as the test above takes for granted."""
    with pytest.raises(Stopped):
        trained(Summing(stop_after=3), tmp_path)

    class Forgets(Summing):
        def batches(self, *arguments: Any, **keys: Any) -> Sums:
            sums = super().batches(*arguments, **keys)
            sums.load_state_dict = lambda state: None  # type: ignore[method-assign]
            return sums

    assert not same(trained(Forgets(), tmp_path), trained(Summing()))


def test_a_state_that_no_checkpoint_holds_is_refused_before_the_first_update(tmp_path: Path) -> None:
    task = Summing(kind=list)
    message = "total of Sums is of type list, and a checkpoint holds tensors: have state_dict give tensors alone"
    with pytest.raises(RunError, match=message):
        trained(task, tmp_path)
    assert task.done == 0
