import math
from typing import Any
from unittest import mock

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ticketzoo.errors import RecipeError, RunError
from ticketzoo.masks import topk as magnitude
from ticketzoo.masks.masks import Masks, is_subset, kept
from ticketzoo.models import create_model, prunable_parameters
from ticketzoo.pruning.config import PruningConfig, dense_masks
from ticketzoo.pruning.magnitude import prune_by_magnitude
from ticketzoo.pruning.pruner import Pruner

INF = math.inf


def remove_smallest(weights: dict[str, Tensor], masks: Masks, rate: float) -> Masks:
    return prune_by_magnitude(weights, masks, PruningConfig(rate=rate))


def kept_of(values: list[float], rate: float, mask: list[int] | None = None, dtype: torch.dtype = torch.float32) -> str:
    weights = torch.tensor(values, dtype=dtype)
    before = torch.ones(len(values), dtype=torch.bool) if mask is None else torch.tensor(mask).bool()
    after = remove_smallest({"w": weights}, {"w": before}, rate)["w"]
    return "".join("1" if keep else "0" for keep in after.tolist())


def all_kept(weights: dict[str, Tensor]) -> Masks:
    return {name: torch.ones(weight.shape, dtype=torch.bool) for name, weight in weights.items()}


def sorted_oracle(weights: dict[str, Tensor], masks: Masks, rate: float) -> list[list[bool]]:
    """Sort all survivors by (magnitude, position in the model) and remove the first round(rate * survivors)."""
    ranked = [
        (abs(value), order, index)
        for order, (name, mask) in enumerate(masks.items())
        for index, value in enumerate(weights[name].float().flatten().tolist())
        if mask.flatten()[index]
    ]
    gone = {(order, index) for _, order, index in sorted(ranked)[: round(rate * len(ranked))]}
    return [
        [bool(keep) and (order, index) not in gone for index, keep in enumerate(mask.flatten())]
        for order, mask in enumerate(masks.values())
    ]


@pytest.mark.parametrize(
    ("values", "rate", "expected"),
    [
        ([0.3, -0.1, 0.2, -0.4], 0.5, "1001"),
        ([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0], 0.2, "0011111111"),
        ([1, 1, 1, 1, 1], 0.4, "00111"),
        ([-2, 2, 1, -1, 2], 0.6, "01001"),
        ([0.0, 5.0, -0.0, 0.0, -0.0], 0.4, "01011"),
        ([-0.0, 5.0, 0.0, -0.0, 0.0], 0.4, "01011"),
        ([4e-45, 1e-45, 0.0, 3e-45], 0.5, "1001"),
        ([INF, -INF, 1.0, INF], 0.5, "0101"),
        ([INF, INF], 0.5, "01"),
        ([3.4e38, INF, -3.3e38, 1e-40], 0.5, "1100"),
    ],
    ids=["signs", "two of ten", "ties", "ties of both signs", "zeros", "negative zeros", "denormals", "infinities",
         "only infinities", "extremes"],
)  # fmt: skip
def test_smallest_magnitudes_go_and_among_equal_ones_the_first(values: list[float], rate: float, expected: str) -> None:
    assert kept_of(values, rate) == expected


@pytest.mark.parametrize(
    ("survivors", "rate", "removed"), [(5, 0.5, 2), (7, 0.5, 4), (10, 0.25, 2), (2, 0.2, 0), (3, 0.2, 1), (1, 0.9, 1)]
)
def test_count_is_exact_half_to_even_even_when_all_tie(survivors: int, rate: float, removed: int) -> None:
    assert kept_of([1.0] * survivors, rate) == "0" * removed + "1" * (survivors - removed)


def test_pruned_weights_are_not_counted_and_stay_pruned() -> None:
    # 4 survivors, of which half go; the smallest of all is pruned already, as is the largest.
    assert kept_of([9.0, 0.1, 0.4, 0.3, 0.2, 0.5], 0.5, mask=[0, 0, 1, 1, 1, 1]) == "001001"


def test_a_kept_zero_is_a_weight_like_any_other() -> None:
    assert kept_of([0.0, 0.0, 0.0, 1.0], 0.5, mask=[0, 1, 1, 0]) == "0010"


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_dtypes(dtype: torch.dtype) -> None:
    assert kept_of([0.5, -0.25, 0.25, 1.0, -0.125], 0.4, dtype=dtype) == "10110"


def test_global_ranks_all_layers_together_in_the_order_of_the_mapping() -> None:
    weights = {"b": torch.tensor([[1.0, 2.0], [3.0, 2.0]]), "a": torch.tensor([2.0, 0.5])}
    after = remove_smallest(weights, all_kept(weights), 0.5)  # 0.5, 1.0 and the first of the three 2.0s
    assert after["b"].tolist() == [[False, False], [True, True]]
    assert after["a"].tolist() == [True, False]
    assert list(after) == ["b", "a"]


def test_layerwise_takes_the_fraction_of_each_layer_and_rates_override() -> None:
    weights = {"fc1.weight": torch.arange(1.0, 11.0), "fc3.weight": torch.arange(100.0, 110.0)}
    masks = all_kept(weights)
    config = PruningConfig(scope="layerwise", rate=0.2, rates={"fc3": 0.1})
    assert [int(mask.sum()) for mask in prune_by_magnitude(weights, masks, config).values()] == [8, 9]
    pooled = prune_by_magnitude(weights, masks, PruningConfig(scope="global", rate=0.2))
    assert [int(mask.sum()) for mask in pooled.values()] == [6, 10]


WEIGHT = st.one_of(st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.0, INF, 1e-45]), st.floats(allow_nan=False, width=16))
LAYER = st.lists(st.tuples(WEIGHT, st.booleans()), min_size=1, max_size=40)


@given(
    layers=st.lists(LAYER, min_size=1, max_size=4),
    rate=st.floats(0.001, 0.999),
    dtype=st.sampled_from([torch.float32, torch.float16, torch.bfloat16]),
)
def test_any_layers_are_pruned_as_sorting_them_would(layers: list[Any], rate: float, dtype: torch.dtype) -> None:
    weights = {
        str(order): torch.tensor([value for value, _ in layer], dtype=dtype) for order, layer in enumerate(layers)
    }
    masks = {str(order): torch.tensor([keep for _, keep in layer]) for order, layer in enumerate(layers)}
    after = remove_smallest(weights, masks, rate)
    assert [mask.tolist() for mask in after.values()] == sorted_oracle(weights, masks, rate)


@given(
    layers=st.lists(LAYER, min_size=1, max_size=4),
    rate=st.floats(0.001, 0.999),
    bracket=st.tuples(*[st.sampled_from([0.0, 1e-45, 0.5, 1.0, 2.0, INF])] * 2),
)
def test_a_bracket_that_misses_changes_nothing(layers: list[Any], rate: float, bracket: tuple[float, float]) -> None:
    weights = {str(order): torch.tensor([value for value, _ in layer]) for order, layer in enumerate(layers)}
    masks = {str(order): torch.tensor([keep for _, keep in layer]) for order, layer in enumerate(layers)}
    with mock.patch.object(magnitude, "_bracket", return_value=bracket):
        after = remove_smallest(weights, masks, rate)
    assert [mask.tolist() for mask in after.values()] == sorted_oracle(weights, masks, rate)


LARGE = {
    "normal": lambda generator: torch.randn(500, 600, generator=generator),
    "many ties": lambda generator: torch.randn(500, 600, generator=generator).mul(8).round(),
    "half zeros": lambda generator: torch.randn(500, 600, generator=generator).relu(),
    "columns of different size": lambda generator: torch.randn(500, 600, generator=generator) * torch.arange(600.0),
    "all equal": lambda generator: torch.ones(500, 600),
}


@pytest.mark.parametrize("kind", LARGE)
@pytest.mark.parametrize("density", [1.0, 0.03])
@pytest.mark.parametrize("rate", [0.2, 0.001])
def test_large_layers_are_pruned_as_sorting_them_would(kind: str, density: float, rate: float) -> None:
    generator = torch.Generator().manual_seed(0)
    weights = {name: LARGE[kind](generator) for name in "ab"}
    masks = {name: torch.rand(500, 600, generator=generator) < density for name in "ab"}
    magnitudes = torch.cat([weight.abs()[masks[name]] for name, weight in weights.items()])
    keep = torch.ones(len(magnitudes), dtype=torch.bool)
    keep[magnitudes.argsort(stable=True)[: round(rate * len(magnitudes))]] = False

    after = remove_smallest(weights, masks, rate)

    assert is_subset(after, masks)
    assert torch.equal(torch.cat([after[name][masks[name]] for name in "ab"]), keep)


def test_published_densities_of_lenet_300_100_and_nested_levels() -> None:
    """Frankle & Carbin 2019, figure 3: per cent of weights kept at 20% a round, 10% from the last layer."""
    model = create_model("lenet-300-100", seed=0)
    config = PruningConfig(scope="layerwise", rate=0.2, rates={"fc3": 0.1})
    weights = {name: parameter.detach() for name, parameter in prunable_parameters(model).items()}
    levels = [dense_masks(weights, config)]
    for _ in range(15):
        levels.append(prune_by_magnitude(weights, levels[-1], config))
        assert is_subset(levels[-1], levels[-2])
    percent = {level: round(100 * kept(levels[level]) / 266_200, 1) for level in (0, 3, 6, 7, 9, 12, 15)}
    assert percent == {0: 100.0, 3: 51.3, 6: 26.3, 7: 21.1, 9: 13.5, 12: 7.0, 15: 3.6}
    # fc2 by hand: 30000 24000 19200 15360 12288 9830 7864 6291 5033 4026 (30000 * 0.8**9 = 4026.5, rounded only once)
    assert [int(mask.sum()) for mask in levels[9].values()] == [31_568, 4_026, 387]


def test_a_nan_that_survives_is_an_error_that_names_its_parameter() -> None:
    weights = {"fc1.weight": torch.ones(4), "fc2.weight": torch.tensor([1.0, math.nan, 3.0])}
    with pytest.raises(RunError, match=r"^weight 'fc2\.weight' is NaN[^\n]*$"):
        remove_smallest(weights, all_kept(weights), 0.5)
    with pytest.raises(RunError, match=r"fc2\.weight"):  # even when nothing is to be removed
        remove_smallest(weights, all_kept(weights), 0.01)


def test_a_nan_that_is_pruned_does_not_matter() -> None:
    assert kept_of([math.nan, 3.0, 1.0, 2.0, 4.0], 0.5, mask=[0, 1, 1, 1, 1]) == "01001"


def test_no_survivors_leave_none() -> None:
    assert kept_of([1.0, 2.0], 0.5, mask=[0, 0]) == "00"


def test_inputs_and_global_random_state_stay_as_they_were() -> None:
    weights = {"w": torch.nn.Parameter(torch.randn(3, 4))}
    masks = all_kept(weights)
    before, state = weights["w"].detach().clone(), torch.get_rng_state()
    after = remove_smallest(weights, masks, 0.5)
    assert torch.equal(weights["w"], before) and masks["w"].all()
    assert torch.equal(torch.get_rng_state(), state)
    after["w"].fill_(True)
    assert masks["w"].data_ptr() != after["w"].data_ptr()


def test_ties_go_by_index_whatever_the_layout_in_memory() -> None:
    masks = {"w": torch.ones(2, 3, 2, 2, dtype=torch.bool)}
    after = remove_smallest({"w": torch.ones(2, 3, 2, 2).to(memory_format=torch.channels_last)}, masks, 0.25)
    assert after["w"].flatten().tolist() == [False] * 6 + [True] * 18
    transposed = remove_smallest({"w": torch.tensor([[1.0, 4.0], [2.0, 3.0]]).T}, {"w": masks["w"][0, 0].T}, 0.5)
    assert transposed["w"].tolist() == [[False, False], [True, True]]


def test_excluded_layers_have_no_mask() -> None:
    parameters = {"fc1.weight": torch.ones(2, 3), "layer1.0.weight": torch.ones(4)}
    masks = dense_masks(parameters, PruningConfig(exclude=("layer1.*",)))
    assert {name: mask.tolist() for name, mask in masks.items()} == {"fc1.weight": [[True] * 3] * 2}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (PruningConfig(exclude=("fc9",)), "finder.exclude: 'fc9' matches no layer of the model; its layers: fc1, fc2"),
        (PruningConfig(scope="layerwise", rates={"conv*": 0.1}), "finder.rates: 'conv*' matches no layer"),
        (PruningConfig(exclude=("fc*",)), "leaves no layer to prune"),
    ],
)
def test_patterns_that_do_not_fit_the_model_are_errors(config: PruningConfig, message: str) -> None:
    with pytest.raises(RecipeError) as error:
        dense_masks({"fc1.weight": torch.ones(2), "fc2.weight": torch.ones(2)}, config)
    assert message in str(error.value)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_as_on_the_cpu() -> None:
    weights = {"w": torch.randn(300, 100), "v": torch.randn(50).half()}
    masks = {"w": torch.rand(300, 100) < 0.5, "v": torch.ones(50, dtype=torch.bool)}
    expected = remove_smallest(weights, masks, 0.2)
    moved = remove_smallest({k: v.cuda() for k, v in weights.items()}, {k: v.cuda() for k, v in masks.items()}, 0.2)
    assert all(moved[name].is_cuda and torch.equal(moved[name].cpu(), expected[name]) for name in expected)


@pytest.mark.parametrize("scope", ["global", "layerwise"])
def test_a_rate_of_the_original_weights_removes_as_many_every_round(scope: str) -> None:
    weights = {"a.weight": torch.arange(1.0, 21), "b.weight": torch.arange(100.0, 110)}
    config = PruningConfig.model_validate({"scope": scope, "rate": 0.1, "rate_of": "original"})
    masks, counts = all_kept(weights), []
    for _ in range(9):
        masks = prune_by_magnitude(weights, masks, config)
        counts.append([int(mask.sum()) for mask in masks.values()])
    if scope == "layerwise":
        assert counts == [[20 - 2 * level, 10 - level] for level in range(1, 10)]
    else:
        assert counts == [[max(0, 20 - 3 * level), min(10, 30 - 3 * level)] for level in range(1, 10)]
    with pytest.raises(RecipeError, match="level 10 of 10 would keep no weight"):
        Pruner.of(config).check(all_kept(weights), 10)


def test_a_level_that_keeps_nothing_names_the_key_that_the_schedule_has() -> None:
    masks = {"a.weight": torch.ones(4, dtype=torch.bool)}
    listed = "lower the sparsities of finder.prune.schedule.levels"
    for keys, remedy in (({"rate": 0.9}, "lower the rate"), ({"prune": {"schedule": {"levels": [0.9]}}}, listed)):
        with pytest.raises(RecipeError, match=rf"level 1 of 1 would keep no weight; ask for fewer, or {remedy}$"):
            Pruner.of(PruningConfig.model_validate(keys)).check(masks, 1)
