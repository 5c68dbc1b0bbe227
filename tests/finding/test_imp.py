"""The algorithms themselves, with trainings and prunings made by hand."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from ticketzoo.finding.imp import iterative_magnitude_pruning
from ticketzoo.finding.one_shot import one_shot_pruning
from ticketzoo.masks.masks import Masks
from ticketzoo.pruning.pruner import PruningConfig, prune_by_magnitude

DENSE = {"w": torch.ones(5, dtype=torch.bool)}


def kept(masks: Masks) -> list[int]:
    return masks["w"].nonzero().flatten().tolist()


def journal(method: Callable[..., Any], rounds: int) -> list[str]:
    """What `method` does, in order: training level n gives the weights "Wn"; pruning removes the first survivor."""
    lines = []

    def train(level: int, masks: Masks) -> Mapping[str, Tensor]:
        lines.append(f"train level {level} with {kept(masks)}")
        return {f"W{level}": torch.empty(0)}

    def prune(trained: Mapping[str, Tensor], masks: Masks) -> Masks:
        (weights,) = trained
        lines.append(f"prune {kept(masks)} by {weights}")
        pruned = masks["w"].clone()
        pruned[kept(masks)[0]] = False
        return {"w": pruned}

    for masks in method(train, prune, DENSE, rounds):
        lines.append(f"level is {kept(masks)}")
    return lines


def test_imp_trains_prunes_what_was_just_trained_and_trains_again() -> None:
    assert journal(iterative_magnitude_pruning, 3) == [
        "train level 0 with [0, 1, 2, 3, 4]",
        "level is [0, 1, 2, 3, 4]",
        "prune [0, 1, 2, 3, 4] by W0",
        "train level 1 with [1, 2, 3, 4]",
        "level is [1, 2, 3, 4]",
        "prune [1, 2, 3, 4] by W1",
        "train level 2 with [2, 3, 4]",
        "level is [2, 3, 4]",
        "prune [2, 3, 4] by W2",
        "train level 3 with [3, 4]",
        "level is [3, 4]",
    ]


def test_one_shot_prunes_every_level_by_the_dense_trained_weights() -> None:
    assert journal(one_shot_pruning, 3) == [
        "train level 0 with [0, 1, 2, 3, 4]",
        "level is [0, 1, 2, 3, 4]",
        "prune [0, 1, 2, 3, 4] by W0",
        "train level 1 with [1, 2, 3, 4]",
        "level is [1, 2, 3, 4]",
        "prune [1, 2, 3, 4] by W0",
        "train level 2 with [2, 3, 4]",
        "level is [2, 3, 4]",
        "prune [2, 3, 4] by W0",
        "train level 3 with [3, 4]",
        "level is [3, 4]",
    ]


@pytest.mark.parametrize(
    ("method", "sparser"), [(iterative_magnitude_pruning, [[1, 2], [2]]), (one_shot_pruning, [[0, 1], [0]])]
)
def test_the_two_differ_when_training_a_ticket_changes_the_order_of_magnitudes(
    method: Callable[..., Any], sparser: list[list[int]]
) -> None:
    """Dense training gives magnitudes 9 to 5; each further one turns the survivors' order round."""
    trained = [torch.tensor([9.0, -8.0, 7.0, -6.0, 5.0]), torch.tensor([1.0, -2.0, 3.0, -4.0, 5.0])]

    def train(level: int, masks: Masks) -> Mapping[str, Tensor]:
        return {"w": trained[min(level, 1)] * masks["w"]}

    def prune(weights: Mapping[str, Tensor], masks: Masks) -> Masks:
        return prune_by_magnitude(weights, masks, PruningConfig(rate=0.3))

    # 30% of 5 is 1.5, to even 2; of 3 it is 0.9, so 1; of 2 it is 0.6, so 1.
    levels = [kept(masks) for masks in method(train, prune, DENSE, 3)]
    assert levels == [[0, 1, 2, 3, 4], [0, 1, 2], *sparser]


def test_a_level_is_there_as_soon_as_it_is_trained() -> None:
    trained = []

    def train(level: int, masks: Masks) -> Mapping[str, Tensor]:
        trained.append(level)
        return {}

    levels = iterative_magnitude_pruning(train, lambda weights, masks: masks, DENSE, 9)
    next(levels)
    next(levels)
    assert trained == [0, 1]
