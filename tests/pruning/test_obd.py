"""Optimal Brain Damage with numbers worked by hand, and second derivatives against autograd's."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from net_of_four import by_hand, close
from test_probe import at_once, digits, probe_of
from torch import Tensor, nn

from ticketzoo.errors import RunError
from ticketzoo.models import create_model, model_state
from ticketzoo.models.create import arguments_for
from ticketzoo.pruning.config import PruningConfig
from ticketzoo.pruning.criteria import CRITERIA
from ticketzoo.pruning.curvature import diagonal
from ticketzoo.pruning.obd import ObdConfig
from ticketzoo.pruning.pruner import Pruner
from ticketzoo.recipe import parse_recipe
from ticketzoo.training import TrainingConfig
from ticketzoo.training.loop import train

SECOND = [[0.004252, 0.096729], [0.004252, 0.096729]]
FISHER = [[3.68e-5, 2.98327], [3.68e-5, 2.98327]]


@pytest.mark.parametrize(
    ("variant", "first", "second"),
    [
        ("exact", [[0.038268, 0.004252], [0.111358, 0.110589]], SECOND),
        ("lecun", [[0.191338, 0.021260], [0.061865, 0.061438]], SECOND),
        ("fisher", [[3.311e-4, 3.679e-5], [1.07464, 4.29566]], FISHER),
    ],
)
def test_second_derivatives_of_a_network_by_hand(variant: Any, first: Any, second: Any) -> None:
    close(by_hand().curvature(variant), first, second, atol=6e-6)


def test_the_squared_gradient_of_a_batch_is_another_number() -> None:
    squared = by_hand().gradients()["0.weight"][1].square()
    assert squared.tolist() == pytest.approx([0.50904, 2.12898], abs=1e-5)  # of single examples: 1.07464 and 4.29566


def test_saliency_of_a_network_by_hand() -> None:
    scores = CRITERIA["obd"].scores(by_hand())
    close(scores, [[0.019134, 0.008504], [0.013920, 0.055295]], [[0.002126, 0.048365], [0.008504, 0.012091]], atol=1e-6)


def hessian_diagonal(model: nn.Module, loss: Tensor, name: str, places: list[int]) -> Tensor:
    """By autograd, of a few weights."""
    weight = model.get_parameter(name)
    (slope,) = torch.autograd.grad(loss, weight, create_graph=True)
    rows = [torch.autograd.grad(slope.flatten()[place], weight, retain_graph=True)[0] for place in places]
    return torch.stack([row.flatten()[place] for row, place in zip(rows, places, strict=True)])


class Mixed(nn.Module):
    """Grouped and strided convolutions, BatchNorm, pooling and linear layers, in float64."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.bn = nn.BatchNorm2d(4)
        self.grouped = nn.Conv2d(4, 4, 3, stride=2, groups=2, bias=False)
        self.fc = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.max_pool2d(torch.relu(self.bn(self.conv(x))), 2)
        return self.fc(torch.relu(self.grouped(x)).mean((2, 3)))


def test_exact_is_the_diagonal_of_the_hessian_of_a_relu_network() -> None:
    torch.manual_seed(0)
    model = Mixed().double().eval()
    images, labels = torch.randn(5, 1, 8, 8).double(), torch.tensor([0, 1, 2, 0, 1])
    names = ["conv.weight", "grouped.weight", "fc.weight"]

    def loss() -> tuple[Tensor, int]:
        return nn.functional.cross_entropy(model(images), labels), len(labels)

    found = diagonal(model, names, iter([loss, loss]), "exact")
    for name in names:
        expected = hessian_diagonal(model, loss()[0], name, [0, 3, 7, 11])
        torch.testing.assert_close(found[name].flatten()[[0, 3, 7, 11]], expected)


def test_fisher_is_the_mean_square_of_gradients_of_single_examples() -> None:
    torch.manual_seed(0)
    model = Mixed().double().eval()
    images, labels = torch.randn(5, 1, 8, 8).double(), torch.tensor([0, 1, 2, 0, 1])
    found = diagonal(
        model, ["conv.weight"], iter([lambda: (nn.functional.cross_entropy(model(images), labels), 5)]), "fisher"
    )
    squares = torch.zeros_like(model.conv.weight)
    for image, label in zip(images, labels, strict=True):
        loss = nn.functional.cross_entropy(model(image[None]), label[None])
        squares += torch.autograd.grad(loss, model.conv.weight)[0].square() / 5
    torch.testing.assert_close(found["conv.weight"], squares)


def test_lecun_names_a_step_that_it_does_not_know() -> None:
    with pytest.raises(RunError, match="variant lecun knows no second derivatives of Mean: take variant: exact"):
        probe_of("resnet-20").curvature("lecun")


@pytest.mark.parametrize("variant", ["exact", "lecun", "fisher"])
def test_curvature_of_lenet_on_digits(variant: Any) -> None:
    probe = probe_of("lenet-300-100")
    found = probe.curvature(variant)
    assert all((part >= 0).all() and part.any() for part in found.values())
    task = digits()
    assert task.examples["train"] > 100
    last = {one: probe.curvature(one)["fc3.weight"] for one in ("exact", "lecun")}
    torch.testing.assert_close(last["exact"], last["lecun"])  # the last layer has no cross terms


def test_mean_over_batches_and_the_keys_of_the_criterion() -> None:
    assert ObdConfig().batches == 10
    probe = probe_of("lenet-300-100")
    one = replace(probe, remember=at_once).curvature("exact", 2)
    assert not torch.equal(one["fc1.weight"], probe.curvature("exact", 1)["fc1.weight"])
    scores = CRITERIA["obd"].configured(ObdConfig(batches=2)).scores(probe)
    torch.testing.assert_close(
        scores["fc1.weight"], one["fc1.weight"].double() * probe.weights["fc1.weight"].double() ** 2 / 2
    )


def test_other_outputs_than_scores_of_classes_are_refused() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Unflatten(1, (1, 2)))
    with pytest.raises(RunError, match="need a network whose output is scores of classes"):
        diagonal(model, ["0.weight"], iter([lambda: (model(torch.ones(1, 2)).sum(), 1)]), "exact")


@pytest.mark.slow
def test_obd_costs_less_than_magnitude_without_retraining() -> None:
    """The loss of a trained LeNet on its training digits, pruned by either to the same counts."""
    task, probe = digits(), probe_of("lenet-300-100")
    training = parse_recipe({"steps": "300it", "batch_size": 32, "optimizer": {"lr": 0.1}}, TrainingConfig, "test")
    model = create_model("lenet-300-100", seed=0, **arguments_for("lenet-300-100", task.signature))
    train(model, task, training, seed=0, device=torch.device("cpu"))
    trained = replace(probe, weights=model_state(model))
    (batch,) = task.batches(task.examples["train"], 0, 0, 1, torch.device("cpu"))
    for sparsity in (0.5, 0.6, 0.7, 0.8, 0.9):
        losses = {}
        for criterion in ("magnitude", "obd"):
            config = PruningConfig(prune={"criterion": criterion, "schedule": {"levels": [sparsity]}})
            pruned = replace(trained, masks=Pruner.of(config)(trained, to=1))
            losses[criterion] = task.loss(pruned.model(), batch).item()
        assert losses["obd"] < losses["magnitude"]
