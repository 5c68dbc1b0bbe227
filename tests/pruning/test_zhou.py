"""The criteria of Zhou et al. on six weights, worked by hand."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ticketzoo.errors import RecipeError
from ticketzoo.finding.at_init import AtInitConfig
from ticketzoo.finding.method import METHODS
from ticketzoo.masks.masks import Masks
from ticketzoo.pruning.config import PruningConfig, stated
from ticketzoo.pruning.criteria import CRITERIA
from ticketzoo.pruning.probe import Weights
from ticketzoo.pruning.pruner import Pruner
from ticketzoo.recipe import dump_recipe, parse_recipe

W0 = torch.tensor([0.5, -0.4, 0.1, -0.2, 0.3, -0.6])
W = torch.tensor([0.6, 0.3, -0.5, -0.25, 0.05, -0.1])
SIX = Weights({"w": W}, {"w": torch.ones(6, dtype=torch.bool)}, {"w": W0})


def kept(criterion: str, count: int, **keys: Any) -> list[int]:
    schedule = {"levels": [1 - count / 6]}
    config = PruningConfig(prune={"criterion": {"name": criterion, **keys}, "schedule": schedule})
    return Pruner.of(config)(SIX, to=1)["w"].nonzero().flatten().tolist()


@pytest.mark.parametrize(
    ("criterion", "expected"),
    [
        ("magnitude", [0, 1, 2]),
        ("small-final", [3, 4, 5]),
        ("large-init", [0, 1, 5]),
        ("small-init", [2, 3, 4]),
        ("magnitude-increase", [0, 2, 3]),
        ("movement", [1, 2, 5]),
        ("large-final-same-sign", [0, 3, 5]),
        ("large-init-large-final", [0, 1, 5]),  # 3 and 5 have rank 1: the later stays
        ("small-init-small-final", [1, 3, 4]),
    ],
)
def test_three_of_six_by_zhou(criterion: str, expected: list[int]) -> None:
    assert kept(criterion, 3) == expected


def test_lower_ranks_of_both_quadrants() -> None:
    assert (CRITERIA["large-init-large-final"].scores(SIX)["w"] * 6).round().tolist() == [4, 3, 0, 1, 0, 1]
    assert (CRITERIA["small-init-small-final"].scores(SIX)["w"] * 6).round().tolist() == [0, 2, 1, 3, 3, 0]
    assert kept("large-init-large-final", 2) == [0, 1]


@pytest.mark.parametrize(
    ("criterion", "sign", "count", "expected"),
    [
        ("magnitude", "same", 3, [0, 3, 5]),
        ("magnitude", "diff", 3, [0, 1, 2]),  # two changed their sign, and 0 is the best of the others
        ("magnitude-increase", "same", 4, [0, 3, 4, 5]),  # scores 0.1, 0.05, -0.25, -0.5 before 0.4
        ("movement", "same", 2, [4, 5]),
        ("small-final", "diff", 1, [1]),
        ("large-init", "same", 3, [0, 4, 5]),
    ],
)
def test_signs_go_before_scores(criterion: str, sign: str, count: int, expected: list[int]) -> None:
    assert kept(criterion, count, sign=sign) == expected


@pytest.mark.parametrize(("sign", "expected"), [("same", [0, 3, 4, 5]), ("diff", [1, 2])])
@pytest.mark.parametrize("count", [1, 5])
def test_single_keeps_all_eligible_and_no_other(sign: str, expected: list[int], count: int) -> None:
    assert kept("magnitude", count, sign=sign, single=True) == expected
    if sign == "same":
        assert kept("large-final-same-sign", count, single=True) == expected


@pytest.mark.parametrize("criterion", ["large-init-large-final", "small-init-small-final"])
@given(counts=st.lists(st.integers(1, 9), min_size=1, max_size=4), seed=st.integers(0, 99))
def test_quadrants_nest_with_exact_counts(criterion: str, counts: list[int], seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    final, first = (torch.randn(10, generator=draw) for _ in range(2))
    masks: Masks = {"w": torch.ones(10, dtype=torch.bool)}
    for count in sorted(set(counts), reverse=True):
        config = PruningConfig(prune={"criterion": criterion, "schedule": {"levels": [1 - count / 10]}})
        found = Pruner.of(config)(Weights({"w": final}, masks, {"w": first}), to=1)
        assert int(found["w"].sum()) == count
        assert not (found["w"] & ~masks["w"]).any()
        masks = found


def test_the_quadrant_is_that_of_both_percentiles() -> None:
    """Those above the p-th of both, with the largest p that leaves as many."""
    draw = torch.Generator().manual_seed(0)
    final, first = torch.randn(200, generator=draw), torch.randn(200, generator=draw)
    probe = Weights({"w": final}, {"w": torch.ones(200, dtype=torch.bool)}, {"w": first})
    score = CRITERIA["large-init-large-final"].scores(probe)["w"]
    both = torch.minimum(first.abs().argsort().argsort(), final.abs().argsort().argsort())
    for percentile in (20, 100, 150):
        assert torch.equal(score >= percentile / 200, both >= percentile)


def test_keys_are_stated_and_written_where_they_are_given() -> None:
    config = PruningConfig(prune={"criterion": {"name": "movement", "sign": "diff", "single": True}})
    assert stated(config) == {"scope": "global", "criterion": "movement (sign: diff, single: true)"}  # no rate
    again = parse_recipe(
        {"prune": {"criterion": {"name": "movement", "sign": "diff", "single": True}}}, PruningConfig, "test"
    )
    assert again == config
    assert "name: movement\n    sign: diff\n    single: true" in dump_recipe(config)
    usual = PruningConfig(prune={"criterion": {"name": "large-final-same-sign", "iterations": 1}})
    assert stated(usual)["criterion"] == "large-final-same-sign"
    assert "criterion: large-final-same-sign\n" in dump_recipe(usual)


@pytest.mark.parametrize(
    ("criterion", "message"),
    [
        ({"name": "magnitude", "single": True}, "without sign: same or sign: diff all are"),
        ({"name": "magnitude", "sign": "same", "single": True, "iterations": 2}, "leave iterations out"),
        ({"name": "magnitude", "sign": "both"}, "input should be 'same' or 'diff'"),
        ({"name": "large-final-same-sign", "sign": "diff"}, "has sign: same in its name: leave sign out"),
        ({"name": "random", "iterations": 3}, "random gains nothing by scoring in steps: leave iterations out"),
        ({"name": "movement", "iterations": 3}, "movement gains nothing by scoring in steps"),
    ],
)
def test_keys_that_do_not_go_together(criterion: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        parse_recipe({"prune": {"criterion": criterion}}, PruningConfig, "test")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_signs_are_of_single_weights_and_of_a_training() -> None:
    with pytest.raises(RecipeError, match="scores single weights: it goes with structure: weight"):
        parse_recipe(
            {"prune": {"criterion": {"name": "magnitude", "sign": "same"}, "structure": "filter"}}, PruningConfig, ""
        )
    content = {"method": "at-init", "prune": {"criterion": {"name": "magnitude", "sign": "same"}}}
    with pytest.raises(RecipeError, match="magnitude by sign compares weights with a training, and at-init prunes"):
        parse_recipe(content, AtInitConfig, "test")


@given(final=st.lists(st.floats(-1, 1, width=32), min_size=6, max_size=6), count=st.integers(1, 5))
def test_large_final_same_sign_is_magnitude_of_the_same_sign(final: list[float], count: int) -> None:
    probe = Weights({"w": torch.tensor(final)}, SIX.masks, SIX.start)
    masks = []
    for criterion in ("large-final-same-sign", {"name": "magnitude", "sign": "same"}):
        config = PruningConfig(prune={"criterion": criterion, "schedule": {"levels": [1 - count / 6]}})
        masks.append(Pruner.of(config)(probe, to=1)["w"].tolist())
    assert masks[0] == masks[1]


SINGLE = {"criterion": {"name": "magnitude", "sign": "same", "single": True}}


@pytest.mark.parametrize("method", ["one-shot", "criterion-supermask"])
def test_single_without_training_between_has_one_level(method: str) -> None:
    """Each level would keep the same weights, and be trained anew."""
    content = {"method": method, "levels": 3, "prune": SINGLE}
    with pytest.raises(RecipeError, match=f"single gives 3 levels the same masks, as {method} does not train between"):
        parse_recipe(content, METHODS[method].config, "test")
    parse_recipe(content | {"levels": 1}, METHODS[method].config, "test")
    parse_recipe(content | {"method": "imp"}, METHODS["imp"].config, "test")
