"""Whole filters go with the inputs that come from them; layers, counts and ties are those of Li et al. 2017."""

from typing import Any

import pytest
import torch
from torch import nn

from ticketzoo.errors import RecipeError, RunError
from ticketzoo.masks.masks import Masks, kept, total
from ticketzoo.models import create_model, prunable_parameters
from ticketzoo.models.filter_flows import Flow, filter_flows
from ticketzoo.pruning.config import PruningConfig
from ticketzoo.pruning.probe import Weights
from ticketzoo.pruning.pruner import Pruner

FIRST = torch.tensor([[1.0, -1, 0, 2], [0.5, 0.5, 0.5, -0.5], [-3, 0, 0, 1]]).view(3, 1, 2, 2)
"""Of L1 norms 4, 2 and 4."""
SECOND = torch.tensor([[1.0, 5, 1], [2, 1, 1]]).view(2, 3, 1, 1)
"""Of L1 norms 7 and 4; without the inputs of filter 1, 2 and 3."""


class Net(nn.Module):
    """Two convolutions and a linear layer that reads 2 x 2 pixels of each filter."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 3, 2), nn.Conv2d(3, 2, 1)
        self.last = nn.Linear(8, 2)
        self.first.weight.data, self.second.weight.data = FIRST.clone(), SECOND.clone()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return two scores."""
        return self.last(torch.relu(self.second(torch.relu(self.first(x)))).flatten(1))


def all_kept(model: nn.Module) -> Masks:
    return {name: torch.ones_like(one, dtype=torch.bool) for name, one in prunable_parameters(model).items()}


def pruner(model: nn.Module, rate: float = 0.34, **structure: Any) -> Pruner:
    return Pruner.of(PruningConfig(rate=rate, prune={"structure": {"name": "filters", **structure}}), model)


def pruned(levels: int = 1, **structure: Any) -> list[Masks]:
    model, found = Net(), []
    masks, prune = all_kept(model), pruner(model, **structure)
    prune.check(masks, levels)
    for to in range(1, levels + 1):
        sized = prune.sized(masks, to=to)
        masks = prune(Weights(dict(model.named_parameters()), masks), to=to)
        assert kept(sized) == kept(masks)
        found.append(masks)
    return found


def rows(masks: Masks, name: str) -> list[bool]:
    return masks[f"{name}.weight"].flatten(1).any(1).tolist()


def test_the_filter_of_smallest_norm_goes_with_what_reads_it() -> None:
    """Filter 1 of the first layer, and filter 1 of the second, whose norm over all inputs is smaller."""
    (masks,) = pruned()
    assert rows(masks, "first") == [True, False, True]
    assert masks["second.weight"].flatten(1).tolist() == [[True, False, True], [False, False, False]]
    assert masks["last.weight"].tolist() == [[True] * 4 + [False] * 4] * 2


def test_greedy_leaves_out_what_comes_from_removed_filters() -> None:
    (masks,) = pruned(order="greedy")
    assert masks["second.weight"].flatten(1).tolist() == [[False, False, False], [True, False, True]]


def test_of_equal_filters_the_first_goes() -> None:
    """Two of three filters are left; 0.34 of them is 1, and of one none."""
    with pytest.raises(RecipeError, match="level 3 of 3 would remove no weight"):
        pruned(3)
    assert rows(pruned(2, skip=["second"])[1], "first") == [False, False, True]


def test_a_layer_that_would_lose_every_filter_is_refused() -> None:
    """Of 2 filters 0.8 are 2 (1.6, rounded), of 3 they are 2."""
    with pytest.raises(RecipeError, match="every filter of 'second' would go; ask for fewer levels, or lower the rate"):
        pruner(Net(), 0.8).check(all_kept(Net()), 1)
    together = PruningConfig(rate=0.6, prune={"structure": "filters", "scope": "global"})
    masks = all_kept(Net())
    weights = {"first.weight": FIRST, "second.weight": 0 * SECOND, "last.weight": torch.ones(2, 8)}
    with pytest.raises(RunError, match="every filter of 'second' would go; lower the rate, or set scope: layerwise"):
        Pruner.of(together, Net())(Weights(weights, masks), to=1)


def test_residual_nets_lose_filters_of_the_first_convolution_of_each_block() -> None:
    model = create_model("resnet-20", seed=0)
    prune, masks = pruner(model, rate=0.3), all_kept(model)
    left = prune.sized(masks, to=1)
    named = [f"blocks.{block}.conv1.weight" for block in range(9)]
    assert [names for names, _ in prune.kept(masks, to=1)] == [(name,) for name in named]
    projections = sum(mask.numel() for name, mask in masks.items() if "shortcut" in name)
    assert (total(masks) - kept(left), total(masks) - projections) == (80_352, 268_336)  # 29.9% of the 3x3 body


@pytest.mark.parametrize(
    ("structure", "message"),
    [
        ({"layers": ["blocks.0.conv2"]}, "the filters of 'blocks.0.conv2' cannot go: it is part of a residual stream"),
        ({"layers": ["conv"]}, "finder.prune.structure.layers: the filters of 'conv' cannot go: it is part of a resid"),
        ({"layers": ["fc"]}, "'fc' matches no convolution: filters can go of blocks.0.conv1, blocks.1.conv1"),
        ({"skip": ["cnov"]}, "finder.prune.structure.skip: 'cnov' matches no convolution"),
        ({"skip": ["blocks.*"]}, "no convolution whose filters can go: 'conv' cannot, as it is part of a residual"),
    ],
)
def test_filters_that_cannot_go_are_refused_in_one_line(structure: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError) as refused:
        pruner(create_model("resnet-20", seed=0), **structure)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_rate_for_a_layer_whose_filters_cannot_go_is_refused() -> None:
    rates = {"rate": 0.1, "rates": {"blocks.1.conv2": 0.5}}
    config = {"prune": {"structure": "filters", "schedule": rates}}
    with pytest.raises(RecipeError, match=r"finder.rates: the filters of 'blocks.1.conv2' cannot go: it is part of"):
        Pruner.of(PruningConfig.model_validate(config), create_model("resnet-20", seed=0))


def test_readers_have_to_be_pruned_too_and_greedy_goes_by_layers() -> None:
    masks = all_kept(Net())
    with pytest.raises(RecipeError, match=r"'last', which reads 'second', is not pruned: take it out of finder"):
        pruner(Net()).check({name: mask for name, mask in masks.items() if name != "last.weight"}, 1)
    greedy = {"structure": {"name": "filters", "order": "greedy"}, "scope": "global"}
    with pytest.raises(RecipeError, match="order: greedy goes from layer to layer: set scope: layerwise"):
        Pruner.of(PruningConfig(prune=greedy), Net()).check(masks, 1)
    with pytest.raises(RecipeError, match="follows the graph of a network, and only weights are given"):
        Pruner.of(PruningConfig(prune={"structure": "filters"}))


def test_the_graph_says_what_reads_a_filter() -> None:
    flows = filter_flows(create_model("lenet-5", seed=0))
    assert flows == {
        "conv1.weight": Flow(("conv2.weight",), 1, (), 6),
        "conv2.weight": Flow(("fc1.weight",), 25, (), 16),
    }
    vgg = filter_flows(create_model("vgg-11", seed=0, width=0.05))
    assert vgg["layers.11.conv.weight"] == Flow(("fc.weight",), 1, ("layers.11.bn",), 26)
    mobile = filter_flows(create_model("torchvision/mobilenet_v2", seed=0, num_classes=2))
    assert mobile["features.1.conv.0.0.weight"] == "it is a grouped convolution"
    assert mobile["features.0.0.weight"] == "'features.1.conv.0.0', a Conv2d, reads it"


class Branching(nn.Module):
    """A network whose graph depends on its input."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.last = nn.Conv2d(1, 2, 1), nn.Conv2d(2, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return one of two images."""
        return self.last(self.conv(x)) if x.sum() > 0 else x


def test_a_graph_that_cannot_be_followed_is_refused() -> None:
    with pytest.raises(RecipeError, match="structure filters: Branching: its graph cannot be followed: "):
        pruner(Branching())
