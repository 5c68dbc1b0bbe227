import json
from typing import Any

import pytest
import torch

import ticketzoo.models
from ticketzoo.errors import ModelError
from ticketzoo.models import architecture_of, create_from_architecture, create_model, model_names


def same_bits(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    left, right = a.state_dict(), b.state_dict()
    return list(left) == list(right) and all(torch.equal(left[name], right[name]) for name in left)


@pytest.mark.parametrize("name", ["lenet-5", "resnet-20", "torchvision/squeezenet1_1"])
def test_same_seed_same_bits(name: str) -> None:
    first = create_model(name, seed=1)
    torch.rand(5)
    assert same_bits(first, create_model(name, seed=1))
    assert not same_bits(first, create_model(name, seed=2))


def test_the_callers_random_state_is_untouched() -> None:
    before = torch.get_rng_state()
    create_model("lenet-5", seed=1)
    with pytest.raises(ModelError):
        create_model("lenet-5", seed=1, in_shape=(1, 2, 2))
    assert torch.equal(torch.get_rng_state(), before)


def test_the_callers_device_does_not_matter() -> None:
    with torch.device("meta"):
        model = create_model("lenet-5", seed=1)
    assert same_bits(model, create_model("lenet-5", seed=1))


@pytest.mark.parametrize(
    ("wrong", "near"),
    [
        ("lenet-300-10", "lenet-300-100"),
        ("LeNet-5", "lenet-5"),
        ("resnet_20", "resnet-20"),
        ("resnet50", "torchvision/resnet50"),
        ("torchvision/resnet-50", "torchvision/resnet50"),
        ("vgg16_bn", "torchvision/vgg16_bn"),
    ],
)
def test_unknown_name_says_which_is_nearest(wrong: str, near: str) -> None:
    with pytest.raises(ModelError, match=rf"unknown model '{wrong}'; did you mean {near}( or|\?)"):
        create_model(wrong, seed=0)


@pytest.mark.parametrize(
    "name", ["torchvision/fasterrcnn_resnet50_fpn", "torchvision/raft_large", "torchvision/get_model", "os.system"]
)
def test_what_is_not_in_the_table_is_not_a_model(name: str) -> None:
    with pytest.raises(ModelError, match="unknown model"):
        create_model(name, seed=0)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"num_clases": 3}, "lenet-5 has no argument 'num_clases'; did you mean num_classes?"),
        ({"widht": 2.0}, "lenet-5 has no argument 'widht'; did you mean width or widths?"),
        ({"q": 1}, "lenet-5 has no argument 'q'; it takes num_classes, in_shape, init, projection, width, widths"),
        ({"num_classes": "7"}, "lenet-5: num_classes='7': should be a valid integer"),
        ({"num_classes": True}, "lenet-5: num_classes=True: should be a valid integer"),
        ({"num_classes": 0}, "lenet-5: num_classes=0: should be greater than or equal to 1"),
        ({"in_shape": [3, 32]}, "lenet-5: in_shape=[3, 32]: it has three sizes: channels, height, width"),
        ({"in_shape": (3, 0, 32)}, "lenet-5: in_shape=(3, 0, 32): should be greater than or equal to 1"),
        ({"width": float("nan")}, "lenet-5: width=nan: should be a finite number"),
        ({"width": -1.0}, "lenet-5: width=-1.0: should be greater than 0"),
    ],
)
def test_impossible_arguments_are_named(kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError) as error:
        create_model("lenet-5", seed=0, **kwargs)
    assert str(error.value) == message


def test_unknown_initialisation_lists_the_known_ones() -> None:
    with pytest.raises(ModelError, match=r"init='xavier': should be 'default', 'glorot_normal'"):
        create_model("lenet-5", seed=0, init="xavier")


@pytest.mark.parametrize(
    ("name", "kwargs"),
    [
        ("lenet-300-100", {"in_shape": (3, 8, 8), "num_classes": 5}),
        ("resnet-20", {"width": 0.25}),
        ("torchvision/squeezenet1_1", {"num_classes": 3, "init": "kaiming_normal"}),
    ],
)
def test_architecture_round_trip_through_json(name: str, kwargs: dict[str, Any]) -> None:
    architecture = json.loads(json.dumps(architecture_of(name, kwargs)))
    assert same_bits(create_from_architecture(architecture, 4), create_model(name, seed=4, **kwargs))


def test_architecture_writes_every_default_out() -> None:
    kwargs = {"num_classes": 10, "in_shape": [1, 28, 28], "init": "glorot_normal", "width": 1.0}
    assert architecture_of("lenet-5", {}) == {"library": "ticketzoo", "name": "lenet-5", "kwargs": kwargs}
    assert architecture_of("torchvision/resnet18", {"num_classes": 2}) == {
        "library": "torchvision",
        "name": "resnet18",
        "kwargs": {"num_classes": 2, "in_shape": [3, 224, 224], "init": "default"},
    }


GOOD = {"library": "ticketzoo", "name": "lenet-300-100", "kwargs": {}}


@pytest.mark.parametrize(
    "architecture",
    [
        None,
        [],
        {},
        {**GOOD, "code": "import os"},
        {**GOOD, "library": "os"},
        {**GOOD, "library": ["ticketzoo"]},
        {**GOOD, "name": ["lenet-5"]},
        {**GOOD, "name": "__class__"},
        {**GOOD, "name": "torchvision/resnet18"},
        {**GOOD, "library": "torchvision", "name": "../resnet18"},
        {**GOOD, "library": "torchvision", "name": "list_models"},
        {**GOOD, "kwargs": [1]},
        {**GOOD, "kwargs": {1: 2}},
        {**GOOD, "kwargs": {"seed": 1}},
        {**GOOD, "kwargs": {"name": "lenet-5"}},
        {**GOOD, "kwargs": {"self": 1}},
        {**GOOD, "kwargs": {"num_classes": 10**30}},
        {**GOOD, "kwargs": {"num_classes": 1e400}},
        {**GOOD, "kwargs": {"in_shape": [256, 1024, 1024]}},
        {**GOOD, "kwargs": {"in_shape": [1, 10**9, 1]}},
        {**GOOD, "kwargs": {"in_shape": "1,28,28"}},
        {**GOOD, "kwargs": {"width": 1e9}},
        {**GOOD, "name": "vgg-19", "kwargs": {"width": 64}},
        {**GOOD, "name": "conv-2", "kwargs": {"in_shape": [3, 1024, 1024]}},
        {**GOOD, "library": "torchvision", "name": "alexnet", "kwargs": {"num_classes": 10**6}},
        {**GOOD, "library": "torchvision", "name": "resnet18", "kwargs": {"weights": "DEFAULT"}},
        {**GOOD, "name": "x\ny" * 1000},
    ],
)
def test_a_strangers_architecture_that_does_not_fit_is_one_line(architecture: Any) -> None:
    with pytest.raises(ModelError) as error:
        create_from_architecture(architecture, 0)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400


def test_model_names_can_all_be_resolved() -> None:
    names = model_names()
    assert len(names) == len(set(names))
    assert {"lenet-300-100", "vgg-19", "torchvision/resnet50"} <= set(names)
    assert all(architecture_of(name, {})["name"] in name for name in names)


def test_the_rooms_public_names() -> None:
    public = {name for name, value in vars(ticketzoo.models).items() if callable(value)}
    assert public == {
        "Actions",
        "Classes",
        "Features",
        "Image",
        "NextTokens",
        "Observation",
        "Signature",
        "Spans",
        "Tokens",
        "ValuedActions",
        "Vocabulary",
        "architecture_of",
        "arguments_for",
        "bare_names",
        "body_prefix",
        "create_from_architecture",
        "create_model",
        "head_modules",
        "head_of",
        "inputs_first",
        "load_base",
        "load_model_state",
        "model_names",
        "model_names_of",
        "model_state",
        "pretrained_architecture",
        "prunable_parameters",
    }
