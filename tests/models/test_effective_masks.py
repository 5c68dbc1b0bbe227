"""Effective masks, worked out by hand; and by dropping weights until nothing changes."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from ticketzoo.errors import ModelError
from ticketzoo.masks.masks import Masks
from ticketzoo.models import create_model, prunable_parameters
from ticketzoo.models.effective_masks import effective_masks


class TwoThreeTwo(nn.Module):
    """Two inputs, three hidden units, two outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(2, 3), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.first(x).relu())


def on_paths(first: list[list[int]], last: list[list[int]], biases: list[float]) -> tuple[list[list[int]], ...]:
    masks = {"first.weight": torch.tensor(first).bool(), "last.weight": torch.tensor(last).bool()}
    live = {"first.bias": torch.tensor(biases), "last.bias": torch.ones(2)}
    found = effective_masks(TwoThreeTwo(), masks, {"": torch.ones(1, 2)}, live)
    return found["first.weight"].int().tolist(), found["last.weight"].int().tolist()


FIRST = [[1, 0], [0, 0], [1, 1]]  # unit 1 has no input
LAST = [[1, 1, 0], [0, 1, 0]]  # unit 2 has no output


def test_weights_without_a_source_or_a_target_go() -> None:
    """Of 7 kept weights 2 are on a path: from input 0 over unit 0 to output 0."""
    assert on_paths(FIRST, LAST, [0, 0, 0]) == ([[1, 0], [0, 0], [0, 0]], [[1, 0, 0], [0, 0, 0]])


def test_a_live_bias_is_a_source_and_no_target() -> None:
    assert on_paths(FIRST, LAST, [0, -0.5, 0.5]) == ([[1, 0], [0, 0], [0, 0]], [[1, 1, 0], [0, 1, 0]])


def test_a_whole_network_and_an_empty_layer() -> None:
    full = [[1, 1]] * 3, [[1, 1, 1]] * 2
    assert on_paths(*full, [0, 0, 0]) == full
    assert on_paths([[0, 0]] * 3, full[1], [0, 0, 0]) == ([[0, 0]] * 3, [[0, 0, 0]] * 2)
    assert on_paths(full[0], [[0, 0, 0]] * 2, [0, 0, 0]) == ([[0, 0]] * 3, [[0, 0, 0]] * 2)


def test_biases_that_are_not_given_begin_paths() -> None:
    masks = {"first.weight": torch.tensor(FIRST).bool(), "last.weight": torch.tensor(LAST).bool()}
    found = effective_masks(TwoThreeTwo(), masks, {"": torch.ones(1, 2)})
    assert found["last.weight"].int().tolist() == LAST


@given(st.lists(st.booleans(), min_size=45, max_size=45), st.lists(st.booleans(), min_size=6, max_size=6))
def test_one_run_is_the_fixed_point_of_dropping_weights(kept: list[bool], live: list[bool]) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = nn.Linear(5, 3), nn.Linear(3, 6), nn.Linear(6, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.c(self.b(self.a(x).tanh()).relu())

    flat, shapes = torch.tensor(kept), {"a.weight": (3, 5), "b.weight": (6, 3), "c.weight": (2, 6)}
    parts = flat.split([15, 18, 12])
    masks = {name: part.view(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}
    biases = {"a.bias": torch.zeros(3), "b.bias": torch.tensor(live).float(), "c.bias": torch.zeros(2)}
    found = effective_masks(Net(), masks, {"": torch.ones(1, 5)}, biases)
    left = {name: mask.clone() for name, mask in masks.items()}
    while True:
        before = {name: mask.clone() for name, mask in left.items()}
        for source, target, bias in (("a.weight", "b.weight", "a.bias"), ("b.weight", "c.weight", "b.bias")):
            left[target] &= left[source].any(1) | (biases[bias] != 0)
            left[source] &= left[target].any(0).unsqueeze(1)
        if all(torch.equal(left[name], before[name]) for name in left):
            break
    assert all(torch.equal(found[name], left[name]) for name in left)


def resnet_block(cut: str) -> dict[str, Tensor]:
    """The masks of a small ResNet-20, of which `cut` is emptied, after following paths; BatchNorm shifts are 0."""
    model = create_model("resnet-20", seed=0, width=0.125, in_shape=[1, 8, 8])
    masks: Masks = {name: torch.ones_like(one, dtype=torch.bool) for name, one in prunable_parameters(model).items()}
    masks[cut] = torch.zeros_like(masks[cut])
    biases = {name: torch.zeros_like(one) for name, one in model.named_parameters() if name.endswith("bias")}
    return effective_masks(model, masks, {"": torch.ones(1, 1, 8, 8)}, biases)


def test_a_resnet_block_without_its_second_convolution_lives_by_its_shortcut() -> None:
    found = resnet_block("blocks.0.conv2.weight")
    assert not found["blocks.0.conv1.weight"].any()
    others = {name: mask for name, mask in found.items() if not name.startswith("blocks.0.")}
    assert all(mask.all() for mask in others.values())


def test_a_projection_that_is_gone_takes_nothing_else_with_it() -> None:
    found = resnet_block("blocks.3.shortcut.0.weight")
    assert all(mask.all() for name, mask in found.items() if name != "blocks.3.shortcut.0.weight")


def test_a_first_layer_that_is_gone_takes_everything_with_it() -> None:
    assert not any(mask.any() for mask in resnet_block("conv.weight").values())


@pytest.mark.parametrize(
    ("name", "shape"), [("lenet-5", [1, 28, 28]), ("conv-2", [3, 12, 12]), ("vgg-16", [3, 32, 32])]
)
def test_pooling_loses_no_path(name: str, shape: list[int]) -> None:
    """The gradient of a maximum reaches one of several equal places; paths lead on from all of them."""
    model = create_model(name, seed=0, in_shape=shape, width=0.1)
    masks = {one: torch.ones_like(weight, dtype=torch.bool) for one, weight in prunable_parameters(model).items()}
    found = effective_masks(model, masks, {"": torch.ones(1, *shape)}, {})
    assert all(mask.all() for mask in found.values())


def test_a_dead_channel_takes_its_columns_after_flattening() -> None:
    model = create_model("lenet-5", seed=0, width=0.5)
    masks = {one: torch.ones_like(weight, dtype=torch.bool) for one, weight in prunable_parameters(model).items()}
    masks["conv2.weight"][1] = False
    biases = {name: torch.zeros_like(one) for name, one in model.named_parameters() if name.endswith("bias")}
    found = effective_masks(model, masks, {"": torch.ones(1, 1, 28, 28)}, biases)
    columns = found["fc1.weight"].view(len(found["fc1.weight"]), len(masks["conv2.weight"]), -1)
    assert columns.all(0).all(1).tolist() == [channel != 1 for channel in range(len(masks["conv2.weight"]))]
    assert not columns[:, 1].any()


def test_queries_matter_only_where_keys_do() -> None:
    """Without keys every place looks at all others alike: queries do nothing, values still do."""
    sizes = {"num_hidden_layers": 1, "hidden_size": 8, "num_attention_heads": 2, "intermediate_size": 8}
    config = {**sizes, "vocab_size": 10}
    model = create_model("transformers/bert", seed=0, head="text-classification", config=config)
    masks = {one: torch.ones_like(weight, dtype=torch.bool) for one, weight in prunable_parameters(model).items()}
    attention = "bert.encoder.layer.0.attention.self"
    masks[f"{attention}.key.weight"] = torch.zeros(8, 8, dtype=torch.bool)
    tokens = torch.ones(1, 4, dtype=torch.long)
    biases = {name: torch.zeros_like(one) for name, one in model.named_parameters() if name.endswith("bias")}
    found = effective_masks(model, masks, {"input_ids": tokens, "attention_mask": tokens}, biases)
    assert not found[f"{attention}.query.weight"].any()
    assert found[f"{attention}.value.weight"].all()
    assert found["bert.pooler.dense.weight"].all()


def test_what_paths_cannot_be_followed_through_is_named() -> None:
    class Difference(TwoThreeTwo):
        def forward(self, x: Tensor) -> Tensor:
            hidden = F.relu(self.first(x))
            return self.last(hidden - hidden.mean())

    masks = {"first.weight": torch.ones(3, 2, dtype=torch.bool), "last.weight": torch.ones(2, 3, dtype=torch.bool)}
    with pytest.raises(ModelError, match="paths cannot be followed through sub"):
        effective_masks(Difference(), masks, {"": torch.ones(1, 2)})
