"""The highest scores stay: exact counts, ties by index, against a plain sort."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ticketzoo.errors import RunError
from ticketzoo.masks.topk import keep_highest

SCORES = st.sampled_from([-math.inf, -5.0, -1.0, -0.0, 0.0, 1e-300, 1.0, 2.0, math.inf])
WEIGHTS = st.lists(st.tuples(SCORES, st.booleans(), st.booleans()), min_size=1, max_size=30)


def kept(scores: list[float], count: int, eligible: list[int] | None = None) -> list[int]:
    among = None if eligible is None else {"w": torch.tensor(eligible).bool()}
    masks = keep_highest(
        {"w": torch.tensor(scores)}, {"w": torch.ones(len(scores), dtype=torch.bool)}, count, eligible=among
    )
    return masks["w"].nonzero().flatten().tolist()


def test_signs_count() -> None:
    assert kept([-5, 1, 2, 3], 3) == [1, 2, 3]


def test_of_equal_scores_the_later_stay() -> None:
    assert kept([1, 1, 1, 1, 1], 2) == [3, 4]


def test_what_is_not_eligible_goes_first() -> None:
    """Same sign before and after training (1, 0, 0, 1, 1, 1); scores are magnitudes."""
    scores = [0.6, 0.3, 0.5, 0.25, 0.05, 0.1]
    assert kept(scores, 3, [1, 0, 0, 1, 1, 1]) == [0, 3, 5]
    assert kept(scores, 3, [0, 1, 1, 0, 0, 0]) == [0, 1, 2]  # one more is asked for than is eligible
    assert kept([0.1, -0.1, 0.4, 0.05, -0.25, -0.5], 4, [1, 0, 0, 1, 1, 1]) == [0, 3, 4, 5]


def test_float64_differences_count() -> None:
    scores = {"w": torch.tensor([1.0 + 1e-12, 1.0], dtype=torch.float64)}
    assert keep_highest(scores, {"w": torch.ones(2, dtype=torch.bool)}, 1)["w"].tolist() == [True, False]


@given(WEIGHTS, WEIGHTS, st.floats(0, 1))
def test_as_a_plain_sort_does(
    first: list[tuple[float, bool, bool]], second: list[tuple[float, bool, bool]], share: float
) -> None:
    both = {"a": first, "b": second}
    scores = {name: torch.tensor([one[0] for one in part], dtype=torch.float64) for name, part in both.items()}
    masks = {name: torch.tensor([one[1] for one in part]) for name, part in both.items()}
    eligible = {name: torch.tensor([one[2] for one in part]) for name, part in both.items()}
    survivors = [
        (one[2], one[0], name, place) for name, part in both.items() for place, one in enumerate(part) if one[1]
    ]
    count = round(share * len(survivors))
    ranked = sorted(survivors, key=lambda one: one[:2])  # stable: of equal keys the earlier comes first
    stay = {(name, place) for _, _, name, place in ranked[len(survivors) - count :]}
    found = keep_highest(scores, masks, count, eligible=eligible)
    assert {(name, place) for name in both for place in found[name].nonzero().flatten().tolist()} == stay


def test_a_score_that_is_nan_is_named_unless_its_weight_is_gone() -> None:
    scores = {"w": torch.tensor([math.nan, 1.0, 2.0])}
    with pytest.raises(RunError, match="the score of 'w' is NaN where its mask keeps the weight"):
        keep_highest(scores, {"w": torch.ones(3, dtype=torch.bool)}, 1)
    with pytest.raises(RunError, match="'w' is NaN"):
        everything = {"w": torch.ones(3, dtype=torch.bool)}
        keep_highest(scores, everything, 1, eligible={"w": torch.tensor([False, True, True])})
    survivors = {"w": torch.tensor([False, True, True])}
    assert keep_highest(scores, survivors, 1)["w"].tolist() == [False, False, True]


@pytest.mark.parametrize("eligible", [None, [1, 0, 1]])
@pytest.mark.parametrize("count", [-1, 4])
def test_more_than_there_are_cannot_be_kept(count: int, eligible: list[int] | None) -> None:
    with pytest.raises(RunError, match=f"cannot keep {count} of 3 surviving weights"):
        kept([1, 2, 3], count, eligible)


def test_nothing_to_rank() -> None:
    none = {"w": torch.zeros(0)}
    assert keep_highest(none, {"w": torch.ones(0, dtype=torch.bool)}, 0)["w"].tolist() == []
    assert keep_highest({}, {}, 0) == {}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_scores_and_masks_may_be_on_different_devices() -> None:
    scores = {"a": torch.randn(300, 100).cuda(), "b": torch.randn(50, dtype=torch.float64)}
    masks = {"a": torch.rand(300, 100) < 0.5, "b": torch.ones(50, dtype=torch.bool).cuda()}
    found = keep_highest(scores, masks, 1000)
    expected = keep_highest({n: s.cpu() for n, s in scores.items()}, {n: m.cpu() for n, m in masks.items()}, 1000)
    assert found["b"].is_cuda and not found["a"].is_cuda
    assert all(torch.equal(found[name].cpu(), expected[name]) for name in expected)
