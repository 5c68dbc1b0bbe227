import math
from typing import get_args

import pytest
import torch
from torch import Tensor, nn

from ticketzoo.models import create_model
from ticketzoo.models.initialisation import Initialisation, initialise

GLOROT = math.sqrt(2 / (784 + 300))
KAIMING = math.sqrt(2 / 784)


def first_layer(init: str) -> Tensor:
    """LeNet-300-100's first weights: 235,200 draws, so a sample deviation is within 1% of the true one."""
    return create_model("lenet-300-100", seed=0, init=init).get_parameter("fc1.weight").detach()


@pytest.mark.parametrize(
    ("init", "std"),
    [
        ("glorot_normal", GLOROT),
        ("glorot_normal_truncated", GLOROT),
        ("kaiming_normal", KAIMING),
        ("kaiming_normal_bn_uniform", KAIMING),
        ("kaiming_uniform", KAIMING),
        ("signed_constant", GLOROT),
        ("signed_kaiming_constant", KAIMING),
    ],
)
def test_deviation_of_linear_weights(init: str, std: float) -> None:
    weight = first_layer(init)
    assert weight.std().item() == pytest.approx(std, rel=0.01)
    assert weight.mean().item() == pytest.approx(0, abs=0.01 * std)


def test_deviation_of_convolutions_counts_the_kernel() -> None:
    # Conv-4's conv4: fan in = fan out = 128 channels x 9 positions.
    for init, std in (("glorot_normal", math.sqrt(2 / 2304)), ("signed_constant", math.sqrt(2 / 2304))):
        weight = create_model("conv-4", seed=0, init=init).get_parameter("conv4.weight")
        assert weight.std().item() == pytest.approx(std, rel=0.01)
    weight = create_model("conv-4", seed=0, init="signed_kaiming_constant").get_parameter("conv4.weight")
    assert weight.abs().max().item() == pytest.approx(math.sqrt(2 / 1152))


def test_shapes_of_the_distributions() -> None:
    assert first_layer("glorot_normal").abs().max() > 4 * GLOROT
    assert first_layer("glorot_normal_truncated").abs().max() <= 2 * GLOROT / 0.879
    assert first_layer("kaiming_uniform").abs().max() <= math.sqrt(3) * KAIMING
    for init, magnitude in (("signed_constant", GLOROT), ("signed_kaiming_constant", KAIMING)):
        values = first_layer(init).unique()
        assert values.tolist() == pytest.approx([-magnitude, magnitude])


def test_lenet_starts_as_in_the_paper() -> None:
    model = create_model("lenet-300-100", seed=0)
    assert torch.equal(model.get_parameter("fc1.weight"), first_layer("glorot_normal"))
    assert not any(model.get_parameter(f"fc{i}.bias").any() for i in (1, 2, 3))


def test_residual_networks_start_as_in_open_lth() -> None:
    model = create_model("resnet-20", seed=0)
    scales = torch.cat([module.weight.detach() for module in model.modules() if isinstance(module, nn.BatchNorm2d)])
    assert scales.min() >= 0 and scales.max() < 1  # 784 of them, uniform
    assert scales.mean().item() == pytest.approx(0.5, abs=0.05)
    constant = create_model("resnet-20", seed=0, init="kaiming_normal")
    assert torch.equal(constant.get_parameter("bn.weight"), torch.ones(16))
    assert torch.equal(constant.get_parameter("conv.weight"), model.get_parameter("conv.weight"))


def test_default_is_pytorchs() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        fc1 = nn.Linear(784, 300)
    model = create_model("lenet-300-100", seed=3, init="default")
    assert torch.equal(model.get_parameter("fc1.weight"), fc1.weight)
    assert torch.equal(model.get_parameter("fc1.bias"), fc1.bias)


def test_attention_projections_are_initialised_one_by_one() -> None:
    attention = nn.MultiheadAttention(64, 4)
    initialise(attention, "signed_constant")
    # Each of query, key and value has fan in = fan out = 64; the stacked matrix would have fan out 192.
    assert attention.in_proj_weight.abs().unique().tolist() == pytest.approx([math.sqrt(2 / 128)])


@pytest.mark.parametrize("init", get_args(Initialisation))
def test_every_initialisation_suits_every_kind_of_layer(init: Initialisation) -> None:
    for name in ("lenet-5", "resnet-20", "torchvision/squeezenet1_1"):
        model = create_model(name, seed=0, init=init)
        assert all(p.isfinite().all() for p in model.parameters())
