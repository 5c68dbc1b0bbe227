"""What a training learns: weights, a head, the kept weights among frozen ones, or nothing."""

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from made_cells import cells_in, job, training
from torch import nn

from ticketzoo.errors import TicketzooError
from ticketzoo.masks.masks import Masks
from ticketzoo.models.state import State, copy_state
from ticketzoo.runs.store import Job
from ticketzoo.training.parametrisation import (
    FROZEN,
    HEAD,
    NOTHING,
    PARAMETRISATIONS,
    WEIGHTS,
    Learned,
    Weights,
    join_learned,
    split_learned,
)

DECAY = training(optimizer={"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1})
MASK = job().masks["fc1.weight"]


def final(folder: Path, job: Job) -> State:
    with cells_in(folder) as cells:
        return cells.run(job, "made", keep_final=True).final_state()


def moved(state: State, start: State) -> set[str]:
    return {name for name, tensor in state.items() if not torch.equal(tensor, start[name])}


def test_a_training_of_weights_says_nothing_of_it() -> None:
    assert WEIGHTS.identity == {}
    assert "learn" not in job().specification()
    assert job().specification() | {"trainable": "head"} == job(learn=HEAD).specification()


def test_the_head_alone_moves(tmp_path: Path) -> None:
    made = job(learn=HEAD, masks={}, training=DECAY)
    assert moved(final(tmp_path, made), made.state) == {"fc3.weight", "fc3.bias"}


def test_frozen_weights_count_and_stay(tmp_path: Path) -> None:
    made = job(learn=FROZEN, training=DECAY)
    after = final(tmp_path, made)
    start = made.state["fc1.weight"]
    assert torch.equal(after["fc1.weight"][~MASK], start[~MASK])
    assert not (after["fc1.weight"][MASK] == start[MASK]).any()
    zeroed = made.state | {"fc1.weight": start.where(MASK, 0)}
    assert made.specification() != replace(made, state=zeroed).specification()
    assert job().specification() == replace(job(), state=zeroed).specification()
    assert not torch.equal(final(tmp_path, replace(made, state=zeroed))["fc2.weight"], after["fc2.weight"])


def test_nothing_is_learned_and_no_batch_is_seen(tmp_path: Path) -> None:
    made = job(learn=NOTHING)
    after = final(tmp_path, made)
    assert made.task.seen == []
    assert torch.equal(after["fc1.weight"], made.state["fc1.weight"].where(MASK, 0))
    assert moved(after, made.state) == {"fc1.weight"}


class Biases(Weights):
    """A parametrisation of one's own: biases alone."""

    name = "biases"
    identity: ClassVar[dict[str, Any]] = {"learn": {"name": "biases"}}

    def install(self, model: nn.Module, masks: Masks, seed: int) -> list[nn.Parameter]:
        super().install(model, masks, seed)
        return [parameter for name, parameter in model.named_parameters() if name.endswith("bias")]


def test_what_install_returns_is_what_moves(tmp_path: Path) -> None:
    made = job(learn=Biases(), masks={}, training=DECAY)
    assert moved(final(tmp_path, made), made.state) == {"fc1.bias", "fc2.bias", "fc3.bias"}


def test_what_was_learned_is_one_set_of_tensors_on_disk() -> None:
    masks, scores = {"a.weight": torch.tensor([True, False])}, {"a.weight": torch.tensor([2.0, 1.0])}
    learned = Learned({"a.weight": torch.ones(2)}, masks, {"scores": scores})
    others = split_learned(learned)
    assert others == {"masks/a.weight": masks["a.weight"], "scores/a.weight": scores["a.weight"]}
    assert join_learned(learned.weights, others) == learned
    assert split_learned(Learned(learned.weights)) == {}


def test_a_state_has_the_plain_names_whatever_is_parametrised() -> None:
    layer = nn.Linear(2, 1)
    torch.nn.utils.parametrize.register_parametrization(layer, "weight", nn.ReLU())
    assert set(copy_state(layer)) == {"bias", "weight"}


def test_a_wrong_name_is_refused_with_the_near_ones() -> None:
    with pytest.raises(TicketzooError, match="unknown parametrisation 'weigths'; did you mean weights"):
        PARAMETRISATIONS["weigths"]
