"""The smaller dense network computes what the masked one does, and is built by the widths that are left."""

from typing import Any

import pytest
import torch
from torch import nn

from ticketzoo.errors import ModelError
from ticketzoo.masks.attach import attach
from ticketzoo.masks.masks import Masks
from ticketzoo.models import architecture_of, create_from_architecture, create_model, prunable_parameters
from ticketzoo.models.filter_flows import Flow, filter_flows
from ticketzoo.models.small import multiplications, small_architecture, small_network
from ticketzoo.pruning.config import PruningConfig
from ticketzoo.pruning.probe import Weights
from ticketzoo.pruning.pruner import Pruner

NETWORKS = {
    "lenet-5": {"in_shape": [1, 12, 12]},
    "conv-4": {"in_shape": [1, 8, 8], "width": 0.1},
    "vgg-11": {"in_shape": [3, 16, 16], "width": 0.1},
    "resnet-20": {"in_shape": [3, 8, 8], "width": 0.5},
}


def trained_like(name: str) -> nn.Module:
    """Return a network whose biases and normalisation are those of no initialisation."""
    model = create_model(name, seed=1, **NETWORKS[name])
    torch.manual_seed(0)
    for key, tensor in model.state_dict().items():
        if tensor.dim() == 1:
            tensor.copy_(torch.rand_like(tensor) + 0.5 if "var" in key else torch.randn_like(tensor))
    return model


def pruned(model: nn.Module) -> Masks:
    masks = {name: torch.ones_like(one, dtype=torch.bool) for name, one in prunable_parameters(model).items()}
    pruner = Pruner.of(PruningConfig(rate=0.4, prune={"structure": "filters"}), model)
    return pruner(Weights(dict(model.named_parameters()), masks), to=1)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_small_network_has_the_outputs_of_the_masked_one(name: str) -> None:
    model = trained_like(name)
    masks, flows = pruned(model), filter_flows(model)
    kept = {
        one: masks[one].flatten(1).any(1).nonzero().flatten().tolist()
        for one, flow in flows.items()
        if isinstance(flow, Flow)
    }
    small = small_network(model, flows, kept)
    attach(model, masks)
    shape: Any = NETWORKS[name]["in_shape"]
    images = torch.randn(4, *shape)
    with torch.no_grad():
        expected, found = model.eval()(images), small.eval()(images)
    assert (expected - found).abs().max() <= 1e-5 * expected.abs().max()
    sizes = [sum(one.numel() for one in network.parameters()) for network in (model, small)]
    assert sizes[1] < 0.9 * sizes[0]
    assert multiplications(small, images) < 0.8 * multiplications(model, images)

    built = small_architecture(architecture_of(name, NETWORKS[name]), flows, kept)
    assert built is not None
    again = create_from_architecture(built, seed=0)
    again.load_state_dict(small.state_dict())
    with torch.no_grad():
        assert torch.equal(again.eval()(images), found)


def test_rows_alone_would_not_be_exact() -> None:
    """A removed filter still gives its bias, so masks leave out what reads it, too."""
    model = trained_like("lenet-5")
    masks = pruned(model)
    images = torch.randn(4, 1, 12, 12)
    rows = {name: mask.flatten(1).any(1) for name, mask in masks.items() if name.startswith("conv")}
    with torch.no_grad():
        whole = create_model("lenet-5", seed=0, **NETWORKS["lenet-5"])
        whole.load_state_dict(model.state_dict())
        attach(model, masks)
        expected = model(images)
        for name, kept in rows.items():
            whole.get_parameter(name)[~kept] = 0
        assert (whole(images) - expected).abs().max() > 0.1


def test_widths_leave_the_stored_arguments_of_whole_networks_alone() -> None:
    described = architecture_of("lenet-5", {})
    assert "widths" not in described["kwargs"]
    small = architecture_of("lenet-5", {"widths": [4, 10]})
    assert small["kwargs"]["widths"] == [4, 10]
    shapes = {name: list(one.shape) for name, one in create_from_architecture(small, seed=0).named_parameters()}
    assert (shapes["conv2.weight"], shapes["fc1.weight"]) == ([10, 4, 5, 5], [120, 250])


def test_networks_without_widths_have_no_small_architecture() -> None:
    for name in ("lenet-300-100", "torchvision/resnet18"):
        assert small_architecture(architecture_of(name, {}), {}, {}) is None


@pytest.mark.parametrize(
    ("widths", "message"),
    [
        ([4], "widths has 1 numbers, and filters can go of 2 convolutions"),
        ([4, 0], "greater than or equal to 1"),
        ([4, 10**6], "less than or equal to 65536"),
        ("4", "valid tuple"),
    ],
)
def test_widths_that_cannot_be_are_refused(widths: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        create_model("lenet-5", seed=0, widths=widths)


def test_vgg_16_a_saves_a_third_of_the_multiplications_and_64_percent_of_the_weights() -> None:
    """Li et al. 2017, table 2: 64 -> 32 filters in the first layer, 512 -> 256 in the last six of VGG-16."""
    widths = [32, 64, 128, 128, 256, 256, 256, *[256] * 6]
    with torch.device("meta"):
        whole, small = (create_on_meta(kwargs) for kwargs in ({}, {"widths": widths}))
    images = torch.empty(1, 3, 32, 32, device="meta")
    weights = [
        sum(one.numel() for name, one in network.named_parameters() if name.endswith("conv.weight"))
        for network in (whole, small)
    ]
    assert weights == [14_710_464, 5_253_984]
    counts = [multiplications(network, images) for network in (whole, small)]
    assert round(100 * (1 - counts[1] / counts[0]), 1) == 34.2
    linear = [inputs * 512 + 512 * 10 for inputs in (512, 256)]  # two layers in the paper, where ours has one
    of_all = [convolutions + rest for convolutions, rest in zip(weights, linear, strict=True)]
    assert round(100 * (1 - of_all[1] / of_all[0]), 1) == 64.0


def create_on_meta(kwargs: dict[str, Any]) -> nn.Module:
    from ticketzoo.models.vgg import VGG, VGGArguments

    return VGG(16, VGGArguments(**{key: tuple(value) for key, value in kwargs.items()}))
