"""Subset sums: by hand, against all subsets, and how fast the error falls."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ticketzoo.errors import RecipeError
from ticketzoo.recipe import parse_recipe
from ticketzoo.studies import StudyRecipe, plan_study, run_study
from ticketzoo.studies.closest import closest_subset, closest_sums
from ticketzoo.studies.subset_sum import random_layers, single_errors, slope, target_errors

NUMBERS = (0.5, -0.3, 0.8, -0.9)


@pytest.mark.parametrize(
    ("target", "places", "error"),
    [(0.2, (0, 1), 0.0), (0.33, (0, 2, 3), 0.07), (-0.45, (0, 3), 0.05), (0.04, (), -0.04), (9.0, (0, 2), -7.7)],
)
def test_subsets_by_hand(target: float, places: tuple[int, ...], error: float) -> None:
    """Of -0.45 the subset {1, 2, 3} is as close as {0, 3}: the smaller is taken."""
    found, off = closest_subset(NUMBERS, target)
    assert found == places
    assert off == pytest.approx(error, abs=1e-12)


@given(
    st.integers(1, 9).flatmap(lambda n: st.lists(st.floats(-1, 1), min_size=n, max_size=n)),
    st.floats(-2, 2),
)
def test_sums_are_those_of_looking_at_all_subsets(numbers: list[float], target: float) -> None:
    values = torch.tensor(numbers, dtype=torch.float64)
    sums, counts = closest_sums(values.view(1, -1), torch.tensor([target], dtype=torch.float64))
    chosen = ((torch.arange(1 << len(numbers)).unsqueeze(1) >> torch.arange(len(numbers))) & 1).double()
    best = (chosen @ values - target).abs().min()
    assert abs(float(sums[0]) - target) == pytest.approx(float(best), abs=1e-12)
    assert 0 <= int(counts[0]) <= len(numbers)
    places, error = closest_subset(numbers, target)
    assert abs(error) == pytest.approx(float(best), abs=2e-12)
    assert sum(numbers[place] for place in places) - target == error


def test_the_error_falls_by_a_bit_with_each_number() -> None:
    """Medians of 20 draws with 200 targets are, but for the draws, those expected."""
    for pool, expected in (
        ("uniform", (4.9e-2, 3.6e-3, 2.9e-4, 2.7e-5)),
        ("products", (4.9e-2, 2.8e-3, 2.0e-4, 1.4e-5)),
    ):
        medians = {n: float(target_errors(pool, n, 20, 200, seed=0).median()) for n in (4, 8, 12, 16)}
        assert all(half / 2 <= found <= 2 * half for half, found in zip(expected, medians.values(), strict=True))
        assert -1.1 <= slope({n: medians[n] for n in (8, 12, 16)}) <= -0.85


@pytest.mark.parametrize(("epsilon", "expected"), [(0.1, 8), (0.03, 8), (0.01, 12), (0.003, 14), (0.001, 15)])
def test_numbers_for_99_of_100_targets(epsilon: float, expected: int) -> None:
    """About 1.5 to 1.8 times log2(1 / epsilon) once few numbers are enough; a draw more or less moves it by two."""
    enough = next(
        n for n in range(1, 20) if (target_errors("uniform", n, 20, 200, seed=0) <= epsilon).double().mean() >= 0.99
    )
    assert abs(enough - expected) <= 2


def test_one_number_of_many_is_ten_times_closer_with_ten_times_as_many() -> None:
    medians = [float(single_errors(count, 20, 200, seed=0).median()) for count in (10, 100, 1000, 10_000)]
    assert all(5 <= before / after <= 20 for before, after in pairwise(medians))
    expected = (5.8e-2, 6.5e-3, 5.3e-4, 6.0e-5)
    assert all(half / 2 <= found <= 2 * half for half, found in zip(expected, medians, strict=True))


def test_more_numbers_than_can_be_looked_at_are_refused() -> None:
    with pytest.raises(RecipeError, match="of 25 numbers not all subsets can be looked at: 24 at most"):
        closest_sums(torch.zeros(1, 25, dtype=torch.float64), torch.zeros(1, dtype=torch.float64))


def test_the_first_random_layer_is_shared_by_all_outputs() -> None:
    """With one unit for each input the sums are a b or 0, and b, the same for all outputs, cannot be below 0."""
    masks = {"w": torch.ones(40, 2, dtype=torch.bool)}
    found = random_layers({"w": torch.full((40, 2), 5.0)}, masks, 1, "products", seed=0)
    largest = found["w"].max(0).values
    assert (found["w"] >= 0).all() and (largest <= 1).all()
    assert torch.equal(found["w/kept"], (found["w"] != 0).long())


DATA = {"path": "digits", "classes": [0, 1, 2], "examples": 150}
RECIPE: dict[str, Any] = {
    "name": "lenet.digits-subset-sum",
    "study": {
        "name": "subset-sum",
        "model": {"name": "lenet-300-100", "kwargs": {"width": 0.03}},
        "task": {"type": "image-classification", "dataset": DATA, "normalize": "unit"},
        "training": {"steps": "40it", "batch_size": 20, "optimizer": {"lr": 0.1}},
        "counts": [2, 20],
        "draws": 2,
        "targets": 20,
        "seeds": [0],
    },
}


def test_a_network_of_random_weights_scores_as_the_trained_one(tmp_path: Path) -> None:
    recipe = parse_recipe(RECIPE, StudyRecipe, "test")
    assert plan_study(recipe, tmp_path, seconds=0.01).trainings == 1
    report = run_study(recipe, tmp_path)
    found = {(row["part"], row["n"], row["metric"]): row["value"] for row in report.rows}
    assert found["network", 20, "test_accuracy"] == pytest.approx(found["network", 0, "test_accuracy"], abs=0.05)
    assert found["network", 2, "missed"] > 0.5 > 0.05 > found["network", 20, "missed"]
    assert found["network", 20, "random_weights"] == 20 * (9 * 64 + 3 * 9 + 3 * 3)
    assert found["network", 20, "kept"] < found["network", 20, "random_weights"]
    assert "The single closest number" in report.text
    assert report.tables[0].rows[0][0] == "trained"
    written = (tmp_path / "results.jsonl").read_bytes()
    assert run_study(recipe, tmp_path).rows == report.rows
    assert (tmp_path / "results.jsonl").read_bytes() == written


@pytest.mark.parametrize(
    ("keys", "layer"),
    [
        ({"task": {"type": "image-classification", "dataset": DATA}}, "fc1"),  # pixels less their mean
        ({"model": {"name": "conv-2", "kwargs": {"activations": "binary", "width": 0.1}}}, ""),
    ],
)
def test_inputs_below_0_are_refused(keys: dict[str, Any], layer: str, tmp_path: Path) -> None:
    recipe = parse_recipe(RECIPE | {"study": RECIPE["study"] | keys}, StudyRecipe, "test")
    with pytest.raises(RecipeError, match=f"study: {layer}.* gets inputs down to -") as caught:
        plan_study(recipe, tmp_path, seconds=0.01)
    assert "\n" not in str(caught.value) and "set task.normalize to unit" in str(caught.value)
