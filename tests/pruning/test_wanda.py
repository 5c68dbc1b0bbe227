"""Wanda, OWL's densities and the groups that weights are compared in, by numbers worked out by hand."""

import pytest
import torch
from calibrated import EXAMPLE, HALF, Stack, linear, probe_of, pruned
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from ticketzoo.errors import RunError
from ticketzoo.masks.rows import keep_in_rows
from ticketzoo.pruning.config import PruneConfig
from ticketzoo.pruning.owl import OwlConfig, densities, outliers, owl
from ticketzoo.pruning.scope import Layer, check_groups
from ticketzoo.pruning.wanda import WandaConfig

WEIGHT = [[1.0, -2.0], [3.0, 0.5]]


def test_wanda_compares_magnitude_times_the_norm_of_the_input_in_each_row() -> None:
    """Scores [[5, 2], [15, .5]]: the second of each row goes. Magnitude by layer takes 1 and .5."""
    probe = probe_of(Stack(linear(WEIGHT)), EXAMPLE)
    assert pruned(probe, criterion="wanda", schedule=HALF)["layers.0.weight"].tolist() == [[True, False], [True, False]]
    by_layer = pruned(probe, criterion="magnitude", compared="layer", schedule=HALF)["layers.0.weight"]
    assert by_layer.tolist() == [[False, True], [True, False]]
    by_rows = pruned(probe, criterion="magnitude", compared="rows", schedule=HALF)["layers.0.weight"]
    assert by_rows.tolist() == [[False, True], [True, False]]


def test_calibration_examples_add_up() -> None:
    split = probe_of(Stack(linear(WEIGHT)), EXAMPLE[:1], EXAMPLE[1:])
    found = pruned(split, criterion={"name": "wanda", "sequences": 2}, schedule=HALF)
    assert found["layers.0.weight"].tolist() == [[True, False], [True, False]]


def test_a_block_sees_inputs_through_the_pruned_block_before() -> None:
    """Dense, the first block gives (5, -.5) and the scores after it are 5 and 1.25; pruned, (3, -1.5): 3 and 3.75."""
    net = Stack(linear([[2.0, 3.0], [1.0, -1.5]]), linear([[1.0, 2.5]]))
    found = pruned(probe_of(net, [[1.0, 1.0]]), criterion="wanda", schedule=HALF)
    assert found["layers.0.weight"].tolist() == [[False, True], [False, True]]
    assert found["layers.1.weight"].tolist() == [[False, True]]


class ByKeyword(Stack):
    """As `Stack`, whose blocks and layers are called with keywords alone."""

    def forward(self, inputs: Tensor) -> Tensor:
        for layer in self.layers:
            inputs = layer(scale=1.0, hidden=inputs)
        return inputs


class Keyed(nn.Module):
    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, hidden: Tensor, scale: float) -> Tensor:
        return self.layer(input=hidden) * scale


def test_blocks_and_layers_that_are_called_with_keywords() -> None:
    """The numbers of the test above."""
    net = ByKeyword(Keyed(linear([[2.0, 3.0], [1.0, -1.5]])), Keyed(linear([[1.0, 2.5]])))
    found = pruned(probe_of(net, [[1.0, 1.0]]), criterion="wanda", schedule=HALF)
    assert found["layers.0.layer.weight"].tolist() == [[False, True], [False, True]]
    assert found["layers.1.layer.weight"].tolist() == [[False, True]]


def test_orthonormal_inputs_leave_the_order_of_magnitudes_in_each_row() -> None:
    torch.manual_seed(0)
    net = Stack(nn.Linear(8, 5, bias=False))
    basis = torch.linalg.qr(torch.randn(8, 8))[0].tolist()
    prune = {"scope": "rows", "schedule": {"levels": [0.4]}}
    found, usual = (pruned(probe_of(net, basis), criterion=name, **prune) for name in ("wanda", "magnitude"))
    assert torch.equal(found["layers.0.weight"], usual["layers.0.weight"])
    assert found["layers.0.weight"].sum(1).tolist() == [5] * 5, "3.2 of 8 are 3 that go"


def test_convolutions_and_networks_without_blocks() -> None:
    net = nn.Sequential(nn.Conv2d(2, 1, 1, bias=False))
    net[0].weight.data = torch.tensor([1.0, -2.0]).view(1, 2, 1, 1)
    probe = probe_of(net, [[[[5.0]], [[1.0]]]])
    assert pruned(probe, criterion="wanda", schedule=HALF)["0.weight"].flatten().tolist() == [True, False]


def test_rows_are_ranked_by_survivors_then_eligibility_then_score_and_the_later_of_equals_stays() -> None:
    scores = {"w": torch.tensor([[1.0, 1.0, 9.0, 1.0], [4.0, 3.0, 2.0, 1.0]])}
    masks = {"w": torch.tensor([[True, True, False, True], [True, True, True, False]])}
    assert keep_in_rows(scores, masks, {"w": 4})["w"].tolist() == [
        [False, True, False, True],
        [True, True, False, False],
    ]
    may = {"w": torch.tensor([[True, False, True, False], [False, True, True, True]])}
    assert keep_in_rows(scores, masks, {"w": 2}, eligible=may)["w"].nonzero().tolist() == [[0, 0], [1, 1]]
    turned = keep_in_rows({"w": scores["w"].T}, {"w": masks["w"].T}, {"w": 4}, inputs_first=["w"])["w"]
    assert turned.T.tolist() == keep_in_rows(scores, masks, {"w": 4})["w"].tolist()
    with pytest.raises(RunError, match="outputs of fewer than 4 weights left"):
        keep_in_rows(scores, masks, {"w": 8})


def test_owl_densities() -> None:
    """Shares of 2, 4 and 6% of outliers at sparsity .7: sparsities .78, .70, .62."""
    found = densities({"a": 0.02, "b": 0.04, "c": 0.06}, 0.3, 0.08)
    assert [round(1 - one, 12) for one in found.values()] == [0.78, 0.70, 0.62]
    assert densities({"a": 0.1, "b": 0.1}, 0.3, 0.08) == {"a": 0.3, "b": 0.3}


def test_owl_gives_what_one_layer_cannot_take_to_the_others() -> None:
    """At density .95 the three would be .87, .95 and 1.03: the .03 that do not fit go to the two others, .015 each."""
    found = densities({"a": 0.02, "b": 0.04, "c": 0.06}, 0.95, 0.08)
    assert [round(one, 12) for one in found.values()] == [0.885, 0.965, 1.0]
    layers = {"a": Layer((2, 5), 10, 10), "b": Layer((6, 5), 30, 30)}
    found = densities({"a": 0.0, "b": 0.1}, 0.5, 0.2, layers)
    assert [round(one, 12) for one in found.values()] == [0.2, 0.6], "b has three times the weights: (2 + 18) / 40"


@given(
    st.lists(st.tuples(st.integers(1, 6), st.integers(1, 9), st.floats(0, 1)), min_size=1, max_size=6),
    st.floats(0, 0.5),
    st.floats(0, 1),
)
def test_owl_keeps_the_asked_number_of_weights_to_one_a_row(
    sizes: list[tuple[int, int, float]], spread: float, density: float
) -> None:
    layers = {
        str(at): Layer((rows, inputs), rows * inputs, rows * inputs) for at, (rows, inputs, _) in enumerate(sizes)
    }
    count = round(density * sum(layer.units for layer in layers.values()))
    shares = {str(at): share for at, (*_, share) in enumerate(sizes)}
    groups = owl(layers, lambda *_: count, config=OwlConfig(spread=spread), outliers=shares)
    check_groups(groups, layers, "owl")
    assert all(keep % layers[name].shape[0] == 0 for (name,), keep in groups)
    assert 0 <= sum(keep for _, keep in groups) - count < max(rows for rows, *_ in sizes)


def test_owl_counts_scores_above_five_times_the_mean_of_a_block_and_gives_it_more_weights() -> None:
    """In the second block one of ten scores is 91 and nine are 1: the mean is 10, and 91 is above 50."""
    net = Stack(linear([[1.0] * 10] * 10), linear([[91.0] + [1.0] * 9] * 10))
    probe = probe_of(net, torch.eye(10).tolist())
    assert outliers(probe, None, WandaConfig(sequences=1)) == {"layers.0.weight": 0.0, "layers.1.weight": 0.1}
    found = pruned(probe, criterion="wanda", scope={"name": "owl", "spread": 0.2}, schedule=HALF)
    assert [int(mask.sum()) for mask in found.values()] == [30, 70]


@pytest.mark.parametrize(
    ("prune", "message"),
    [
        ({"criterion": "wanda", "scope": "global"}, "criterion wanda prunes block by block.*: set scope: rows"),
        (
            {"criterion": "magnitude", "compared": "rows", "structure": "filters"},
            r"scope rows \(compared: rows\) ranks the weights of each output alone: .* not filters",
        ),
        ({"criterion": "sparsegpt", "structure": "filters"}, "criterion sparsegpt scores single weights"),
    ],
)
def test_parts_that_do_not_go_together(prune: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PruneConfig.model_validate(prune)


def test_what_cannot_be_scored() -> None:
    with pytest.raises(RunError, match=r"wanda: the inputs of 'layers.0.weight' are NaN .* the data are damaged$"):
        pruned(probe_of(Stack(linear(WEIGHT)), [[float("nan"), 1.0]]), criterion="wanda", schedule=HALF)
    quantised = Stack(linear(WEIGHT))
    probe = probe_of(quantised, EXAMPLE)
    quantised.layers[0].weight = nn.Parameter(torch.ones(2, 2, dtype=torch.int8), requires_grad=False)
    with pytest.raises(RunError, match=r"'layers.0.weight' is int8: a quantised layer cannot be scored"):
        pruned(probe, criterion="wanda", schedule=HALF)
    with pytest.raises(RunError, match=r"sparsegpt solves linear layers, and '0.weight' is of Conv2d: add it"):
        pruned(
            probe_of(nn.Sequential(nn.Conv2d(2, 2, 1, bias=False)), [[[[5.0]], [[1.0]]]]),
            criterion="sparsegpt",
            schedule=HALF,
        )
    both = nn.ModuleDict({"layers": nn.ModuleList([linear(WEIGHT)]), "head": linear(WEIGHT)})
    with pytest.raises(RunError, match=r"'head.weight' lies outside the blocks: add it to exclude"):
        pruned(probe_of(both, EXAMPLE), criterion="wanda", schedule=HALF)


@pytest.mark.parametrize("word", ["row", ["rows"]])
def test_an_unknown_comparison_is_told_with_those_there_are(word: object) -> None:
    with pytest.raises(ValueError, match=r"compared: .*: choose rows, layer, model"):
        PruneConfig.model_validate({"compared": word})
