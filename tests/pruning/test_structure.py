"""Filters are removed as a whole."""

import pytest
import torch

from ticketzoo.errors import RecipeError
from ticketzoo.masks.masks import Masks
from ticketzoo.pruning.config import PruningConfig
from ticketzoo.pruning.probe import Weights
from ticketzoo.pruning.pruner import Pruner

FILTERS = torch.tensor([[1.0, -1, 0, 2], [0.5, 0.5, 0.5, -0.5], [-3, 0, 0, 1]]).view(3, 1, 2, 2)
"""Of L1 norms 4, 2 and 4."""


def pruned(rate: float, levels: int, **prune: str) -> list[list[bool]]:
    pruner = Pruner.of(PruningConfig(prune={"structure": "filter", **prune}, rate=rate))
    masks: Masks = {"conv.weight": torch.ones(3, 1, 2, 2, dtype=torch.bool)}
    pruner.check(masks, levels)
    seen = []
    for to in range(1, levels + 1):
        sized = pruner.sized(masks, to=to)
        masks = pruner(Weights({"conv.weight": FILTERS}, masks, {"conv.weight": FILTERS}), to=to)
        assert sized["conv.weight"].sum() == masks["conv.weight"].sum()
        whole = masks["conv.weight"].flatten(1)
        assert torch.equal(whole.any(1), whole.all(1))
        seen.append(whole.any(1).tolist())
    return seen


def test_the_filter_of_smallest_norm_goes_and_of_equal_ones_the_first() -> None:
    assert pruned(0.34, 2) == [[True, False, True], [False, False, True]]


def test_signed_scores_are_summed_with_their_signs() -> None:
    """The sums of the weights are 2, 1 and -2: |w| - |w0| is 0 everywhere, so the first filter goes."""
    assert pruned(0.34, 1, criterion="magnitude-increase") == [[False, True, True]]


def test_filters_are_counted_before_anything_is_trained() -> None:
    masks = {"a.weight": torch.ones(10, 3, 3, 3).bool(), "b.weight": torch.ones(5, 10, 1, 1).bool()}
    pruner = Pruner.of(PruningConfig(prune={"structure": "filter", "scope": "layerwise"}, rate=0.3))
    assert [tuple(group) for group in pruner.kept(masks, to=1)] == [(("a.weight",), 7), (("b.weight",), 3)]  # 1.5: 2
    together = Pruner.of(PruningConfig(prune={"structure": "filter"}, rate=0.2))
    assert [tuple(group) for group in together.kept(masks, to=1)] == [(("a.weight", "b.weight"), 12)]
    with pytest.raises(RecipeError, match="level 4 of 4 would remove no weight"):
        pruner.check({"b.weight": masks["b.weight"]}, 4)  # 5, 3, 2, 1 filters; 0.3 of one is none


def test_layers_without_filters_are_refused() -> None:
    masks = {"conv.weight": torch.ones(3, 1, 2, 2).bool(), "fc.weight": torch.ones(2, 3).bool()}
    pruner = Pruner.of(PruningConfig(prune={"structure": "filter"}))
    with pytest.raises(RecipeError, match=r"structure filter: 'fc.weight' is no convolution; add its layer"):
        pruner.check(masks, 1)
