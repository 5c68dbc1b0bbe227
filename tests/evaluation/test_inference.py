import warnings

import numpy as np
import pytest
from scipy import stats

from ticketzoo.evaluation.inference import apart, holm, leading, levene, pooled, subtract, trailing

NUMBERS = np.random.default_rng(0)


@pytest.mark.parametrize("seeds", [3, 5])
def test_equal_spread_is_tested_as_scipy_tests_it(seeds: int) -> None:
    values = NUMBERS.normal(size=(4, 6, seeds)) * np.array([1, 1, 1, 1, 1, 3.0])[:, None]
    p_values = levene(values, values.mean(-1), np.ones((4, 6), dtype=bool))
    expected = [stats.levene(*groups, center="mean").pvalue for groups in values]
    assert p_values == pytest.approx(expected)


def test_groups_left_out_do_not_count() -> None:
    values = NUMBERS.normal(size=(1, 4, 3))
    members = np.array([[True, False, True, True]])
    expected = stats.levene(*values[0, [0, 2, 3]], center="mean").pvalue
    assert levene(values, values.mean(-1), members) == pytest.approx([expected])


def test_pooled_groups_are_compared_by_student_s_test_and_others_by_welch_s() -> None:
    values = np.array([[1.0, 2.0, 3.0], [2.0, 3.0, 5.0]])
    for groups, equal in ((pooled(values), True), (apart(values), False)):
        p_value = subtract(groups.of(slice(1, 2)), groups.of(slice(0, 1))).above(0.0)
        expected = stats.ttest_ind(values[1], values[0], equal_var=equal, alternative="greater").pvalue
        assert p_value == pytest.approx([expected])


def test_a_missing_seed_is_left_out() -> None:
    groups = apart(np.array([[1.0, 3.0, np.nan], [np.nan, 7.0, np.nan]]))
    assert groups.mean.tolist() == [2.0, 7.0]
    assert groups.seeds.tolist() == [2.0, 1.0]
    assert groups.variance[0] == 2.0 and np.isnan(groups.variance[1])


def test_one_experiment_is_judged_alike_alone_and_among_many() -> None:
    values = NUMBERS.normal(size=(20, 5, 3))
    values[:, 3] *= 200
    together = pooled(values)
    for number in range(20):
        alone = pooled(values[number])
        assert alone.variance == pytest.approx(together.variance[number])
        assert alone.pooled.tolist() == together.pooled[number].tolist()
    assert together.pooled[:, 3].mean() < 0.5 < together.pooled[:, 2].mean()


def test_a_noisy_group_that_is_in_every_comparison_is_left_out_by_an_f_test() -> None:
    # Variances 0.01 and three of 0.0001: F is 100, with 2 and 6 degrees of freedom far beyond the 5% quantile of 5.14.
    values = np.array([[0.8, 0.9, 1.0], *[[0.89, 0.9, 0.91]] * 3])
    assert pooled(values, against_first=True).pooled.tolist() == [False, True, True, True]
    assert pooled(values[::-1], against_first=True).pooled.tolist() == [True] * 4


def test_a_group_that_is_compared_with_the_first_is_as_wide_as_it_was_measured() -> None:
    # Variances 1, 1, 1 and 9: together 12 / 4 = 3, with 8 degrees of freedom.
    values = np.array([[-1.0, 0.0, 1.0]] * 3 + [[-3.0, 0.0, 3.0]])
    assert pooled(values).variance.tolist() == [3.0] * 4
    groups = pooled(values, against_first=True)
    assert groups.variance.tolist() == [3.0, 3.0, 3.0, 9.0]
    assert groups.freedom.tolist() == [8.0] * 4


@pytest.mark.parametrize("size", [1e150, 1e-150, 1.0])
def test_numbers_of_any_size_are_judged_without_a_warning(size: float) -> None:
    values = size * np.array([[0.0, 0.1, 0.3], [0.5, 0.5, 0.5], [0.2, 0.9, 0.4], [1.0, 1.0, 1.0]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        groups = pooled(values, against_first=True)
        difference = subtract(groups.of(slice(1, None)), groups.of(slice(0, 1)))
        assert np.isfinite(difference.low(0.05)).all()
        assert (difference.above(0.0) <= 1).all()


def test_constant_groups_spread_alike() -> None:
    values = np.array([[0.1] * 3, [0.7] * 3])
    assert levene(values[None], values.mean(-1)[None], np.ones((1, 2), dtype=bool)) == pytest.approx([1.0])


def test_two_groups_of_unequal_spread_are_not_pooled() -> None:
    values = np.array([[-0.10, 0.10, 0.11, -0.11], [-30.0, 30.0, 33.0, -33.0]])
    assert stats.levene(*values, center="mean").pvalue < 0.05
    assert pooled(values).pooled.tolist() == [False, False]


@pytest.mark.parametrize("spreads", [[1, 1, 30], [1, 30, 900], [1, 30, 30, 900]])
def test_the_groups_that_share_a_spread_pass_the_test(spreads: list[float]) -> None:
    for values in NUMBERS.normal(size=(50, len(spreads), 4)) * np.array(spreads)[:, None]:
        inside = values[pooled(values).pooled]
        assert not len(inside) or (len(inside) > 1 and stats.levene(*inside, center="mean").pvalue >= 0.05)


def test_a_single_seed_shows_nothing() -> None:
    groups = apart(np.array([[1.0, np.nan], [0.0, np.nan]]))
    difference = subtract(groups.of(slice(0, 1)), groups.of(slice(1, 2)))
    assert not difference.above(0.0) <= 1 and not difference.below(0.0) <= 1
    assert np.isnan(difference.low(0.05)) and np.isnan(difference.high(0.05))


def test_sequences_stop_at_the_first_failure() -> None:
    passed = np.array([True, True, False, True])
    assert leading(passed).tolist() == [True, True, False, False]
    assert trailing(passed).tolist() == [False, False, False, True]
    among = np.array([True, True, False, False])
    assert trailing(passed, among).tolist() == [True, True, False, False]
    assert trailing(passed, np.zeros(4, dtype=bool)).tolist() == [False] * 4


def test_holm_divides_by_the_hypotheses_that_are_left() -> None:
    # 0.01 is at most 0.05 / 3, 0.02 at most 0.05 / 2, 0.06 more than 0.05.
    assert holm(np.array([0.02, 0.06, 0.01]), 0.05).tolist() == [True, False, True]
    assert holm(np.array([0.03, 0.03, 0.03]), 0.05).tolist() == [False] * 3
