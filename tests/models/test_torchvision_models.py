import pytest
import torch
from accelerate import init_empty_weights
from torch import nn

from ticketzoo.errors import ModelError
from ticketzoo.models import create_model, head_of, prunable_parameters
from ticketzoo.models.torchvision import TorchvisionArguments, build, names

FAMILIES = {
    "alexnet": 63,
    "convnext_tiny": 32,
    "densenet121": 29,
    "efficientnet_b0": 1,
    "googlenet": 15,
    "inception_v3": 75,
    "mnasnet0_5": 1,
    "mobilenet_v2": 1,
    "mobilenet_v3_small": 1,
    "regnet_x_400mf": 1,
    "resnet18": 1,
    "shufflenet_v2_x0_5": 1,
    "squeezenet1_0": 21,
    "squeezenet1_1": 17,
    "swin_t": 4,
    "swin_v2_t": 4,
    "vgg11": 32,
}


def build_on_meta(name: str, *sides: int) -> nn.Module:
    """`name` with 7 classes and no memory behind its parameters."""
    arguments = TorchvisionArguments(num_classes=7, in_shape=(3, *sides) if sides else (3, 224, 224))
    if name.startswith("regnet"):  # computes its widths with tensors, which need memory
        with init_empty_weights():
            return build(name, arguments).to("meta")
    with torch.device("meta"):
        return build(name, arguments)


def forward_on_meta(model: nn.Module, side: int) -> torch.Size:
    with torch.no_grad():
        return model(torch.zeros(2, 3, side, side, device="meta")).shape


@pytest.mark.slow
def test_head_of_every_model_scores_the_classes() -> None:
    heads = {}
    for name in names():
        model = build_on_meta(name)
        heads[name] = head_of(model)
        assert model.get_parameter(f"{heads[name]}.weight").shape[0] == 7, name
    assert heads["squeezenet1_0"] == "classifier.1"
    assert heads["densenet121"] == "classifier"
    assert heads["convnext_tiny"] == "classifier.2"
    assert heads["vit_b_16"] == "heads.head"
    assert heads["swin_t"] == "head"
    assert heads["inception_v3"] == heads["googlenet"] == heads["resnet50"] == "fc"


@pytest.mark.parametrize("name", FAMILIES)
def test_smallest_image_is_torchvisions_own_limit(name: str) -> None:
    least = FAMILIES[name]
    model = build_on_meta(name, least, least)
    assert forward_on_meta(model, least) == (2, 7)
    if least > 1:
        with pytest.raises(RuntimeError):
            forward_on_meta(model, least - 1)
        with pytest.raises(ModelError, match=rf"at least {least}x{least} pixels, not {least - 1}x300"):
            build(name, TorchvisionArguments(in_shape=(3, least - 1, 300)))


@pytest.mark.parametrize(("name", "side"), [("vit_b_32", 64), ("maxvit_t", 224)])
def test_models_whose_weights_depend_on_the_image_size(name: str, side: int) -> None:
    assert forward_on_meta(build_on_meta(name, side, side), side) == (2, 7)


@pytest.mark.parametrize(
    ("name", "in_shape", "message"),
    [
        ("resnet18", (1, 28, 28), "torchvision/resnet18 takes images of 3 channels, not 1x28x28: convert them to RGB"),
        ("vit_b_16", (3, 32, 40), "torchvision/vit_b_16 takes square images whose side 16 divides, not 32x40"),
        ("vit_b_16", (3, 40, 40), "torchvision/vit_b_16 takes square images whose side 16 divides, not 40x40"),
        ("maxvit_t", (3, 256, 256), "torchvision/maxvit_t takes sides that 224 divides, not 256x256"),
    ],
)
def test_images_a_model_cannot_take(name: str, in_shape: tuple[int, int, int], message: str) -> None:
    with pytest.raises(ModelError) as error:
        create_model(f"torchvision/{name}", seed=0, in_shape=in_shape)
    assert str(error.value) == message


@pytest.mark.parametrize("name", ["squeezenet1_1", "mobilenet_v3_small", "shufflenet_v2_x0_5", "mnasnet0_5"])
def test_small_models_learn_from_real_images(name: str) -> None:
    model = create_model(f"torchvision/{name}", seed=0, num_classes=3, in_shape=(3, 32, 32))
    nn.functional.cross_entropy(model(torch.rand(2, 3, 32, 32)), torch.tensor([0, 2])).backward()
    assert all(p.grad is not None for p in prunable_parameters(model).values())


def test_vision_transformers_prune_their_attention() -> None:
    prunable = prunable_parameters(build_on_meta("vit_b_32"))
    # A patch projection, 12 blocks of four matrices (stacked query/key/value, output, two of the MLP), the head.
    assert len(prunable) == 1 + 12 * 4 + 1
    block = [p.numel() for name, p in prunable.items() if "encoder_layer_3." in name]
    assert sum(block) == 12 * 768 * 768
