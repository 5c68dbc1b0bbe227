"""The task `modular-addition`: its counts, its chance, its batches, and what trainings on it record."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ticketzoo.errors import DataError
from ticketzoo.models import create_model
from ticketzoo.tasks import TASKS, create_task
from ticketzoo.training import TrainingConfig
from ticketzoo.training.loop import train

CPU = torch.device("cpu")


def addition(**keys: Any) -> Any:
    return create_task(TASKS["modular-addition"].config.model_validate({"type": "modular-addition", **keys}))


def pairs(task: Any, split: str) -> set[tuple[int, int]]:
    return {tuple(row) for row in task._rows[split][:, :2].tolist()}


def test_counts_are_911_and_1367_and_symmetric_pairs_never_straddle() -> None:
    task = addition()
    assert task.examples == {"train": 911, "validation": 0, "test": 1367}
    trained, tested = pairs(task, "train"), pairs(task, "test")
    assert len(trained | tested) == 67 * 68 // 2 == 2278
    assert not {(b, a) for a, b in trained} & tested
    assert all(a <= b for a, b in trained | tested)


def test_chance_is_one_in_67() -> None:
    chance = addition().guesses("test")["accuracy"]
    assert len(chance) == 67 and sum(chance) / 67 == pytest.approx(1 / 67) == pytest.approx(0.0149, abs=5e-5)


class Adds(nn.Module):
    """Knows the sum, or says one more."""

    def __init__(self, modulus: int, more: int = 0) -> None:
        super().__init__()
        self.modulus, self.more = modulus, more

    def forward(self, symbols: Tensor) -> Tensor:
        sums = (symbols.sum(1) + self.more) % self.modulus
        return 50.0 * nn.functional.one_hot(sums, self.modulus)


def test_a_network_that_adds_is_right_everywhere() -> None:
    task = addition(modulus=11)
    for split in ("train", "test"):
        assert task.evaluate(Adds(11), split, CPU) == pytest.approx({"loss": 0, "accuracy": 1})
        assert task.evaluate(Adds(11, more=1), split, CPU) == pytest.approx({"loss": 50, "accuracy": 0})


def test_a_batch_of_all_pairs_is_always_the_same_and_smaller_ones_go_through_all() -> None:
    task = addition(modulus=5, train_fraction=0.5)
    assert task.examples["train"] == 7 and task.steps_per_epoch(7) == 1
    first, second = task.batches(7, 0, 0, 2, CPU)
    assert torch.equal(first, second) and len(first) == 7
    small = torch.cat(list(task.batches(3, 0, 0, 3, CPU)))
    assert sorted(small.tolist()) == sorted(first.tolist())


def test_the_split_follows_from_its_seed_alone() -> None:
    assert addition().identity == addition(split_seed=0).identity != addition(split_seed=1).identity
    assert addition(name="sums").name == "sums" and addition().name == "addition-mod-67"


def test_a_split_without_pairs_is_refused() -> None:
    with pytest.raises(DataError, match=r"train_fraction: 0.01 of 10 pairs leave none to train on: raise it"):
        addition(modulus=4, train_fraction=0.01)


def test_the_course_of_a_training_is_recorded_on_both_splits() -> None:
    task = addition(modulus=5)
    model = create_model("one-layer-transformer", seed=0, vocabulary=5, num_classes=5, width=8, units=8)
    optimizer = {"name": "adamw", "lr": 0.01}
    config = TrainingConfig.model_validate(
        {"steps": "5it", "batch_size": 10, "optimizer": optimizer, "evaluate_every": "2it"}
    )
    record = train(model, task, config, seed=0, device=CPU)
    assert [point["step"] for point in record.curve] == [2, 4, 5] and record.best == {}
    seen = {"step", "train_loss", "test_loss", "test_accuracy", "train_accuracy"}
    assert all(set(point) == seen for point in [*record.curve, record.final])
    model.eval()
    assert record.final["train_accuracy"] == task.evaluate(model, "train", CPU)["accuracy"]
