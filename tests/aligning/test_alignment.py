"""Permutations of hidden units: oracles that can be worked out by hand, and permuted copies that are found again."""

from typing import Any

import pytest
import torch
from made_task import CPU, MadeImages
from torch import Tensor, nn

from ticketzoo.aligning import ALIGNMENTS, Network
from ticketzoo.aligning.permutation import identity, inverse, permuted, random_permutations
from ticketzoo.aligning.weights import assigned, gain, matched, objective, value
from ticketzoo.errors import ModelError
from ticketzoo.models import architecture_of, create_from_architecture, load_model_state, model_state
from ticketzoo.models.state import State
from ticketzoo.models.unit_groups import Axis, UnitGroups, unit_groups

SHAPES: dict[str, dict[str, Any]] = {
    "lenet-300-100": {"in_shape": [1, 2, 2], "num_classes": 2, "width": 0.05},
    "lenet-5": {"in_shape": [1, 12, 12], "num_classes": 3, "width": 0.5},
    "vgg-11": {"in_shape": [1, 16, 16], "num_classes": 3, "width": 0.1},
    "resnet-20": {"in_shape": [1, 8, 8], "num_classes": 3, "width": 0.25},
}


def network(name: str) -> tuple[dict[str, Any], State, UnitGroups]:
    """A network with statistics of BatchNorm that differ from unit to unit."""
    architecture = architecture_of(name, SHAPES[name])
    model = create_from_architecture(architecture, seed=3)
    generator = torch.Generator().manual_seed(4)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.running_mean, module.running_var, module.bias.data, module.weight.data):
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
    return architecture, model_state(model), unit_groups(model)


def doubled(state: State) -> State:
    return {name: tensor.double() for name, tensor in state.items()}


def scores(architecture: dict[str, Any], state: State) -> Tensor:
    model = create_from_architecture(architecture, seed=0).eval()
    load_model_state(model, state)
    images = torch.randn(4, *architecture["kwargs"]["in_shape"], generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return model(images)


@pytest.mark.parametrize("name", SHAPES)
def test_a_permuted_network_is_the_same_function_and_is_recovered_exactly(name: str) -> None:
    architecture, state, groups = network(name)
    shuffled = permuted(state, groups, random_permutations(groups, seed=7))
    assert any(not torch.equal(shuffled[one], state[one]) for one in state)
    assert torch.allclose(scores(architecture, shuffled), scores(architecture, state), atol=1e-5)
    found = matched(groups, state, shuffled, torch.Generator().manual_seed(0))
    back = permuted(shuffled, groups, found)
    assert all(torch.equal(back[one], state[one]) for one in state)


def test_a_permutation_and_its_inverse_are_the_identity() -> None:
    _, state, groups = network("resnet-20")
    order = random_permutations(groups, seed=1)
    back = permuted(permuted(state, groups, order), groups, inverse(order))
    assert all(torch.equal(back[one], state[one]) for one in state)
    still = permuted(state, groups, identity(groups))
    assert all(torch.equal(still[one], state[one]) for one in state)


def test_masks_keep_their_density_in_each_layer() -> None:
    _, state, groups = network("lenet-5")
    masks = {name: tensor > 0.01 for name, tensor in state.items() if name.endswith("weight")}
    moved = permuted(masks, groups, random_permutations(groups, seed=1))
    assert {name: int(mask.sum()) for name, mask in moved.items()} == {
        name: int(mask.sum()) for name, mask in masks.items()
    }
    assert not torch.equal(moved["fc1.weight"], masks["fc1.weight"])


def test_a_resnet_has_one_permutation_a_stage_and_one_a_block() -> None:
    """16, 32 and 64 channels at a quarter: 4, 8, 16. Three streams, and nine inner layers."""
    _, _, groups = network("resnet-20")
    assert list(groups.sizes.values()) == [4, 4, 4, 4, 8, 8, 8, 8, 16, 16, 16, 16]
    streams = {group: layers for group, layers in groups.layers.items() if len(layers) > 1}
    assert {group: len(layers) for group, layers in streams.items()} == {
        "conv.weight": 4, "blocks.3.conv2.weight": 4, "blocks.6.conv2.weight": 4
    }  # fmt: skip
    assert "blocks.3.shortcut.0" in streams["blocks.3.conv2.weight"]
    assert groups.axes["blocks.3.shortcut.0.weight"] == (
        Axis(0, "blocks.3.conv2.weight", 1),
        Axis(1, "conv.weight", 1),
    )
    assert groups.axes["fc.weight"] == (Axis(1, "blocks.6.conv2.weight", 1),)
    assert "fc.bias" not in groups.axes


def test_flattened_images_go_with_their_channel() -> None:
    _, state, groups = network("lenet-5")
    channels = groups.sizes["conv2.weight"]
    area = state["fc1.weight"].shape[1] // channels
    assert groups.axes["fc1.weight"] == (Axis(0, "fc1.weight", 1), Axis(1, "conv2.weight", area))


class TwoUnits(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(2, 2, bias=False), nn.Linear(2, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x).relu())


def test_swapped_rows_are_found_by_hand() -> None:
    """W1 = I, W2 = [2, 3]; the copy has its units swapped. Gains [[6, 5], [10, 6]]: the swap wins by 15 to 12."""
    groups = unit_groups(TwoUnits())
    assert groups.sizes == {"first.weight": 2}
    target = {"first.weight": torch.eye(2), "second.weight": torch.tensor([[2.0, 3.0]])}
    moved = {"first.weight": torch.tensor([[0.0, 1.0], [1.0, 0.0]]), "second.weight": torch.tensor([[3.0, 2.0]])}
    gains = gain(groups, "first.weight", doubled(target), doubled(moved), {})
    assert gains.tolist() == [[6, 5], [10, 6]]
    swap = assigned(gains)
    assert swap.tolist() == [1, 0]
    assert (value(gains, swap), value(gains, torch.tensor([0, 1]))) == (15, 12)
    assert objective(groups, target, moved, {"first.weight": swap}) == 1 + 1 + 4 + 9


def test_the_objective_never_falls() -> None:
    architecture, target, groups = network("resnet-20")
    moved = model_state(create_from_architecture(architecture, seed=9))
    generator, order = torch.Generator().manual_seed(0), identity(groups)
    before = objective(groups, target, moved, order)
    for group in groups.sizes:
        order[group] = assigned(gain(groups, group, doubled(target), doubled(moved), order))
        now = objective(groups, target, moved, order)
        assert now >= before - 1e-9
        before = now
    assert objective(groups, target, moved, matched(groups, target, moved, generator)) > 0


@pytest.mark.parametrize("way", ALIGNMENTS)
def test_every_way_recovers_a_permuted_copy(way: str) -> None:
    architecture, state, groups = network("lenet-300-100")
    task: Any = MadeImages(noise=0.0)
    asked = Network(architecture, groups, task, batch_size=8, seed=0, device=CPU)
    shuffled = permuted(state, groups, random_permutations(groups, seed=2))
    before = torch.get_rng_state()
    back = permuted(shuffled, groups, ALIGNMENTS[way].make(asked, state, shuffled))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.allclose(scores(architecture, back), scores(architecture, state), atol=1e-5)
    if way == "weights":
        assert all(torch.equal(back[one], state[one]) for one in state)


def test_a_network_of_another_width_is_one_line() -> None:
    _, _, groups = network("lenet-300-100")
    wider = model_state(create_from_architecture(architecture_of("lenet-300-100", {"width": 0.1}), seed=0))
    with pytest.raises(ModelError, match=r"'fc1.weight' is \[30, 784\]: its axis 0 has not 15 units"):
        permuted(wider, groups, identity(groups))


class Attending(TwoUnits):
    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x).softmax(1))


class Grouped(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3, groups=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


@pytest.mark.parametrize(
    ("model", "why"), [(Attending(), "softmax reads it"), (Grouped(), "'conv', a Conv2d, mixes units")]
)
def test_units_that_cannot_change_places_are_one_line(model: nn.Module, why: str) -> None:
    with pytest.raises(ModelError, match=f"its hidden units cannot be put in another order: {why}"):
        unit_groups(model)
