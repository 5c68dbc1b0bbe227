"""Trap 3: momentum or Adam state revives pruned weights; weight decay and clipping see weights that are not there."""

from typing import Any

import pytest
import torch
from made_task import CPU, MadeImages
from torch import Tensor, nn

from ticketzoo.masks.attach import attach
from ticketzoo.training import TrainingConfig, train

OPTIMIZERS: list[dict[str, Any]] = [
    {"name": "sgd", "lr": 0.1},
    {"name": "sgd", "lr": 0.1, "momentum": 0.9, "weight_decay": 0.1},
    {"name": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": True},
    {"name": "adam", "lr": 0.01, "weight_decay": 0.1},
    {"name": "adamw", "lr": 0.01, "weight_decay": 0.1},
]


class WatchedImages(MadeImages):
    """Keeps the pruned weights as the forward pass of each step finds them."""

    def __init__(self, masks: dict[str, Tensor]) -> None:
        super().__init__()
        self.masks = masks
        self.found: list[Tensor] = []

    def loss(self, model: nn.Module, batch: list[int]) -> Tensor:
        self.found.append(torch.cat([model.get_parameter(name)[~mask].detach() for name, mask in self.masks.items()]))
        return super().loss(model, batch)


@pytest.mark.parametrize("clip_norm", [None, 0.1])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_pruned_weights_are_exactly_zero_after_every_step(optimizer: dict[str, Any], clip_norm: float | None) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 2))
    masks = {"1.weight": torch.arange(24).view(6, 4) % 3 == 0, "3.weight": torch.arange(12).view(2, 6) < 6}
    attach(model, masks)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    task = WatchedImages(masks)
    training = TrainingConfig.model_validate(
        {"steps": "9it", "batch_size": 4, "optimizer": optimizer, "clip_norm": clip_norm}
    )
    train(model, task, training, seed=0, device=CPU)
    after = model.state_dict()
    task.found.append(torch.cat([after[name][~mask] for name, mask in masks.items()]))
    assert len(task.found) == 10
    for pruned in task.found:
        assert torch.equal(pruned, torch.zeros(16 + 6))
    assert all((after[name][mask] != before[name][mask]).all() for name, mask in masks.items())


class TwoWeights(MadeImages):
    """Loss w0 / 2 + 100 w1: gradients 1/2 and 100."""

    def loss(self, model: nn.Module, batch: list[int]) -> Tensor:
        return (model.weight * torch.tensor([0.5, 100.0])).sum()

    def evaluate(self, model: nn.Module, split: str, device: torch.device) -> dict[str, float]:
        return {"loss": 0.0, "accuracy": 0.0}


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        ([True, False], [0.5, 0.0]),  # the norm of the gradient is 1/2: not clipped
        ([True, True], [0.995, 0.0]),  # the norm is 100: cut to 1, so w0 moves 1/200 and w1 by 1
    ],
)
def test_clipping_does_not_see_the_gradients_of_pruned_weights(mask: list[bool], expected: list[float]) -> None:
    model = nn.Linear(2, 1, bias=False)
    model.weight.data.fill_(1.0)
    attach(model, {"weight": torch.tensor([mask])})
    training = TrainingConfig.model_validate({"steps": "1it", "optimizer": {"lr": 1.0}, "clip_norm": 1.0})
    train(model, TwoWeights(), training, seed=0, device=CPU)
    assert model.weight.flatten().tolist() == pytest.approx(expected, abs=1e-4)
