"""The definitions, with numbers to check by hand."""

from typing import Any

import pytest

from ticketzoo.instability.measure import (
    Instability,
    instabilities,
    instability,
    relative_barrier,
    stability_label,
    stable_from,
    suggested_step,
)


@pytest.mark.parametrize(
    ("errors", "expected"),
    [
        ([0.1, 0.4, 0.2], 0.25),  # 0.4 over a mean of 0.15
        ([0.2, 0.1, 0.2], 0.0),  # a valley is no barrier
        ([0.1, 0.1, 0.3], 0.1),  # a slope counts up to its higher end
        ([0.0, 0.0, 1.0, 0.5, 0.0], 1.0),
    ],
)
def test_instability_is_the_largest_error_over_the_mean_of_the_ends(errors: list[float], expected: float) -> None:
    assert instability(errors) == pytest.approx(expected)


def rows(step: int, seed: int, copies: list[int], errors: list[float], level: int = 3) -> list[dict[str, Any]]:
    return [
        {
            "rewind_step": step, "level": level, "sparsity": 0.5, "seed": seed, "copies": copies,
            "position": number / (len(errors) - 1), "error": error,
        }
        for number, error in enumerate(errors)
    ]  # fmt: skip


def test_pairs_are_averaged_within_a_seed_and_seeds_are_what_an_interval_is_about() -> None:
    measured = [
        *rows(0, 0, [0, 1], [0.1, 0.3, 0.1]),  # 0.2
        *rows(0, 0, [0, 2], [0.1, 0.5, 0.1]),  # 0.4
        *reversed(rows(0, 1, [0, 1], [0.2, 0.3, 0.0])),  # 0.2
    ]
    (one,) = instabilities(measured)
    assert one.by_seed == pytest.approx({0: 0.3, 1: 0.2})
    assert one.summary.mean == pytest.approx(0.25)
    assert one.end_error == pytest.approx((0.1 + 0.1 + 0.1 + 0.1 + 0.2 + 0.0) / 6)


def measured(level: int, *means: float) -> list[Instability]:
    """At steps 0, 10, 20, ..."""
    return [Instability(10 * n, level, 0.0, {0: mean, 1: mean}, 0.1) for n, mean in enumerate(means)]


@pytest.mark.parametrize(
    ("means", "expected"),
    [
        ([0.01, 0.01, 0.01], 0),
        ([0.10, 0.01, 0.01], 10),
        ([0.01, 0.10, 0.01], 20),  # stable once does not mean stable from there
        ([0.01, 0.01, 0.02], None),  # the threshold itself is not below it
    ],
)
def test_stable_from_is_the_first_step_after_the_last_unstable_one(means: list[float], expected: int | None) -> None:
    assert stable_from(reversed(measured(3, *means)), 3, 0.02) == expected
    assert stable_from(measured(3, *means), 4, 0.02) is None


def test_the_suggested_step_is_where_the_last_of_the_subnetworks_becomes_stable() -> None:
    dense, mild, sparse = measured(0, 0.3, 0.3, 0.3), measured(3, 0.3, 0.0, 0.0), measured(9, 0.3, 0.3, 0.0)
    assert suggested_step([*dense, *mild], 0.02) == 10
    assert suggested_step([*dense, *mild, *sparse], 0.02) == 20
    assert suggested_step([*dense, *mild, *measured(9, 0.0, 0.0, 0.3)], 0.02) is None
    assert suggested_step(measured(0, 0.3, 0.0, 0.0), 0.02) == 10


@pytest.mark.parametrize(
    ("values", "label"),
    [
        ([0.009, 0.010, 0.011], "stable"),  # 0.01 give or take 0.0025
        ([0.029, 0.030, 0.031], "unstable"),
        ([0.000, 0.005, 0.020], "undecided"),  # a mean of 0.0083, but up to 0.034
        ([0.001], "undecided"),  # a single seed has no interval
    ],
)
def test_the_interval_decides_not_the_mean(values: list[float], label: str) -> None:
    one = Instability(0, 0, 0.0, dict(enumerate(values)), 0.02)
    assert stability_label(one, 0.02) == label
    assert stable_from([one], 0, 0.02) == (0 if label == "stable" else None)
    assert suggested_step([one], 0.02) == (0 if label == "stable" else None)


def test_the_barrier_is_told_relative_to_the_error_of_the_ends() -> None:
    one = Instability(0, 0, 0.0, {0: 0.008, 1: 0.010}, 0.021)
    assert relative_barrier(one) == pytest.approx(0.009 / 0.021)  # 43%
    assert relative_barrier(Instability(0, 0, 0.0, {0: 0.1}, 0.0)) is None
