"""Layer densities and schedules: counts that add up, with the published numbers."""

import math

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from ticketzoo.errors import RecipeError
from ticketzoo.masks.masks import Masks
from ticketzoo.models import create_model, prunable_parameters
from ticketzoo.pruning.config import PruningConfig
from ticketzoo.pruning.probe import Weights
from ticketzoo.pruning.pruner import Pruner
from ticketzoo.pruning.scope import SCOPES, Group, Layers, Left

LENET = {"fc1.weight": (300, 784), "fc2.weight": (100, 300), "fc3.weight": (10, 100)}
LENET_5 = {
    "conv1.weight": (6, 1, 5, 5),
    "conv2.weight": (16, 6, 5, 5),
    "fc1.weight": (120, 400),
    "fc2.weight": (84, 120),
    "fc3.weight": (10, 84),
}


def all_kept(shapes: dict[str, tuple[int, ...]]) -> Masks:
    return {name: torch.ones(shape, dtype=torch.bool) for name, shape in shapes.items()}


def counts(scope: str, shapes: dict[str, tuple[int, ...]], sparsity: float) -> list[int]:
    config = PruningConfig(scope=scope, prune={"criterion": "random", "schedule": {"levels": [sparsity]}})
    masks = all_kept(shapes)
    pruned = Pruner.of(config)(Weights({}, masks), to=1)
    assert [int(mask.sum()) for mask in Pruner.of(config).sized(masks, to=1).values()] == [
        int(mask.sum()) for mask in pruned.values()
    ]
    return [int(mask.sum()) for mask in pruned.values()]


@pytest.mark.parametrize(("sparsity", "expected"), [(0.9, [18_714, 6_906, 1_000]), (0.98, [3_621, 1_336, 367])])
def test_erk_of_lenet(sparsity: float, expected: list[int]) -> None:
    assert counts("erk", LENET, sparsity) == expected
    assert sum(expected) == round((1 - sparsity) * 266_200)


def test_erk_of_a_convolutional_network() -> None:
    found = counts("erk", LENET_5, 0.9)
    densities = [count / math.prod(shape) for count, shape in zip(found, LENET_5.values(), strict=True)]
    assert densities == pytest.approx([0.8035, 0.0945, 0.0768, 0.1435, 0.7934], abs=5e-3)
    assert sum(found) == round(0.1 * sum(map(math.prod, LENET_5.values())))


def test_erk_densities_of_lenet_at_80_percent() -> None:
    found = counts("erk", LENET, 0.8)
    densities = [count / math.prod(shape) for count, shape in zip(found, LENET.values(), strict=True)]
    assert densities == pytest.approx([0.16224, 0.46936, 1], abs=1e-5)  # to a weight


def test_er_of_a_convolutional_network() -> None:
    """Kernels do not count: both convolutions have a raw density above 1 and stay dense."""
    found = counts("er", LENET_5, 0.9)
    densities = [count / math.prod(shape) for count, shape in zip(found, LENET_5.values(), strict=True)]
    assert densities == pytest.approx([1, 1, 0.0476, 0.089, 0.4921], abs=5e-3)
    assert sum(found) == round(0.1 * sum(map(math.prod, LENET_5.values())))
    assert counts("er", LENET, 0.9) == counts("erk", LENET, 0.9)  # of linear layers alone they are the same


def test_uniform_gives_all_layers_one_density() -> None:
    assert counts("uniform", LENET, 0.9) == [23_520, 3_000, 100]


def test_uniform_plus_keeps_the_first_convolution_and_a_fifth_of_the_last_layer() -> None:
    found = counts("uniform+", LENET_5, 0.9)
    assert found[0] == 150
    assert found[-1] == 168
    assert sum(found) == round(0.1 * sum(map(math.prod, LENET_5.values())))


def test_uniform_plus_that_cannot_be_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"uniform\+: 61 weights are fewer than conv1.weight and fc3.weight need"):
        counts("uniform+", LENET_5, 0.999)


DEEP = {"a.weight": (5, 2, 1, 1), "b.weight": (5, 2, 1, 1), "c.weight": (4, 5)}
"""Two convolutions of 10 weights and a linear layer of 20, of which 6 stay: raw densities are 12 and 6."""


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        (15, [6, 3, 6]),  # 9 for the convolutions, 2 to 1
        (14, [5, 3, 6]),  # 8: 5 1/3 and 2 2/3
        (24, [10, 8, 6]),  # of 18 the first would have 12
        (26, [10, 10, 6]),
    ],
)
def test_smart_ratio_by_hand(left: int, expected: list[int]) -> None:
    assert counts("smart-ratio", DEEP, 1 - left / 40) == expected


def test_smart_ratio_falls_with_depth_in_a_residual_net() -> None:
    """Of 20 layers the first convolution has 20^2 + 20 = 420 and the last, the 19th, 2^2 + 2 = 6."""
    shapes = {name: tuple(one.shape) for name, one in prunable_parameters(create_model("resnet-20", seed=0)).items()}
    body = {name: shape for name, shape in shapes.items() if "shortcut" not in name}
    found = dict(zip(body, counts("smart-ratio", body, 0.9), strict=True))
    densities = [count / math.prod(body[name]) for name, count in found.items()]
    assert len(body) == 20
    assert densities[-1] == 0.3
    assert densities[:-1] == sorted(densities[:-1], reverse=True)
    assert densities[8] / densities[17] == pytest.approx((12**2 + 12) / (3**2 + 3), rel=1e-3)
    assert sum(found.values()) == round(0.1 * sum(map(math.prod, body.values())))


@pytest.mark.parametrize(
    ("shapes", "left", "message"),
    [
        (DEEP, 6, "0.3 of linear layers and some of the convolutions are 7 to 26 weights, not 6; choose another"),
        (DEEP, 27, "7 to 26 weights, not 27; choose another sparsity, or erk"),
        ({"c.weight": (4, 10)}, 20, "the network has no convolution; choose erk or uniform"),
    ],
)
def test_smart_ratio_that_cannot_be_is_refused(shapes: dict[str, tuple[int, ...]], left: int, message: str) -> None:
    with pytest.raises(RecipeError, match=f"scope smart-ratio: .*{message}"):
        counts("smart-ratio", shapes, 1 - left / 40)


def test_smart_ratio_levels_nest() -> None:
    config = PruningConfig(
        scope="smart-ratio", prune={"criterion": "random", "schedule": {"levels": [16 / 40, 25 / 40, 30 / 40]}}
    )
    masks = all_kept(DEEP)
    for to, expected in ((1, [10, 8, 6]), (2, [6, 3, 6]), (3, [3, 1, 6])):
        found = Pruner.of(config)(Weights({}, masks), to=to)
        assert not any((found[name] & ~masks[name]).any() for name in masks)
        assert [int(mask.sum()) for mask in found.values()] == expected
        masks = found


@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=5),
    st.lists(st.floats(0.05, 0.95), min_size=1, max_size=4, unique=True),
    st.sampled_from(["global", "layerwise", "uniform", "er", "erk"]),
)
@example([30], [0.05], "layerwise")  # 85.5 weights: half to even
def test_levels_nest_and_counts_are_exact(sizes: list[int], sparsities: list[float], scope: str) -> None:
    masks = all_kept({f"layer{number}": (size, 3) for number, size in enumerate(sizes)})
    total = 3 * sum(sizes)
    config = PruningConfig(scope=scope, prune={"criterion": "random", "schedule": {"levels": sorted(sparsities)}})
    for to, sparsity in enumerate(sorted(sparsities), 1):
        pruned = Pruner.of(config)(Weights({}, masks), to=to)
        assert all(not (mask & ~masks[name]).any() for name, mask in pruned.items())
        left = sum(int(mask.sum()) for mask in pruned.values())
        ranked = [total] if scope != "layerwise" else [3 * size for size in sizes]
        assert left == sum(round((1 - sparsity) * weights) for weights in ranked)
        masks = pruned


def test_a_level_without_a_sparsity_and_sparsities_that_fall() -> None:
    with pytest.raises(ValidationError, match="must rise"):
        PruningConfig(prune={"schedule": {"levels": [0.9, 0.5]}})
    config = PruningConfig(prune={"schedule": {"levels": [0.5]}})
    with pytest.raises(RecipeError, match="has no sparsity for level 2"):
        Pruner.of(config).check(all_kept(LENET), 2)


def test_a_level_that_would_remove_nothing_is_refused() -> None:
    config = PruningConfig(prune={"schedule": {"levels": [0.001, 0.5]}})
    with pytest.raises(RecipeError, match="level 1 of 2 would remove no weight"):
        Pruner.of(config).check({"w": torch.ones(10, dtype=torch.bool)}, 2)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ([Group(("a",), 1)], "each layer has to be in exactly one group"),
        ([Group(("a", "b"), 2), Group(("b",), 1)], "each layer has to be in exactly one group"),
        ([Group(("a", "b"), 7)], "would keep 7 of 6 in a, b"),
    ],
)
def test_what_a_users_scope_may_give(groups: list[Group], message: str) -> None:
    @SCOPES.add("a-users", cite="none")
    def wrong(layers: Layers, left: Left) -> list[Group]:
        return groups

    masks = {"a": torch.ones(4, dtype=torch.bool), "b": torch.ones(2, dtype=torch.bool)}
    with pytest.raises(RecipeError, match=message) as caught:
        Pruner.of(PruningConfig(scope="a-users")).check(masks, 1)
    assert "scope 'a-users' with schedule 'rate'" in str(caught.value)


def test_a_layer_that_is_full_leaves_its_share_to_the_others() -> None:
    """Of 10 weights each layer would have a third, but the first has 1 left: the others share 9, the earlier first."""
    masks = {name: torch.ones(6, dtype=torch.bool) for name in "abc"}
    masks["a"][1:] = False
    uniform = Pruner.of(PruningConfig(prune={"scope": "uniform", "schedule": {"levels": [8 / 18]}}))
    assert [keep for _, keep in uniform.kept(masks, to=1)] == [1, 5, 4]
