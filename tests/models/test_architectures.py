import pytest
import torch
from torch import nn

from ticketzoo.errors import ModelError
from ticketzoo.models import Image, create_model, head_of, prunable_parameters
from ticketzoo.models.create import ARCHITECTURES

# Weights and all parameters, by hand. resnet-20: stem 3*16*9 = 432; segments 6*16*16*9 = 13,824,
# 16*32*9 + 5*32*32*9 = 50,688, 32*64*9 + 5*64*64*9 = 202,752; projections 16*32 + 32*64 = 2,560; head 64*10 = 640.
# Beside weights: its batch norms have 784 channels, 2 parameters each, and its head 10 biases.
COUNTS = {
    "lenet-300-100": ((1, 28, 28), 784 * 300 + 300 * 100 + 100 * 10, 300 + 100 + 10),
    "lenet-5": ((1, 28, 28), 6 * 25 + 16 * 6 * 25 + 400 * 120 + 120 * 84 + 84 * 10, 6 + 16 + 120 + 84 + 10),
    "conv-2": ((3, 32, 32), 38_592 + 64 * 16 * 16 * 256 + 256 * 256 + 2_560, 128 + 522),
    "conv-4": ((3, 32, 32), 259_776 + 128 * 8 * 8 * 256 + 256 * 256 + 2_560, 128 + 256 + 522),
    "conv-6": ((3, 32, 32), 1_144_512 + 256 * 4 * 4 * 256 + 256 * 256 + 2_560, 128 + 256 + 512 + 522),
    "resnet-20": ((3, 32, 32), 432 + 13_824 + 50_688 + 202_752 + 2_560 + 640, 2 * 784 + 10),
    "vgg-19": ((3, 32, 32), 20_018_880 + 5_120, 3 * 5_504 + 10),
}


@pytest.mark.parametrize("name", COUNTS)
def test_parameter_counts(name: str) -> None:
    in_shape, weights, others = COUNTS[name]
    model = create_model(name, seed=0, in_shape=in_shape)
    assert sum(p.numel() for p in prunable_parameters(model).values()) == weights
    assert sum(p.numel() for p in model.parameters()) == weights + others


def test_counts_are_those_the_papers_print() -> None:
    def weights(name: str) -> list[int]:
        return [p.numel() for p in prunable_parameters(create_model(name, seed=0)).values()]

    assert sum(weights("lenet-300-100")) == 266_200
    assert sum(weights("conv-2")[:2]) == 38_592  # "38K"
    assert sum(weights("conv-4")[:4]) == 259_776  # "260K"
    assert sum(weights("conv-6")[:6]) == 1_144_512  # "1.1M"
    assert sum(weights("resnet-20")[:-1]) == 270_256  # "270K"


def test_resnet_20_with_running_statistics_has_the_papers_274k() -> None:
    state = create_model("resnet-20", seed=0).state_dict()
    assert sum(t.numel() for name, t in state.items() if "num_batches" not in name) == 274_042


OF_IMAGES = [row.name for row in ARCHITECTURES.values() if any(reads is Image for reads, _ in row.accepts)]


@pytest.mark.parametrize("name", OF_IMAGES)
@pytest.mark.parametrize("in_shape", [(3, 32, 32), (1, 28, 28), (2, 33, 21)])
def test_every_architecture_scores_a_batch_of_two(name: str, in_shape: tuple[int, int, int]) -> None:
    model = create_model(name, seed=0, in_shape=in_shape, num_classes=7, width=0.5)
    assert model(torch.zeros(2, *in_shape)).shape == (2, 7)


@pytest.mark.parametrize(
    ("name", "least"), [("lenet-300-100", 1), ("lenet-5", 12), ("conv-6", 8), ("resnet-20", 1), ("vgg-11", 16)]
)
def test_smallest_image_works_and_one_pixel_less_is_refused(name: str, least: int) -> None:
    model = create_model(name, seed=0, in_shape=(1, least, 40))
    assert model(torch.zeros(2, 1, least, 40)).shape == (2, 10)
    if least > 1:
        with pytest.raises(
            ModelError, match=rf"{name} takes images of at least {least}x{least} pixels, not {least - 1}x40"
        ):
            create_model(name, seed=0, in_shape=(1, least - 1, 40))


def test_lenet_300_100_takes_images_already_flattened() -> None:
    model = create_model("lenet-300-100", seed=0)
    x = torch.rand(2, 1, 28, 28)
    assert torch.equal(model(x), model(x.flatten(1)))


def test_lenet_5_pads_28_pixels_to_lecuns_32() -> None:
    def fc1(side: int) -> torch.Size:
        return create_model("lenet-5", seed=0, in_shape=(1, side, side)).get_parameter("fc1.weight").shape

    assert fc1(28) == fc1(32) == (120, 16 * 5 * 5)


@pytest.mark.parametrize("name", ["conv-4", "resnet-20", "vgg-11", "lenet-5", "lenet-300-100"])
def test_width_scales_every_layer_but_the_last(name: str) -> None:
    shapes = {n: p.shape for n, p in prunable_parameters(create_model(name, seed=0)).items()}
    half = {n: p.shape for n, p in prunable_parameters(create_model(name, seed=0, width=0.5)).items()}
    assert list(shapes) == list(half)
    *hidden, last = shapes
    assert all(half[n][0] * 2 == shapes[n][0] for n in hidden)
    assert half[last][0] == shapes[last][0] == 10
    assert half[last][1] * 2 == shapes[last][1]


def test_a_width_near_zero_leaves_one_channel() -> None:
    model = create_model("resnet-20", seed=0, width=0.001)
    assert model.get_parameter("conv.weight").shape == (1, 3, 3, 3)
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


def test_residual_shortcuts_project_once_a_segment() -> None:
    names = [name for name in prunable_parameters(create_model("resnet-32", seed=0)) if "shortcut" in name]
    assert names == ["blocks.5.shortcut.0.weight", "blocks.10.shortcut.0.weight"]


@pytest.mark.parametrize("name", OF_IMAGES)
def test_head_has_one_output_a_class(name: str) -> None:
    model = create_model(name, seed=0, num_classes=3, width=0.1)
    assert head_of(model) == ("fc" if name.startswith(("resnet", "vgg")) else "fc3")
    assert model.get_parameter(f"{head_of(model)}.weight").shape[0] == 3


def test_prunable_are_weights_in_module_order() -> None:
    model = create_model("lenet-300-100", seed=0)
    prunable = prunable_parameters(model)
    assert list(prunable) == ["fc1.weight", "fc2.weight", "fc3.weight"]
    assert prunable["fc1.weight"] is model.get_parameter("fc1.weight")


def test_norms_embeddings_and_weights_tied_to_them_are_not_prunable() -> None:
    model = nn.Sequential(nn.Embedding(5, 4), nn.LayerNorm(4), nn.Linear(4, 4), nn.Linear(4, 5, bias=False))
    model[3].weight = model[0].weight
    assert list(prunable_parameters(model)) == ["2.weight"]


def test_attention_projections_are_prunable() -> None:
    assert list(prunable_parameters(nn.MultiheadAttention(4, 2))) == ["in_proj_weight", "out_proj.weight"]


def test_a_model_without_layers_has_no_head() -> None:
    with pytest.raises(ModelError, match="name the head yourself"):
        head_of(nn.Sequential(nn.ReLU()))


def test_a_lone_layer_is_its_own_model() -> None:
    layer = nn.Linear(3, 2)
    assert list(prunable_parameters(layer)) == ["weight"]
    assert head_of(layer) == ""
