"""Overlap of masks, and that of chance, against counts that a reader can make."""

from itertools import combinations, product
from statistics import fmean, pstdev

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ticketzoo.comparing.pairs import by_input
from ticketzoo.masks import overlap as module
from ticketzoo.masks.overlap import overlap


def counts(*groups: tuple[int, int, int, int]) -> np.ndarray:
    return np.array(groups, dtype=np.int64)


def every_choice(groups: np.ndarray) -> list[tuple[int, int]]:
    """Of every second mask with the counts of `groups` the numbers that both keep, and either."""
    choices = [
        [len(set(range(first)) & set(chosen)) for chosen in combinations(range(weights), second)]
        for weights, first, second, _ in groups.tolist()
    ]
    kept = int(groups[:, 1].sum() + groups[:, 2].sum())
    return [(sum(each), kept - sum(each)) for each in product(*choices)]


def test_an_overlap_of_ten_weights() -> None:
    """Of 10 weights one mask keeps 4, the other 5, both 3: 3 of 6. Chance: 2 of them on the average."""
    found = overlap(counts((10, 4, 5, 3)))
    assert found.iou == 0.5
    # both is 0..4 with chances 6, 60, 120, 60, 6 of 252 (C(4, k) C(6, 5 - k) / C(10, 5)): IoU k / (9 - k)
    by_hand = (60 * 1 / 8 + 120 * 2 / 7 + 60 * 3 / 6 + 6 * 4 / 5) / 252
    assert found.expected == pytest.approx(by_hand)
    assert found.ratio == pytest.approx(0.5 / by_hand)
    assert found.z == pytest.approx(1 / (4 * 5 * 6 * 5 / (100 * 9)) ** 0.5)
    assert (found.low, found.high) == (1 / 8, 3 / 6)


group = st.integers(1, 6).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(0, n), st.just(0)))


@settings(max_examples=40)
@given(st.lists(group, min_size=1, max_size=2))
def test_chance_is_the_mean_over_every_choice(groups: list[tuple[int, int, int, int]]) -> None:
    array = counts(*groups)
    found = overlap(array)
    if found.first + found.second == 0:
        assert found.expected is found.iou is found.z is None
        return
    choices = every_choice(array)
    assert found.expected == pytest.approx(fmean(both / union for both, union in choices))
    spread = pstdev([both for both, _ in choices])
    assert (found.z is None) == (spread < 1e-12)
    if found.z is not None:
        assert found.z == pytest.approx(-fmean(both for both, _ in choices) / spread)


def test_of_many_weights_moments_say_what_the_sum_does(monkeypatch: pytest.MonkeyPatch) -> None:
    layers = counts((2000, 200, 300, 40), (500, 200, 240, 100))
    exact = overlap(layers)
    monkeypatch.setattr(module, "EXACT", 0)
    moments = overlap(layers)
    assert moments.expected == pytest.approx(exact.expected, rel=1e-5)
    assert moments.low == pytest.approx(exact.low, rel=0.02)
    assert moments.high == pytest.approx(exact.high, rel=0.02)


def test_no_masks_share_more_than_either_keeps() -> None:
    """Of 39 inputs the one weight stays, of one more one of two: both masks keep 40, and share 39 or all."""
    found = overlap(counts(*[(1, 1, 1, 1)] * 39, (2, 1, 1, 1)))
    assert (found.low, found.iou, found.high) == (39 / 41, 1, 1)


masks = st.lists(st.booleans(), min_size=12, max_size=12).map(lambda bits: torch.tensor(bits).view(3, 4))


@given(masks, masks)
def test_overlap_is_symmetric_and_that_of_a_mask_with_itself_is_one(first: torch.Tensor, second: torch.Tensor) -> None:
    there, back = overlap(by_input(first, second)), overlap(by_input(second, first))
    assert (there.iou, there.both, there.weights) == (back.iou, back.both, 12)
    assert there.expected is None or there.expected == pytest.approx(back.expected)
    if first.any():
        assert overlap(by_input(first, first)).iou == 1
    if (first | second).any():
        assert there.iou == int((first & second).sum()) / int((first | second).sum())
