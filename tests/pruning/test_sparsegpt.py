"""SparseGPT and N:M, by numbers worked out by hand."""

import math

import pytest
import torch
from calibrated import HALF, Stack, linear, probe_of, pruned

from ticketzoo.errors import RecipeError, RunError
from ticketzoo.pruning.criteria import CRITERIA, OnTheWay
from ticketzoo.pruning.sparsegpt import SparseGPTConfig, solved

HESSIAN = torch.tensor([[4.0, 2.0], [2.0, 4.0]])
"""2 X X^T of X X^T = [[2, 1], [1, 2]]: the inverse has the upper Cholesky factor .57735, -.28868, .5."""


def test_the_other_weight_makes_up_for_the_one_that_goes() -> None:
    """.64 / (1/3) is less than 1 / (1/4), so .8 goes; least squares of what stays is 1 + .8 * 1/2."""
    mask, weight = solved(torch.tensor([[0.8, 1.0]]), HESSIAN, keep=1, columns=128, damping=0)
    assert mask.tolist() == [[False, True]]
    assert weight.tolist() == [[0.0, pytest.approx(1.4)]]


def test_the_update_is_the_least_squares_solution_where_one_column_goes_at_a_time() -> None:
    torch.manual_seed(0)
    inputs = torch.randn(50, 4)
    weight = torch.tensor([[0.01, 1.0, -2.0, 1.5]])
    mask, updated = solved(weight, 2 * inputs.T @ inputs, keep=3, columns=4, damping=0)
    assert mask.tolist() == [[False, True, True, True]]
    best = torch.linalg.lstsq(inputs[:, 1:], inputs @ weight[0]).solution
    assert torch.allclose(updated[0, 1:], best, atol=1e-5)


def test_columns_are_chosen_among_block_by_block() -> None:
    """Without correlation scores are squares: of each two columns the smaller goes, though 4 > 2 in the other block."""
    weight = torch.tensor([[1.0, 2.0, 4.0, 3.0]])
    mask, _ = solved(weight, torch.eye(4), keep=2, columns=2, damping=0.01)
    assert mask.tolist() == [[False, True, True, False]]
    mask, _ = solved(weight, torch.eye(4), keep=2, columns=4, damping=0.01)
    assert mask.tolist() == [[False, False, True, True]]


def test_values_are_given_where_the_recipe_asks_for_the_update() -> None:
    root = math.sqrt(3)
    probe = probe_of(Stack(linear([[0.8, 1.0]])), [[math.sqrt(2), 1 / math.sqrt(2)], [0.0, root / math.sqrt(2)]])
    way = OnTheWay({"layers.0.weight": 1}, lambda scores: {})
    for update in (True, False):
        config = SparseGPTConfig(sequences=1, damping=0, update=update)
        ranking = CRITERIA["sparsegpt"].configured(config).ranking(probe, on_the_way=way)
        assert ranking.masks and ranking.masks["layers.0.weight"].tolist() == [[False, True]]
        values = {name: one.tolist() for name, one in (ranking.values or {}).items()}
        assert values == ({"layers.0.weight": [[0.0, pytest.approx(1.4)]]} if update else {})


def test_an_input_that_never_comes_needs_no_weight() -> None:
    mask, weight = solved(torch.tensor([[5.0, 1.0]]), torch.diag(torch.tensor([0.0, 2.0])), 1, 128, 0.01)
    assert mask.tolist() == [[False, True]]
    assert weight.tolist() == [[0.0, 1.0]]


def test_inputs_that_do_not_span_the_columns_are_an_error_without_damping() -> None:
    with pytest.raises(RunError, match=r"the inputs of 'layers.0.weight' do not span its columns: raise finder.prune"):
        criterion = {"name": "sparsegpt", "damping": 0}
        pruned(probe_of(Stack(linear([[1.0, 2.0]])), [[1.0, -1.0]] * 2), criterion=criterion, schedule=HALF)


def test_two_of_four() -> None:
    probe = probe_of(Stack(linear([[1.0, -4.0, 3.0, 2.0, 0.1, 0.2, 0.4, 0.3]])), torch.eye(8).tolist())
    kept = [[False, True, True, False, False, False, True, True]]
    for criterion in ("magnitude", "wanda"):
        for_layer = {"scope": "layerwise", "structure": "n:m", "schedule": HALF}
        assert pruned(probe, criterion=criterion, **for_layer)["layers.0.weight"].tolist() == kept
    one = {"structure": {"name": "n:m", "n": 1, "m": 4}, "schedule": {"levels": [0.75]}}
    found = pruned(probe, criterion="magnitude", **one)["layers.0.weight"]
    assert found.nonzero().tolist() == [[0, 1], [0, 6]]


def test_n_of_m_that_cannot_be() -> None:
    probe = probe_of(Stack(linear([[1.0] * 6])), torch.eye(6).tolist())
    with pytest.raises(RecipeError, match=r"'layers.0.weight' has 6 inputs, which 4 does not divide: choose another m"):
        pruned(probe, criterion="magnitude", structure="n:m", schedule=HALF)
    with pytest.raises(RecipeError, match=r"n:m keeps 2 of 4: set finder.levels to 1 and .*levels to \[0.5\]"):
        pruned(probe, criterion="magnitude", structure="n:m", schedule={"levels": [0.7]})
    with pytest.raises(ValueError, match="4 of 4 removes nothing"):
        pruned(probe, criterion="magnitude", structure={"name": "n:m", "n": 4, "m": 4}, schedule=HALF)
