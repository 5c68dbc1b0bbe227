"""Held-out examples of a user's own that are trained on, too: told of, and refused where they are a slice of train."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

import ticketzoo
from ticketzoo.errors import DataError
from ticketzoo.tasks.own import OwnTask

INPUTS = torch.arange(24.0).reshape(8, 3)
LABELS = torch.tensor([0, 1] * 4)


class Named(Dataset[tuple[dict[str, Tensor], int]]):
    """Inputs by name, of examples from `first` on."""

    def __init__(self, first: int, stop: int) -> None:
        self.first, self.stop = first, stop

    def __len__(self) -> int:
        return self.stop - self.first

    def __getitem__(self, index: int) -> tuple[dict[str, Tensor], int]:
        if index >= len(self):
            raise IndexError
        return {"x": INPUTS[self.first + index], "same": torch.zeros(2)}, 0


def pairs(first: int, stop: int) -> tuple[Tensor, Tensor]:
    return INPUTS[first:stop], LABELS[first:stop]


def arrays(first: int, stop: int) -> tuple[Any, Any]:
    return INPUTS[first:stop].numpy().astype(np.float64), LABELS[first:stop].numpy()


@pytest.mark.parametrize("made", [pairs, arrays, Named])
def test_copies_are_counted_by_input_in_each_held_out_split(made: Any) -> None:
    task = OwnTask(made(0, 6), made(3, 8), validation=made(5, 7))
    assert task.copies.counts == {"validation": (1, 2), "test": (3, 5)}
    assert OwnTask(made(0, 6), made(6, 8)).copies.counts == {}


def test_an_example_of_another_shape_or_label_is_told_by_its_input_alone() -> None:
    other_label = OwnTask(pairs(0, 6), (INPUTS[5:7], 1 - LABELS[5:7]))
    assert other_label.copies.counts == {"test": (1, 2)}
    other_shape = OwnTask(pairs(0, 6), (INPUTS[4:6].reshape(2, 1, 3), LABELS[4:6]))
    assert other_shape.copies.counts == {}


def find(folder: Path, **examples: Any) -> ticketzoo.Ticket:
    return ticketzoo.find(
        model=lambda: nn.Linear(3, 2),
        **{"train": pairs(0, 6), **examples},
        finder={"levels": 1, "rate": 0.5},
        training={"steps": "1it", "batch_size": 2},
        arms=["ticket"],
        seeds=[0],
        name="line.rows-imp",
        out=folder,
        device="cpu",
        progress=False,
    )


def test_a_find_warns_and_the_card_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "ticketzoo"):
        find(tmp_path, evaluate=pairs(4, 8), validation=pairs(0, 2))
    held_out = [("2", "validate"), ("4", "test")]
    said = [f"2 of the {size} examples to {purpose} on are trained on, too" for size, purpose in held_out]
    assert [message for message in caplog.messages if "trained on" in message] == [f"rows: {line}" for line in said]
    card = (tmp_path / "line.rows-imp" / "README.md").read_text()
    assert all(line in card for line in said)


@pytest.mark.parametrize(("first", "stop"), [(2, 5), (0, 6), (5, 6)])
def test_a_slice_of_train_to_test_on_is_refused_unless_it_is_a_function(tmp_path: Path, first: int, stop: int) -> None:
    said = (
        rf"^evaluate: all {stop - first} examples are those of train from example {first} on, in the same order: give"
    )
    with pytest.raises(DataError, match=said):
        find(tmp_path, evaluate=pairs(first, stop))
    assert not any(tmp_path.iterdir())
    find(tmp_path, evaluate=lambda model: {"accuracy": 0.5})


def test_small_discrete_inputs_are_all_in_train_and_are_only_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Three bits have eight values: whoever draws 40 of them to train on has seen those to test on."""
    bits = torch.tensor([[number >> 2 & 1, number >> 1 & 1, number & 1] for number in range(8)])
    drawn = bits[torch.randint(8, (40,), generator=torch.Generator().manual_seed(0))]
    train = torch.cat([drawn, bits.flip(0)])
    with caplog.at_level(logging.WARNING, "ticketzoo"):
        find(tmp_path, train=(train.float(), train.sum(1) % 2), evaluate=(bits.float(), bits.sum(1) % 2))
    assert "8 of the 8 examples to test on are trained on, too" in caplog.text


def test_a_slice_with_other_targets_or_in_another_order_is_none_of_train() -> None:
    inputs, labels = pairs(2, 5)
    for other in ((inputs, 1 - labels), (inputs.flip(0), labels.flip(0))):
        copies = OwnTask(pairs(0, 6), other).copies
        assert (copies.counts, copies.test_from) == ({"test": (3, 3)}, None)
