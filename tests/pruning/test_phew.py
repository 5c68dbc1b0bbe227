"""PHEW: walks that can be followed by hand, their probabilities, and the masks that they leave."""

from collections import Counter
from dataclasses import replace

import pytest
import torch
from net_of_four import by_hand
from test_probe import probe_of
from torch import Tensor, nn

from ticketzoo.errors import ModelError, RecipeError, RunError
from ticketzoo.masks.masks import Masks
from ticketzoo.models.filter_flows import filter_flows
from ticketzoo.pruning.config import PruningConfig
from ticketzoo.pruning.probe import Probe
from ticketzoo.pruning.pruner import Pruner
from ticketzoo.pruning.walks import stops, walk
from ticketzoo.recipe import parse_recipe


def pruned(probe: Probe, sparsity: float, **keys: object) -> Masks:
    config = PruningConfig(prune={"criterion": {"name": "phew", **keys}, "schedule": {"levels": [sparsity]}})
    return Pruner.of(config)(probe, to=1)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


ONE_WAY = {"0.weight": torch.tensor([[1.0, 0], [0, 2]]), "2.weight": torch.tensor([[0.0, 3], [4, 0]])}
"""Each unit has one way on: the forward walk 0 takes W1[0, 0] and W2[1, 0], the backward one W2[0, 1] and W1[1, 1]."""


@pytest.mark.parametrize(
    ("count", "first", "second"),
    [
        (1, [(0, 0)], []),
        (2, [(0, 0)], [(1, 0)]),
        (3, [(0, 0)], [(0, 1), (1, 0)]),  # the second walk's weight at its end is too many
        (4, [(0, 0), (1, 1)], [(0, 1), (1, 0)]),
    ],
)
def test_walks_with_one_way_on(count: int, first: list[tuple[int, int]], second: list[tuple[int, int]]) -> None:
    masks = pruned(replace(by_hand(), weights=ONE_WAY), 1 - count / 8)
    for name, expected in {"0.weight": first, "2.weight": second}.items():
        assert [tuple(place) for place in masks[name].nonzero().tolist()] == expected


def test_weights_that_no_walk_meets_cannot_be_kept() -> None:
    with pytest.raises(RunError, match="'phew': 2,000 walks meet 4 of the 5 weights to keep; ask for a higher"):
        pruned(replace(by_hand(), weights=ONE_WAY), 3 / 8, walks=2000)


def test_steps_are_taken_in_proportion_to_magnitude() -> None:
    """From input 0 by weights 1 and 0.5 to hidden units 0 and 1; to output 0 by weights 1 and -1 from both alike."""
    way = stops(by_hand().model(), torch.ones(1, 2))
    count = 6000
    walks = torch.arange(2 * count)  # even ones start at unit 0
    met = list(walk(way, walks, "forward", generator()))
    assert [way[one.stop].weight.name for one in met] == ["0.weight", "2.weight"]
    of_first = met[0].outputs[met[0].walks % 2 == 0]
    assert float((of_first == 0).double().mean()) == pytest.approx(2 / 3, abs=0.02)
    assert torch.equal(met[1].inputs[met[1].walks.argsort()], met[0].outputs[met[0].walks.argsort()])
    back = list(walk(way, walks, "backward", generator()))
    assert [way[one.stop].weight.name for one in back] == ["2.weight", "0.weight"]
    of_second = back[0].inputs[back[0].walks % 2 == 1]
    assert float((of_second == 0).double().mean()) == pytest.approx(2 / 2.5, abs=0.02)


def test_shortcuts_are_taken_half_the_time() -> None:
    probe = probe_of("resnet-20")
    way = stops(probe.model().eval(), *probe.inputs())
    names = {number: stop.weight.name for number, stop in enumerate(way) if stop.weight}
    count = 2000
    for direction in ("forward", "backward"):
        met: Counter[str] = Counter()
        for one in walk(way, torch.arange(count), direction, generator()):
            met[names[one.stop]] += len(one.walks)
        assert met["conv.weight"] == met["fc.weight"] == count
        assert met["blocks.0.conv1.weight"] == met["blocks.0.conv2.weight"]
        assert met["blocks.0.conv1.weight"] == pytest.approx(count / 2, rel=0.1)
        assert met["blocks.3.conv2.weight"] + met["blocks.3.shortcut.0.weight"] == count


class Small(nn.Module):
    """A convolution of two groups, pooled and flattened to 2x2, and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3, padding=1, groups=2)
        self.fc = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(nn.functional.max_pool2d(torch.relu(self.conv(x)), 2).flatten(1))


def test_flattened_images_and_groups_of_channels() -> None:
    torch.manual_seed(0)
    way = stops(Small(), torch.ones(1, 2, 4, 4))
    for direction in ("forward", "backward"):
        met = {one.stop: one for one in walk(way, torch.arange(64), direction, generator())}
        conv, fc = (met[number] for number in sorted(met))
        by_walk = conv.outputs[conv.walks.argsort()], fc.inputs[fc.walks.argsort()] // 4
        assert torch.equal(*by_walk)
        assert torch.equal(conv.inputs, conv.outputs // 2)  # of a group's channel
        assert set(fc.inputs.tolist()) > {0, 1, 2, 3}
        weight = way[conv.stop].weight
        assert weight is not None
        assert set((weight.places(conv.inputs, conv.outputs) // 9).tolist()) == {0, 1, 2, 3}


def test_counts_are_exact_levels_nest_and_no_unit_dies() -> None:
    probe = probe_of("lenet-300-100")
    config = PruningConfig(prune={"criterion": "phew", "schedule": {"levels": [0.9, 0.98]}})
    prune, levels = Pruner.of(config), [probe.masks]
    for to in (1, 2):
        levels.append(prune(probe, to=to, masks=levels[-1]))
    total = sum(mask.numel() for mask in probe.masks.values())
    assert [sum(int(mask.sum()) for mask in level.values()) for level in levels] == [
        total, round(0.1 * total), round(0.02 * total)
    ]  # fmt: skip
    assert not any((levels[2][name] & ~levels[1][name]).any() for name in probe.masks)
    assert all(torch.equal(pruned(probe, 0.98)[name], levels[2][name]) for name in probe.masks)
    first, second, _ = levels[2].values()
    assert torch.equal(first.any(1), second.any(0))  # what has an input has an output


def test_whole_kernels() -> None:
    probe = probe_of("resnet-20")
    masks = pruned(probe, 0.98, kernels="whole")
    kernels = masks["blocks.0.conv1.weight"].flatten(2).sum(2)
    assert set(kernels.unique().tolist()) <= {0, 9}


def test_it_decides_the_layers_itself() -> None:
    with pytest.raises(RecipeError, match="phew decides how many weights of a layer stay: it goes with scope: global"):
        parse_recipe({"prune": {"criterion": "phew", "scope": "erk"}}, PruningConfig, "test")
    with pytest.raises(RecipeError, match="phew gains nothing by scoring in steps: leave iterations out"):
        parse_recipe({"prune": {"criterion": {"name": "phew", "iterations": 2}}}, PruningConfig, "test")


def test_what_walks_do_not_go_through_is_named() -> None:
    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(2, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(x) * x

    with pytest.raises(RunError, match="walks do not go through mul, which reads 2 tensors and does not add them"):
        stops(Gated(), torch.ones(1, 2))


def test_a_graph_that_needs_values_is_refused_as_filters_refuse_it() -> None:
    class Branching(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x if x.sum() > 0 else -x

    with pytest.raises(ModelError) as filters:
        filter_flows(Branching())
    with pytest.raises(RunError) as walks:
        stops(Branching(), torch.ones(1, 2))
    assert str(walks.value) == f"walks: {filters.value}"
    assert "Branching: its graph cannot be followed: " in str(filters.value) and "\n" not in str(filters.value)
