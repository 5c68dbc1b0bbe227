"""Barriers of errors that can be worked out by hand, and what they say of levels."""

from typing import Any

import pytest

from ticketzoo.connecting.barriers import barrier, level_connectivity
from ticketzoo.connecting.levels import of_line
from ticketzoo.connecting.report import level_table
from ticketzoo.instability.measure import instability
from ticketzoo.instability.recipe import LineConfig

ERRORS = (0.10, 0.14, 0.16, 0.18, 0.20)


def points(errors: tuple[float, ...]) -> list[tuple[float, float]]:
    return [(number / (len(errors) - 1), error) for number, error in enumerate(errors)]


def test_chord_against_lii_on_the_same_errors() -> None:
    """Chord: 12.5, 15, 17.5 between 10 and 20, so 1.5 at a quarter. LII: 20 less the mean of 10 and 20."""
    assert 100 * barrier(points(ERRORS)) == pytest.approx(1.5)
    assert 100 * instability(ERRORS) == pytest.approx(5.0)


def test_a_straight_or_sagging_line_has_no_barrier() -> None:
    assert barrier(points((0.25, 0.5, 0.75))) == 0
    assert barrier(points((0.5, 0.1, 0.5))) == 0


def test_the_order_of_points_is_that_of_positions() -> None:
    assert barrier(reversed(points(ERRORS))) == barrier(points(ERRORS))


def rows_of(levels: dict[int, tuple[float, float, float]], dense: tuple[float, ...] = (0.10, 0.12)) -> list[Any]:
    """Rows of two seeds. By level: its error, the barrier from the level before, the barrier from dense."""
    rows = []
    for seed, base in enumerate(dense):
        errors = {0: base, **{level: one[0] + base for level, one in levels.items()}}
        for level, (_, before, from_dense) in levels.items():
            for first, height in {level - 1: before, 0: from_dense}.items():
                middle = (errors[first] + errors[level]) / 2 + height
                for position, error in ((0.0, errors[first]), (0.5, middle), (1.0, errors[level])):
                    row = {"seed": seed, "first": first, "second": level, "sparsity": level / 10}
                    rows.append(row | {"position": position, "error": error})
    return rows


def test_levels_are_counted_by_barrier_and_by_matching() -> None:
    """Dense errs by 10 and 12%: std 1.41 points, which is epsilon. Level 3 has a barrier and is not matching."""
    found = level_connectivity(
        rows_of({1: (0.0, 0.0, 0.0), 2: (0.01, 0.0, 0.05), 3: (0.05, 0.03, 0.06), 4: (0.06, 0.0, 0.07)}),
        threshold=0.02,
        epsilon=None,
    )
    assert found.epsilon == found.dense_std == pytest.approx(0.02 / 2**0.5)
    assert [found.is_matching(one) for one in found.levels] == [True, True, False, False]
    assert [one.sparsity for one in found.levels] == [0.1, 0.2, 0.3, 0.4]
    stated, by_std, dense, _ = found.agreements()
    assert (stated.start, stated.threshold) == ("previous", 0.02)
    assert by_std.threshold == found.dense_std
    assert stated.counts == {(True, True): 2, (False, False): 1, (True, False): 1}
    assert stated.share == 0.75
    assert stated.predicted == 2
    assert dense.predicted == 1 and dense.counts[False, True] == 1
    assert found.measured == 2


def test_the_share_of_the_error_that_pruning_brought() -> None:
    """Networks that erred by 10 and 12% err by 40 and 24% under the next masks: 3/4 and 1/2 of that is new."""
    rows = rows_of({1: (0.0, 0.0, 0.0), 2: (0.03, 0.0, 0.0)})
    rows += [
        {"seed": seed, "first": 0, "second": 1, "sparsity": 0.1, "projected": (0.4, 0.24)[seed]} for seed in (0, 1)
    ]
    first, second = level_connectivity(rows, threshold=0.02, epsilon=None).levels
    assert first.projected == {0: 0.4, 1: 0.24}
    assert (first.before, second.before) == ({0: 0.10, 1: 0.12}, {0: 0.10, 1: 0.12})
    assert first.brought is not None and first.brought.mean == pytest.approx(0.625)
    assert second.brought is None


def test_losses_are_looked_at_in_their_own_column() -> None:
    rows = [{**row, "loss": row.pop("error") + 1} for row in rows_of({1: (0.0, 0.03, 0.05)})]
    found = level_connectivity(rows, threshold=0.02, epsilon=None, quantity="loss")
    assert found.dense_errors == pytest.approx({0: 1.10, 1: 1.12})
    assert found.levels[0].previous == pytest.approx({0: 0.05, 1: 0.05})


def test_no_level_may_be_predicted_or_measured() -> None:
    found = level_connectivity(rows_of({1: (0.1, 0.5, 0.5)}), threshold=0.02, epsilon=0.0)
    assert {one.predicted for one in found.agreements()} == {0}
    assert found.measured == 0


def test_one_seed_has_no_spread_to_hold_levels_against() -> None:
    found = level_connectivity(rows_of({1: (0.0, 0.0, 0.0)}, dense=(0.1,)), threshold=0.02, epsilon=None)
    assert found.is_matching(found.levels[0]) is None and found.measured is None
    (one, _) = found.agreements()
    assert one.predicted == 1
    stated = level_connectivity(rows_of({1: (0.0, 0.0, 0.0)}, dense=(0.1,)), threshold=0.02, epsilon=0.001)
    assert stated.measured == 1


def test_errors_of_a_level_have_their_interval() -> None:
    """Two seeds err by 10 and 12%: their std is 1.41 points, so the half-width is 12.706 * 1.41 / sqrt(2) = 12.71."""
    found = level_connectivity(rows_of({1: (0.01, 0.0, 0.0)}), threshold=0.02, epsilon=None)
    dense, first = level_table(found, "test_accuracy").rows
    assert (dense[2], first[2]) == ("11.00 \u00b1 12.71", "12.00 \u00b1 12.71")


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({}, []),
        ({"quantity": "loss"}, ["loss"]),
        ({"split": "validation"}, ["validation"]),
        ({"quantity": "loss", "split": "validation"}, ["loss", "validation"]),
    ],
)
def test_results_of_another_split_or_quantity_lie_in_another_folder(asked: dict[str, str], words: list[str]) -> None:
    assert of_line(LineConfig.model_validate(asked)) == words
