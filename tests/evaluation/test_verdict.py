from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticketzoo.errors import TicketError
from ticketzoo.evaluation.verdict import judge, judge_all, rule, sentence

SPARSITY = {0: 0.0, 3: 0.488, 6: 0.738, 9: 0.866, 12: 0.931, 15: 0.965}


def rows(
    arm: str, values: Any, *, level: int = 3, target: str = "mnist", ticket: str = "t", metric: str = "test_accuracy"
) -> list[dict[str, Any]]:
    level = 0 if arm == "dense" else level
    return [
        {
            "ticket": ticket, "level": level, "sparsity": SPARSITY[level], "arm": arm, "target": target, "seed": seed,
            "draw": 0, "at": "final", "step": 100, "metric": metric, "value": value,
        }
        for seed, value in enumerate(values)
    ]  # fmt: skip


DENSE = rows("dense", [0.97, 0.98, 0.99])  # mean 0.98, standard deviation 0.01: the line is 0.97
GOOD = [0.979, 0.980, 0.981]  # mean 0.98, half-width 0.002484: [0.977516, 0.982484]
BAD = [0.949, 0.950, 0.951]  # [0.947516, 0.952484]


def label(*parts: Any) -> str:
    (level,) = judge([row for part in parts for row in part]).levels
    return level.label


def controls(reinit: list[float] = BAD, mask: list[float] = BAD, level: int = 3) -> list[dict[str, Any]]:
    return rows("random_reinit", reinit, level=level) + rows("random_mask", mask, level=level)


def test_winning_when_matching_and_clear_of_both_controls() -> None:
    verdict = judge(DENSE + rows("ticket", GOOD) + controls())
    assert verdict.label == "winning"
    assert verdict.sparsity == 0.488
    assert verdict.rule == rule()
    assert (verdict.metric, verdict.at) == ("test_accuracy", "final")
    (level,) = verdict.levels
    assert (level.level, level.target, level.seeds) == (3, "mnist", 3)
    assert "random_mask [0.9475, 0.9525]" in level.reason


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.97, 0.97, 0.97], "matching"),  # exactly on the line, 0.98 - 0.01
        ([0.96, 0.97, 0.98], "matching"),  # its mean is
        ([0.97, 0.97, 0.9699], "not matching"),
        ([0.99, 0.99, 0.99], "matching"),
    ],
)
def test_matching_is_within_one_standard_deviation_of_dense(values: Any, expected: Any) -> None:
    assert label(DENSE, rows("ticket", values)) == expected


def test_dense_without_spread_allows_nothing_below() -> None:
    dense = rows("dense", [0.98, 0.98, 0.98])
    assert label(dense, rows("ticket", [0.98, 0.98, 0.98])) == "matching"
    assert label(dense, rows("ticket", [0.98, 0.98, 0.9799])) == "not matching"


def test_intervals_that_touch_overlap() -> None:
    # No spread anywhere, so the intervals are points: equal points overlap, one test image in 10,000 apart they do not.
    ticket = rows("ticket", [0.98] * 3)
    assert label(DENSE, ticket, controls(reinit=[0.98] * 3)) == "matching"
    assert label(DENSE, ticket, controls(reinit=[0.9799] * 3, mask=[0.9799] * 3)) == "winning"


@pytest.mark.parametrize("overlapping", ["random_reinit", "random_mask"])
def test_both_controls_must_be_cleared(overlapping: Any) -> None:
    near = [0.975, 0.976, 0.977]  # [0.9735, 0.9785] reaches into the ticket's interval
    reinit, mask = (near, BAD) if overlapping == "random_reinit" else (BAD, near)
    (level,) = judge(DENSE + rows("ticket", GOOD) + controls(reinit, mask)).levels
    assert level.label == "matching"
    assert f"not clearly above {overlapping}:" in level.reason


@pytest.mark.parametrize("missing", ["random_reinit", "random_mask"])
def test_a_level_without_a_control_cannot_win(missing: str) -> None:
    present = [row for row in controls() if row["arm"] != missing]
    (level,) = judge(DENSE + rows("ticket", GOOD) + present).levels
    assert level.label == "matching"
    assert f"at least 3 seeds, has {missing} 0" in level.reason


@pytest.mark.parametrize("arm", ["ticket", "dense", "random_reinit", "random_mask"])
def test_two_seeds_of_any_arm_cannot_win(arm: str) -> None:
    everything = DENSE + rows("ticket", GOOD) + controls()
    two = [row for row in everything if not (row["arm"] == arm and row["seed"] == 2)]
    (level,) = judge(two).levels
    assert level.label == "matching"
    assert f"{arm} 2" in level.reason


@pytest.mark.parametrize("arm", ["ticket", "dense"])
def test_one_seed_measures_nothing(arm: str) -> None:
    everything = DENSE + rows("ticket", GOOD) + controls()
    verdict = judge([row for row in everything if not (row["arm"] == arm and row["seed"] > 0)])
    assert (verdict.label, verdict.sparsity) == ("not measured", None)
    assert f"needs at least 2 seeds, has {arm} 1" in verdict.levels[0].reason


def test_no_dense_or_no_ticket_means_not_measured() -> None:
    assert label(rows("ticket", GOOD)) == "not measured"
    assert label(DENSE, controls()) == "not measured"
    assert judge([]).label == "not measured"
    assert judge(DENSE).levels == []


def test_what_is_not_measured_says_what_it_needs() -> None:
    one_seed = rows("dense", GOOD[:1]) + rows("ticket", GOOD[:1])
    assert sentence(judge(one_seed)) == (
        "not measured at sparsity 0.488 (level 3): needs at least 2 seeds, has ticket 1, dense 1"
    )


def test_not_matching_may_still_beat_the_controls_and_does_not_win() -> None:
    assert label(DENSE, rows("ticket", [0.96, 0.96, 0.96]), controls()) == "not matching"


def test_overall_label_is_the_best_and_its_sparsity_the_sparsest() -> None:
    measured = DENSE + rows("ticket", GOOD) + controls()
    measured += rows("ticket", GOOD, level=9) + controls(level=9)
    measured += rows("ticket", GOOD, level=12)
    measured += rows("ticket", BAD, level=15)
    verdict = judge(measured)
    assert [level.label for level in verdict.levels] == ["winning", "winning", "matching", "not matching"]
    assert (verdict.label, verdict.sparsity) == ("winning", 0.866)
    assert sentence(verdict) == (
        "winning at sparsity 0.488, 0.866 (levels 3, 9); matching at sparsity 0.931 (level 12); "
        "not matching at sparsity 0.965 (level 15); 3 seeds"
    )


def test_level_zero_is_dense_and_gets_no_label() -> None:
    level_zero = [{**row, "level": 0, "sparsity": 0.0} for row in rows("ticket", GOOD)]
    assert [level.level for level in judge(DENSE + level_zero + rows("ticket", GOOD)).levels] == [3]


def test_over_several_targets_a_level_is_as_good_as_its_worst_target() -> None:
    other = rows("dense", [0.97, 0.98, 0.99], target="kmnist") + rows("ticket", GOOD, target="kmnist")
    verdict = judge(DENSE + rows("ticket", GOOD) + controls() + other)
    assert {level.target: level.label for level in verdict.levels} == {
        "mnist": "winning",
        "kmnist": "matching",
    }
    assert verdict.label == "matching"
    assert sentence(verdict) == (
        "On kmnist: matching at sparsity 0.488 (level 3); 3 seeds. "
        "On mnist: winning at sparsity 0.488 (level 3); 3 seeds"
    )


def test_a_level_unmeasured_on_one_target_counts_for_none() -> None:
    measured = DENSE + rows("ticket", GOOD) + rows("ticket", GOOD, level=6)
    measured += rows("dense", GOOD, target="kmnist") + rows("ticket", [0.99] * 3, target="kmnist", level=3)
    assert judge(measured).sparsity == 0.488


def test_each_ticket_is_judged_alone() -> None:
    measured = DENSE + rows("ticket", GOOD)
    measured += rows("dense", GOOD, ticket="u") + rows("ticket", BAD, ticket="u")
    assert {name: v.label for name, v in judge_all(measured).items()} == {"t": "matching", "u": "not matching"}
    with pytest.raises(ValueError, match="several tickets"):
        judge(measured)


def test_a_value_that_is_not_finite_is_an_error() -> None:
    with pytest.raises(TicketError, match="no finite number"):
        judge(rows("ticket", [0.9, float("nan")]))


def perplexities(arm: Any, values: Any, **keys: Any) -> list[dict[str, Any]]:
    return [
        row | {"decides": True, "higher_is_better": False} for row in rows(arm, values, metric="test_score", **keys)
    ]


HARD = perplexities("dense", [10.0, 11.0, 12.0])  # mean 11, standard deviation 1: the line is 12
EASY = [10.9, 11.0, 11.1]  # mean 11, half-width 0.2484: [10.75, 11.25]
WORSE = [14.9, 15.0, 15.1]


def of_both_controls(reinit: Any, mask: Any) -> list[dict[str, Any]]:
    return perplexities("random_reinit", reinit) + perplexities("random_mask", mask)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([12.0, 12.0, 12.0], "matching"),  # exactly on the line, 11 + 1
        ([11.0, 12.0, 13.0], "matching"),  # its mean is
        ([12.0, 12.0, 12.03], "not matching"),
        ([1.0, 1.0, 1.0], "matching"),
    ],
)
def test_where_less_is_better_matching_is_at_most_a_standard_deviation_above_dense(values: Any, expected: Any) -> None:
    assert label(HARD, perplexities("ticket", values)) == expected


def test_where_less_is_better_winning_is_below_both_controls() -> None:
    verdict = judge(HARD + perplexities("ticket", EASY) + of_both_controls(WORSE, WORSE))
    assert (verdict.label, verdict.metric) == ("winning", "test_score")
    assert "below the controls: ticket [10.7516, 11.2484], random_reinit [14.7516, 15.2484]" in verdict.levels[0].reason
    assert verdict.rule == f"{rule()}; less is better of test_score: read above as below, below as above"


@pytest.mark.parametrize("near", [[11.2, 11.3, 11.4], [5.0, 5.0, 5.0]])  # [11.05, 11.55] overlaps; 5 is better
def test_where_less_is_better_a_control_that_is_as_good_or_better_forbids_winning(near: Any) -> None:
    (level,) = judge(HARD + perplexities("ticket", EASY) + of_both_controls(WORSE, near)).levels
    assert level.label == "matching"
    assert "not clearly below random_mask:" in level.reason


def test_where_less_is_better_equal_arms_are_a_tie() -> None:
    tied = HARD + perplexities("ticket", [11.0] * 3) + of_both_controls([11.0] * 3, [11.0] * 3)
    assert judge(tied).label == "matching"


def test_loss_and_perplexity_are_known_to_fall() -> None:
    losses = rows("dense", [0.5, 0.5], metric="test_loss") + rows("ticket", [0.4, 0.4], metric="test_loss")
    assert judge(losses, metric="test_loss").label == "matching"
    assert judge(losses, metric="test_accuracy").label == "not measured"
    worse = rows("dense", [0.5, 0.5], metric="test_loss") + rows("ticket", [0.6, 0.6], metric="test_loss")
    assert judge(worse, metric="test_loss").label == "not matching"


@given(
    st.lists(st.lists(st.integers(0, 40), min_size=3, max_size=3), min_size=4, max_size=4),
    st.sampled_from([["random_reinit", "random_mask"], ["random_reinit"], []]),
)
def test_the_rule_of_a_falling_metric_is_that_of_its_negative(values: Any, measured: Any) -> None:
    names = ["ticket", "dense", "random_reinit", "random_mask"]
    arms = {name: of for name, of in zip(names, values, strict=True) if name in ("ticket", "dense", *measured)}
    falling = [row for arm, its in arms.items() for row in perplexities(arm, its)]
    rising = [row for arm, its in arms.items() for row in rows(arm, [-value for value in its])]
    assert [level.label for level in judge(falling).levels] == [level.label for level in judge(rising).levels]


@pytest.mark.parametrize("metric", ["test_accuracy", "test_score"])
def test_rows_that_disagree_about_the_direction_are_an_error(metric: Any) -> None:
    measured = rows("ticket", [0.5], metric=metric) + rows("dense", [0.5], metric=metric)
    stated = [row | {"higher_is_better": side} for row, side in zip(measured, (False, True), strict=True)]
    with pytest.raises(TicketError, match=f"rows disagree on whether less of '{metric[5:]}' is better"):
        judge(stated)


def correct(low: int, high: int) -> st.SearchStrategy[list[int]]:
    """Lists of correct answers in 10,000, one for each of two to four seeds."""
    return st.lists(st.integers(low, high), min_size=2, max_size=4)


@given(correct(9800, 9810), correct(9790, 9815), correct(9740, 9795), correct(9740, 9795))
def test_winning_implies_matching_three_seeds_and_a_higher_mean_than_the_controls(
    ticket: list[int], dense: list[int], reinit: list[int], mask: list[int]
) -> None:
    arms = {"ticket": ticket, "dense": dense, "random_reinit": reinit, "random_mask": mask}
    measured = [row for arm, values in arms.items() for row in rows(arm, [v / 10000 for v in values])]
    for level in judge(measured).levels:
        if level.label == "winning":
            assert min(map(len, arms.values())) >= 3
            assert sum(ticket) / len(ticket) > max(sum(a) / len(a) for a in (reinit, mask))
            without_controls = [row for row in measured if row["arm"] in ("ticket", "dense")]
            assert label(without_controls) == "matching"


def test_each_target_is_judged_by_its_own_metric() -> None:
    def on_quiz(arm: str, values: Any) -> list[dict[str, Any]]:
        return [row | {"decides": True} for row in rows(arm, values, target="quiz", metric="test_f1")]

    measured = DENSE + rows("ticket", [0.98] * 3)
    measured += on_quiz("dense", [0.5, 0.5]) + on_quiz("ticket", [0.4, 0.4]) + rows("dense", [0.1] * 2, target="quiz")
    verdict = judge(measured)
    assert verdict.metric == "test_accuracy, test_f1"
    assert {level.target: level.label for level in verdict.levels} == {
        "mnist": "matching", "quiz": "not matching",
    }  # fmt: skip
