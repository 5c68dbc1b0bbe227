"""Parameters that a task does not train are not pruned."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from ticketzoo.models import create_model, prunable_parameters
from ticketzoo.models.create import arguments_for
from ticketzoo.pruning.reached import unreached
from ticketzoo.tasks import create_task
from ticketzoo.tasks.image_classification import ImageClassificationConfig


class TwoArms(nn.Module):
    """Of two layers side by side the output is made of one; the third comes behind a unit that is dead."""

    def __init__(self) -> None:
        super().__init__()
        self.used, self.unused, self.behind = nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        self.unused(x)
        output: Tensor = self.behind(torch.relu(self.used(x) - 1000))
        return output


class Sum:
    def batches(self, batch_size: int, seed: int, start: int, stop: int, device: torch.device) -> Iterator[Tensor]:
        yield torch.ones(batch_size, 2)

    def loss(self, model: nn.Module, batch: Tensor) -> Tensor:
        torch.rand(3)
        return model(batch).sum()


def test_what_the_loss_is_not_made_of_is_named_and_a_gradient_of_zero_is_one() -> None:
    model: Any = TwoArms().train()
    numbers = torch.get_rng_state()
    names = ["used.weight", "unused.weight", "behind.weight"]
    assert unreached(model, Sum(), names) == ["unused.weight"]
    assert model.training
    assert torch.equal(torch.get_rng_state(), numbers)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_frozen_parameters_count_as_the_loss_depends_on_them() -> None:
    model = TwoArms().requires_grad_(False)
    assert unreached(model, Sum(), ["used.weight", "unused.weight"]) == ["unused.weight"]


def test_image_networks_have_none() -> None:
    dataset = {"path": "digits", "examples": 60}
    config = ImageClassificationConfig.model_validate({"type": "image-classification", "dataset": dataset})
    task = create_task(config)
    for name in ("lenet-300-100", "resnet-20"):
        model = create_model(name, seed=0, **arguments_for("lenet-300-100", task.signature))
        assert unreached(model, task, prunable_parameters(model)) == []
