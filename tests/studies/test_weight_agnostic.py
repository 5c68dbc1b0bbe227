"""Weight-agnostic evaluation: homogeneity by hand, and a ticket's mask measured."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ticketzoo.errors import RecipeError
from ticketzoo.finding import FindRecipe, find_and_package
from ticketzoo.masks.masks import Masks
from ticketzoo.recipe import parse_recipe
from ticketzoo.studies import StudyRecipe, plan_study, run_study
from ticketzoo.studies.homogeneous import common_groups, like_each_other
from ticketzoo.studies.valued import Ensemble, valued

VALUES = (-2.0, -1.0, -0.5, 0.5, 1.0, 2.0)


class Three(nn.Module):
    """Three layers without biases unless asked for."""

    def __init__(self, activation: nn.Module, bias: bool = False) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(4, 6, bias=bias), nn.Linear(6, 5, bias=bias), nn.Linear(5, 3, bias=bias)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        return self.c(self.activation(self.b(self.activation(self.a(x)))))


def network(activation: nn.Module, bias: bool = False) -> tuple[nn.Module, Masks]:
    torch.manual_seed(0)
    model = Three(activation, bias)
    masks = {f"{name}.weight": torch.rand(layer.weight.shape) < 0.6 for name, layer in list(model.named_children())[:3]}
    return model, masks


def groups(activation: nn.Module, *, signed: bool, biases: bool = False) -> list[list[int]]:
    model, masks = network(activation, biases)
    members = [valued(model, masks, (value,) * 3, signed=signed, biases=biases) for value in VALUES]
    return like_each_other(members, (4,))


def test_without_biases_relu_networks_are_homogeneous() -> None:
    """f(x; v) = v^3 f(x; 1) for v > 0, so that 0.5, 1 and 2 decide alike."""
    model, masks = network(nn.ReLU())
    x = torch.randn(8, 4)
    one, two = (valued(model, masks, (value,) * 3, signed=True)(x) for value in (1.0, 2.0))
    assert torch.allclose(two, 8 * one)
    assert groups(nn.ReLU(), signed=True) == [[0, 1, 2], [3, 4, 5]]


def test_of_one_value_below_0_the_second_hidden_layer_is_dead() -> None:
    model, masks = network(nn.ReLU())
    for value in (-2.0, -1.0, -0.5):
        assert not valued(model, masks, (value,) * 3, signed=False)(torch.randn(50, 4)).any()
    assert groups(nn.ReLU(), signed=False) == [[0, 1, 2], [3, 4, 5]]


def test_of_inputs_from_0_on_one_value_above_0_ranks_classes_by_their_paths() -> None:
    """Each input gets the same class if every unit adds the same sum."""
    model, masks = network(nn.ReLU())
    full = {name: torch.ones_like(mask) for name, mask in masks.items()}
    scores = valued(model, full, (1.0,) * 3, signed=False)(torch.rand(20, 4))
    assert torch.allclose(scores, scores[:, :1].expand(-1, 3))


def test_tanh_and_biases_break_it() -> None:
    assert groups(nn.Tanh(), signed=True) == []
    assert groups(nn.ReLU(), signed=True, biases=True) == []


def test_invariant_is_what_is_invariant_in_every_replicate() -> None:
    """1 and 2 are alike in both; 3 in the first alone, -1 and -2 in the second alone."""
    first, second = [[1.0, 2.0, 3.0]], [[-2.0, -1.0], [1.0, 2.0]]
    assert common_groups([first, second]) == common_groups([second, first]) == [[1, 2]]
    assert common_groups([first, []]) == common_groups([]) == []
    assert common_groups([first]) == first


def test_values_by_layer_signs_and_biases() -> None:
    model, masks = network(nn.ReLU(), bias=True)
    other = valued(model, masks, (0.5, 1.0, 2.0), signed=True)
    for (name, mask), value in zip(masks.items(), (0.5, 1.0, 2.0), strict=True):
        found, before = other.get_parameter(name), model.get_parameter(name)
        assert torch.equal(found, value * before.sign() * mask)
    assert not other.get_parameter("b.bias").any()
    with_biases = valued(model, masks, (0.5, 1.0, 2.0), signed=False, biases=True)
    assert with_biases.get_parameter("b.bias").tolist() == [1.0] * 5


def test_an_ensemble_averages_probabilities() -> None:
    class Fixed(nn.Module):
        def __init__(self, scores: list[float]) -> None:
            super().__init__()
            self.scores = torch.tensor([scores])

        def forward(self, x: Tensor) -> Tensor:
            return self.scores

    members = [Fixed([0.0, 0.0]), Fixed([torch.tensor(3.0).log().item(), 0.0])]  # a half each; three quarters
    assert torch.allclose(Ensemble(members)(torch.zeros(1)).exp(), torch.tensor([[0.625, 0.375]]))


@pytest.fixture(scope="module")
def ticket(tmp_path_factory: pytest.TempPathFactory) -> Path:
    content: dict[str, Any] = {
        "name": "lenet.digits-imp",
        "model": {"name": "lenet-300-100", "kwargs": {"width": 0.1}},
        "task": {"type": "image-classification", "dataset": {"path": "digits", "classes": [0, 1, 2], "examples": 150}},
        "training": {"steps": "20it", "batch_size": 20, "optimizer": {"lr": 0.1}},
        "finder": {"levels": 1, "rate": 0.5},
        "arms": ["ticket", "dense"],
        "seeds": [0, 1],
    }
    return find_and_package(parse_recipe(content, FindRecipe, "test"), tmp_path_factory.mktemp("run"))[1]


def recipe(ticket: Path, **keys: Any) -> StudyRecipe:
    task = {"type": "image-classification", "dataset": {"path": "digits", "classes": [0, 1, 2], "examples": 150}}
    study = {
        "name": "weight-agnostic",
        "ticket": f"{ticket}",
        "level": 1,
        "task": task,
        "draws": 2,
        "values": [-1, 1, 2],
    }
    return parse_recipe({"name": "lenet.digits-wann", "study": study | keys}, StudyRecipe, "test")


def test_every_network_of_every_replicate_is_measured(ticket: Path, tmp_path: Path) -> None:
    assert plan_study(recipe(ticket), tmp_path).trainings == 0
    assert not (tmp_path / "cells").exists()
    report = run_study(recipe(ticket), tmp_path)
    rows = [row for row in report.rows if row["metric"] == "test_accuracy"]
    modes = [row["mode"] for row in rows if row["seed"] == 1]
    assert modes.count("shared") == modes.count("signed") == 3
    assert modes.count("layers") == modes.count("signed layers") == 2
    assert {f"{mode} ensemble" for mode in ("shared", "signed", "layers", "signed layers")} <= set(modes)
    by_value = {(row["seed"], row["values"][0]): row["value"] for row in rows if row["mode"] == "signed"}
    assert all(by_value[seed, 1] == by_value[seed, 2] for seed in (0, 1))
    assert report.text.count("at 1, 2 (invariant by homogeneity)") == 2
    assert "No weight was trained" in report.text
    (table,) = report.tables
    assert table.columns == ("value", "shared values", "signed values")
    assert [row[1] for row in table.rows if row[0] in ("1", "2")] == [table.rows[-1][1]] * 2
    assert run_study(recipe(ticket), tmp_path).rows == report.rows


def test_with_biases_nothing_is_called_invariant(ticket: Path, tmp_path: Path) -> None:
    report = run_study(recipe(ticket, biases=True, seeds=[0]), tmp_path)
    assert "invariant" not in report.text
    assert {row["seed"] for row in report.rows} == {0}


def test_another_replicate_than_there_is_refused(ticket: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="has no replicate of seed 7"):
        run_study(recipe(ticket, seeds=[7]), tmp_path)
