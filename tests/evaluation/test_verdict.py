from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticketzoo.errors import TicketError
from ticketzoo.evaluation import verdict as verdicts
from ticketzoo.evaluation.arms import SCALE_ARMS
from ticketzoo.evaluation.inference import seeds_to_decide
from ticketzoo.evaluation.verdict import judge_all, sentence
from ticketzoo.tasks import TASKS
from ticketzoo.ticket.verdict import LevelVerdict

judge = partial(verdicts.judge, transfer=())
"""On the ticket's source."""

SPARSITY = {0: 0.0, 3: 0.488, 6: 0.738, 9: 0.866, 12: 0.931, 15: 0.965}


def rows(
    arm: str, values: Any, *, level: int = 3, target: str = "mnist", ticket: str = "t", metric: str = "test_accuracy"
) -> list[dict[str, Any]]:
    level = 0 if arm in ("dense", "dense_long", "chance") else level
    return [
        {
            "ticket": ticket, "level": level, "sparsity": SPARSITY[level], "arm": arm, "target": target, "seed": seed,
            "draw": 0, "at": "final", "step": 100, "metric": metric, "value": value,
        }
        for seed, value in enumerate(values)
    ]  # fmt: skip


SPREAD = [-0.01, 0.0, 0.01]
"""Around a mean it has a standard deviation of 0.01."""

HALF = 2.131847 * 0.01 * (2 / 3) ** 0.5
"""Of two such groups of 3 seeds, pooled: 4 degrees of freedom, whose 95% quantile of t is 2.1318. It is 0.0174."""


def around(mean: float) -> list[float]:
    return [mean + step for step in SPREAD]


DENSE = rows("dense", around(0.9))


def controls(reinit: float = 0.8, mask: float = 0.8, level: int = 3) -> list[dict[str, Any]]:
    return rows("random_reinit", around(reinit), level=level) + rows("random_mask", around(mask), level=level)


def only(measured: list[dict[str, Any]], **keys: Any) -> LevelVerdict:
    (level,) = judge(measured, **{"margin": 0.02} | keys).levels
    return level


@pytest.mark.parametrize(
    ("mean", "label"),
    [
        (0.9, "matching"),  # -0.0174 is above -0.02
        (0.898, "matching"),  # -0.0194 is
        (0.897, "undecided"),  # -0.0204 is not
        (0.863, "undecided"),  # up to -0.0196
        (0.862, "below"),  # up to -0.0206
        (0.95, "matching"),
    ],
)
def test_matching_is_non_inferior_by_the_margin_and_below_is_shown_to_be_so(mean: float, label: str) -> None:
    level = only(DENSE + rows("ticket", around(mean)))
    assert level.label == label
    assert level.dense is not None
    assert level.dense.difference == pytest.approx(mean - 0.9)
    assert level.dense.interval == pytest.approx([mean - 0.9 - HALF, mean - 0.9 + HALF])


def test_the_margin_is_the_recipe_s_or_follows_from_metric_and_dense() -> None:
    measured = DENSE + rows("ticket", around(0.9))
    assert judge(measured).targets[0].margin == pytest.approx(0.005)  # 5% of an error of 0.1
    assert judge(rows("dense", [0.97, 0.98, 0.99]) + rows("ticket", [0.98])).targets[0].margin == 0.002
    assert judge(measured, margin=0.03).targets[0].margin == 0.03
    assert judge(measured, margin={"mnist": 0.04, "other": 1.0}).targets[0].margin == 0.04
    assert judge(measured, margin={"other": 1.0}).targets[0].margin == pytest.approx(0.005)
    quiz = [row | {"decides": True, "metric": "test_f1"} for row in measured]
    assert judge(quiz).targets[0].margin == 0.01
    texts = [row | {"decides": True, "metric": "test_perplexity", "value": 100 * row["value"]} for row in measured]
    assert judge(texts).targets[0].margin == pytest.approx(1.8)


def test_ties_without_spread_are_decided_by_the_number_alone() -> None:
    dense = rows("dense", [0.9] * 3)
    labels = [only(dense + rows("ticket", [value] * 3)).label for value in (0.881, 0.88, 0.879)]
    assert labels == ["matching", "undecided", "below"]


def test_an_undecided_level_says_how_many_seeds_would_decide_it() -> None:
    # A difference of 0.02 to the margin, spread 0.01: with 4 seeds (1.9432 + 0.9057) * 0.01 * sqrt(2 / 4) = 0.0201 is
    # more, with 5 seeds (1.8595 + 0.8889) * 0.01 * sqrt(2 / 5) = 0.0174 is not.
    twice = rows("dense", [0.89, 0.91]) + rows("ticket", [0.89, 0.9, 0.91])
    level = only(DENSE + rows("ticket", around(0.88)), margin=0.04)
    assert level.label == "matching" and level.seeds_to_decide is None
    assert seeds_to_decide(0.02, 0.01, 2, 0.05) == 5
    assert seeds_to_decide(0.0, 0.01, 2, 0.05) is None
    level = only(twice, margin=0.02)
    assert (level.label, level.seeds) == ("undecided", 2)
    assert level.seeds_to_decide is not None and level.seeds_to_decide > 2


def test_a_level_that_another_leaves_open_asks_for_no_seeds() -> None:
    # Level 3 would be below dense and level 6 match it, but claims of below begin at the sparsest level.
    measured = rows("dense", around(0.9)) + at(3, 0.8) + at(6, 0.9)
    levels = judge(measured, margin=0.04).levels
    assert [(level.label, level.seeds_to_decide) for level in levels] == [("undecided", None)] * 2


def test_levels_match_from_the_densest_up_to_the_first_that_does_not() -> None:
    measured = DENSE + [row for level, mean in ((3, 0.9), (6, 0.88), (9, 0.9)) for row in at(level, mean)]
    levels = judge(measured, margin=0.02).levels
    assert [level.label for level in levels] == ["matching", "undecided", "undecided"]
    assert "; a denser level is not matching; " in levels[2].reason


def at(level: int, mean: float) -> list[dict[str, Any]]:
    return rows("ticket", around(mean), level=level)


def test_levels_are_below_from_the_sparsest_back_to_the_first_that_is_not() -> None:
    measured = DENSE + at(3, 0.8) + at(6, 0.89) + at(9, 0.8)
    assert [level.label for level in judge(measured, margin=0.02).levels] == ["undecided", "undecided", "below"]


def test_winning_is_matching_and_above_each_control() -> None:
    verdict = judge(DENSE + rows("ticket", around(0.9)) + controls(mask=0.85), margin=0.02)
    (level,) = verdict.levels
    assert (verdict.label, verdict.sparsity, level.seeds) == ("winning", 0.488, 3)
    # Both spreads are pooled over two groups, 4 degrees of freedom each: together 8, whose quantile is 1.8595.
    half = 1.859548 * 0.01 * (2 / 3) ** 0.5
    assert level.control is not None and level.control.arm == "random_mask"
    assert level.control.difference == pytest.approx(0.05)
    assert level.control.interval == pytest.approx([0.05 - half, 0.05 + half])
    assert sentence(verdict) == (
        "winning at 0.488 (level 3): +5.00 points [3.48, 6.52] over the best control; matching (margin 2.00) up to "
        "0.488 (level 3); 3 seeds; spread 1.00 points, pooled over dense and level 3 (4 degrees of freedom); the "
        "number of test examples is not recorded"
    )


@pytest.mark.parametrize("near", ["random_reinit", "random_mask", "permuted_values"])
def test_every_control_that_was_measured_must_be_beaten(near: str) -> None:
    others = [row for row in controls() if row["arm"] != near]
    measured = DENSE + rows("ticket", around(0.9)) + others + rows(near, around(0.89))
    assert only(measured).label == "matching"


@pytest.mark.parametrize("missing", ["random_reinit", "random_mask"])
def test_a_level_without_a_control_cannot_win(missing: str) -> None:
    level = only(DENSE + rows("ticket", around(0.9)) + [row for row in controls() if row["arm"] != missing])
    assert level.label == "matching"
    assert f"at least 3 seeds, has {missing} 0" in level.reason


def test_one_shot_magnitude_takes_the_place_of_fresh_weights_of_a_pretrained_model_alone() -> None:
    measured = DENSE + rows("ticket", around(0.9)) + rows("random_mask", around(0.8)) + rows("magnitude", around(0.8))
    assert only(measured, pretrained=True).label == "winning"
    level = only(measured)
    assert (level.label, "has random_reinit 0" in level.reason) == ("matching", True)
    level = only(DENSE + rows("ticket", around(0.9)) + controls(), pretrained=True)
    assert (level.label, "has magnitude 0" in level.reason) == ("matching", True)


def test_on_another_target_the_controls_of_scale_must_be_there_too() -> None:
    measured = DENSE + rows("ticket", around(0.9)) + controls()
    level = only(measured, transfer=["mnist"])
    assert level.label == "matching"
    assert only(measured, transfer=None).label == "matching"  # the source is unknown: the stricter
    assert "has permuted_values 0, large_init 0, rescaled_reinit 0" in level.reason
    scale = [row for arm in SCALE_ARMS for row in rows(arm, around(0.8))]
    assert only(measured + scale, transfer=["mnist"]).label == "winning"


@pytest.mark.parametrize("arm", ["ticket", "dense", "random_reinit", "random_mask"])
def test_two_seeds_of_any_arm_cannot_win(arm: str) -> None:
    everything = DENSE + rows("ticket", around(0.95)) + controls()
    level = only([row for row in everything if not (row["arm"] == arm and row["seed"] == 2)])
    assert level.label == "matching"
    assert f"{arm} 2" in level.reason


def test_winning_goes_from_the_sparsest_matching_level_back_to_the_first_tie() -> None:
    measured = DENSE + at(3, 0.9) + at(6, 0.9) + at(9, 0.9) + at(12, 0.9) + at(15, 0.7)
    measured += controls(level=3) + controls(mask=0.9, level=6) + controls(level=9) + controls(level=12)
    verdict = judge(measured + controls(reinit=0.5, mask=0.5, level=15), margin=0.02)
    assert [level.label for level in verdict.levels] == ["matching", "matching", "winning", "winning", "below"]
    assert (verdict.label, verdict.sparsity) == ("winning", 0.931)
    assert sentence(verdict).startswith("winning at 0.866, 0.931 (levels 9, 12): +10.00 points")
    said = "; matching (margin 2.00) up to 0.931 (level 12), at levels 3, 6 not shown to be above each control"
    assert f"{said}; level 15 below; 3 seeds" in sentence(verdict)


def test_above_dense_is_a_claim_of_its_own_with_holm_s_correction() -> None:
    verdict = judge(DENSE + at(3, 0.9) + at(6, 0.95), margin=0.02)
    assert [level.above_dense for level in verdict.levels] == [False, True]
    assert "; above dense at level 6;" in sentence(verdict)


def test_a_missing_seed_counts_as_one_seed_less() -> None:
    # 3 and 2 seeds: variance (2 * 0.0001 + 1 * 0.0002) / 3 of dense, and 0.0002, its own, of the ticket.
    level = only(DENSE + rows("ticket", [0.89, 0.91]))
    half = 2.353363 * (0.0004 / 3 / 3 + 0.0002 / 2) ** 0.5  # 3 degrees of freedom
    assert level.seeds == 2
    assert level.dense is not None and level.dense.interval == pytest.approx([-half, half])


def test_means_of_two_draws_share_no_spread_with_single_trainings() -> None:
    # Two draws of each seed, 0.01 below and above its mean: their means are 0.8 on every seed, without any spread.
    level = only(DENSE + rows("ticket", around(0.9)) + rows("random_reinit", around(0.8)) + two_draws(0.8, 0.0))
    assert level.control is not None and level.label == "winning"
    # Welch's tests, of the ticket's 4 degrees of freedom: against 2 of reinit 16/3, whose 95% quantile of t is 1.985,
    # times 0.8165; against none of masks 4, whose quantile is 2.132, times 0.5774.
    assert "random_reinit +10.00 points [8.38, 11.62]" in level.reason
    assert "random_mask +10.00 points [8.77, 11.23]" in level.reason


def two_draws(mean: float, spread: float) -> list[dict[str, Any]]:
    of_seed = [mean - spread, mean, mean + spread]
    return [
        row | {"draw": draw, "value": row["value"] + side}
        for draw, side in enumerate((-0.01, 0.01))
        for row in rows("random_mask", of_seed)
    ]


def test_unequal_seeds_weigh_as_many_as_they_are() -> None:
    # Dense on 5 seeds with a variance of 0.00025, the ticket on 3 with 0.0001: pooled over 4 + 2 degrees of freedom
    # it is 0.0002, and dense keeps its own, which is more. The 95% quantile of t at 6 is 1.943.
    level = only(rows("dense", [0.88, 0.89, 0.9, 0.91, 0.92]) + rows("ticket", around(0.9)))
    half = 1.943180 * (0.00025 / 5 + 0.0002 / 3) ** 0.5
    assert level.seeds == 3
    assert level.dense is not None and level.dense.interval == pytest.approx([-half, half])


def test_a_collapsed_level_keeps_a_spread_of_its_own() -> None:
    measured = DENSE + at(3, 0.9) + at(6, 0.9) + rows("ticket", [0.2, 0.5, 0.9], level=9)
    verdict = judge(measured, margin=0.02)
    (target,) = verdict.targets
    assert (target.pooled, target.freedom, target.spread) == ("dense and levels 3, 6", 6, pytest.approx(0.01))
    assert [level.label for level in verdict.levels] == ["matching", "matching", "undecided"]


def test_dense_much_noisier_than_the_ticket_rewards_nothing() -> None:
    dense = rows("dense", [0.8, 0.9, 1.0])
    verdict = judge(dense + at(3, 0.9) + at(6, 0.9) + at(9, 0.9), margin=0.02)
    assert verdict.targets[0].pooled == "levels 3, 6, 9"
    assert {level.label for level in verdict.levels} == {"undecided"}


def test_two_seeds_everywhere_pool_nothing() -> None:
    verdict = judge(rows("dense", [0.89, 0.91]) + rows("ticket", [0.89, 0.91]), margin=0.02)
    assert verdict.targets[0].spread is None
    assert verdict.label == "undecided"


@pytest.mark.parametrize("arm", ["ticket", "dense"])
def test_one_seed_measures_nothing(arm: str) -> None:
    everything = DENSE + rows("ticket", around(0.9)) + controls()
    verdict = judge([row for row in everything if not (row["arm"] == arm and row["seed"] > 0)])
    assert (verdict.label, verdict.sparsity) == ("not measured", None)
    assert f"needs at least 2 seeds, has {arm} 1" in verdict.levels[0].reason


def test_no_dense_or_no_ticket_means_not_measured() -> None:
    assert only(rows("ticket", around(0.9))).label == "not measured"
    assert only(DENSE + controls()).label == "not measured"
    assert judge([]).label == "not measured"
    assert judge(DENSE).levels == []


def test_what_is_not_measured_says_what_it_needs() -> None:
    assert sentence(judge(rows("dense", [0.9]) + rows("ticket", [0.9]))) == (
        "not measured at sparsity 0.488 (level 3): needs at least 2 seeds, has ticket 1, dense 1"
    )


def test_dense_at_chance_has_not_learned() -> None:
    chance = rows("chance", [0.88] * 3, level=0)
    level = only(DENSE + rows("ticket", around(0.9)) + chance)  # 0.9 is 2 standard deviations above 0.88
    assert level.label == "not measured"
    assert level.reason == "dense did not learn: 90.00 against 88.00 of a guess, within 3 standard deviations (3.00)"
    assert only(DENSE + rows("ticket", around(0.9)) + rows("chance", [0.86] * 3, level=0)).label == "matching"


def of_examples(measured: list[dict[str, Any]], examples: int) -> list[dict[str, Any]]:
    return [row | {"examples": examples} for row in measured]


def test_trainings_that_all_give_one_number_match_at_the_ceiling_alone_and_never_win() -> None:
    arms = ("dense", "ticket", "random_mask", "random_reinit")
    same = [row for arm in arms for row in rows(arm, [0.37] * 3)]
    assert only(same).reason == "every training gave the same number, 37.00: nothing was learned"
    guess = rows("chance", [0.3] * 3, level=0)
    assert only(same + guess).reason.endswith("37.00: no two of them can be told apart"), "it is above a guess"
    perfect = [row | {"value": 1.0} for row in same]
    level = only(perfect)
    assert level.label == "not measured"
    assert level.reason == (
        "every training gave the same number, 100.00, and the rows do not say of how many test examples"
    )
    assert only(of_examples(perfect, 50)).label == "matching"  # one is worth 0.02, the margin
    assert only(of_examples(perfect, 49)).label == "not measured"


def test_a_floor_is_matched_where_less_is_better_as_a_ceiling_is_elsewhere() -> None:
    none = [row for arm in ("dense", "ticket") for row in perplexities(arm, [0.0] * 3)]
    assert only(none).label == "not measured"  # a metric without bounds: 0 may be anything


def test_a_margin_below_the_worth_of_a_test_example_measures_nothing() -> None:
    measured = DENSE + rows("ticket", around(0.9)) + controls()
    level = only(of_examples(measured, 8))
    assert level.label == "not measured"
    assert level.reason == (
        "8 test examples cannot tell a margin of 2.00 apart, as one is worth 12.50: test on more, or state a wider "
        "verdict.margin"
    )
    assert only(of_examples(measured, 50)).label == "winning"
    # Rows of a target that disagree are read at the fewest.
    assert only([*of_examples(measured, 50), *of_examples(rows("chance", [0.1]), 8)]).label == "not measured"


def test_the_sampling_error_of_the_test_set_is_printed_beside_the_verdict() -> None:
    # Dense is right on 0.9 of 100, with one beside it 91 of 102: sqrt(2 * 0.8922 * 0.1078 / 100) = 0.0439.
    verdict = judge(of_examples(DENSE + rows("ticket", around(0.9)), 100), margin=0.02)
    (target,) = verdict.targets
    assert (target.examples, target.sampling_error) == (100, pytest.approx(0.04386, abs=5e-5))
    assert sentence(verdict).endswith("; 100 test examples (standard error over such test sets up to 4.39 points)")
    assert "test examples" not in sentence(judge(perplexities("dense", [9, 10]) + perplexities("ticket", [9, 10])))


def test_a_short_training_is_marked_wherever_the_label_is_shown() -> None:
    measured = DENSE + rows("ticket", around(0.9)) + rows("dense_long", [0.93] * 3, level=0)
    verdict = judge(measured, margin=0.02)
    assert (verdict.label, verdict.shown) == ("matching", "matching (short training)")
    assert sentence(verdict).startswith("matching (short training) (margin 2.00) up to 0.488 (level 3)")
    assert verdict.labels("mnist") == {3: "matching (short training)"}
    assert judge(measured, margin=0.04).shown == "matching"


def test_a_ticket_that_is_used_as_it_is_never_wins() -> None:
    trained_little = at(3, 0.9) + at(6, 0.7)
    verdict = judge(DENSE + trained_little + controls() + controls(0.5, 0.5, level=6), margin=0.02, use="as-is")
    assert [level.label for level in verdict.levels] == ["matches untrained", "works untrained"]
    assert verdict.label == "matches untrained"
    assert sentence(verdict).startswith("works untrained at 0.738 (level 6): +20.00 points")
    assert "matches untrained (margin 2.00) up to 0.488 (level 3)" in sentence(verdict)


def test_a_ticket_that_guesses_no_better_than_the_largest_class_does_not_work() -> None:
    """It is above its controls, at 0.5, and at 0.7 not above a guess of 0.7."""
    measured = DENSE + at(3, 0.7) + controls(0.5, 0.5)
    for guess, label in ((0.65, "works untrained"), (0.7, "below")):
        verdict = judge(measured + rows("chance", [guess] * 3, level=0), margin=0.02, use="as-is")
        assert [level.label for level in verdict.levels] == [label]


def test_random_positions_are_one_arm_whatever_their_rows_are_called() -> None:
    # Draws 0.80 and 0.82 of each seed are averaged first: 0.81.
    other = [row | {"arm": "shuffled_mask", "value": row["value"] + 0.02} for row in rows("random_mask", around(0.8))]
    measured = DENSE + rows("ticket", around(0.9)) + controls() + other
    level = only(measured)
    assert level.label == "winning"
    assert level.control is not None
    assert (level.control.arm, level.control.difference) == ("random_mask", pytest.approx(0.09))


def test_level_zero_is_dense_and_gets_no_label() -> None:
    level_zero = [{**row, "level": 0, "sparsity": 0.0} for row in rows("ticket", around(0.9))]
    assert [level.level for level in judge(DENSE + level_zero + at(3, 0.9)).levels] == [3]


def test_targets_share_the_five_percent_by_holm_and_a_sentence_counts() -> None:
    def on_kmnist(mean: float) -> list[dict[str, Any]]:
        return rows("dense", around(0.9), target="kmnist") + rows("ticket", around(mean), target="kmnist")

    # At 2.5% the half-width is 2.7764 * 0.008165 = 0.0227, at 5% 0.0174.
    alone = DENSE + rows("ticket", around(0.899))
    verdict = judge(alone + on_kmnist(0.93), margin=0.02)
    assert {level.target: level.label for level in verdict.levels} == {"kmnist": "matching", "mnist": "matching"}
    assert {target.target: target.alpha for target in verdict.targets} == {"kmnist": 0.025, "mnist": 0.05}
    assert {target.alpha_winning for target in verdict.targets} == {0.025}  # matching elsewhere shows nothing of it
    verdict = judge(alone + on_kmnist(0.8), margin=0.02)
    assert {level.target: level.label for level in verdict.levels} == {"kmnist": "below", "mnist": "undecided"}
    assert verdict.label == "below"
    assert sentence(verdict).startswith(
        "matching on 0 of 2 targets, winning on 0, undecided on 1, below on 1. On kmnist:"
    )


def test_over_several_targets_a_level_is_as_good_as_its_worst_target() -> None:
    other = rows("dense", around(0.9), target="kmnist") + rows("ticket", around(0.9), target="kmnist")
    verdict = judge(DENSE + rows("ticket", around(0.9)) + controls() + other, margin=0.05)
    assert {level.target: level.label for level in verdict.levels} == {"mnist": "winning", "kmnist": "matching"}
    assert verdict.label == "matching"
    assert sentence(verdict).startswith("matching on 2 of 2 targets, winning on 1. On kmnist: matching")


def test_a_level_unmeasured_on_one_target_counts_for_none() -> None:
    measured = DENSE + at(3, 0.9) + at(6, 0.9)
    measured += rows("dense", around(0.9), target="kmnist") + rows("ticket", around(0.95), target="kmnist", level=3)
    assert judge(measured, margin=0.05).sparsity == 0.488


def test_each_ticket_is_judged_alone() -> None:
    measured = DENSE + rows("ticket", around(0.9))
    measured += rows("dense", around(0.9), ticket="u") + rows("ticket", around(0.8), ticket="u")
    assert {name: v.label for name, v in judge_all(measured, margin=0.02).items()} == {"t": "matching", "u": "below"}
    with pytest.raises(ValueError, match="several tickets"):
        judge(measured)


def test_a_value_that_is_not_finite_is_an_error() -> None:
    with pytest.raises(TicketError, match="no finite number"):
        judge(rows("ticket", [0.9, float("nan")]))


def perplexities(arm: Any, values: Any, **keys: Any) -> list[dict[str, Any]]:
    return [
        row | {"decides": True, "higher_is_better": False} for row in rows(arm, values, metric="test_score", **keys)
    ]


@pytest.mark.parametrize(("mean", "label"), [(10.0, "matching"), (9.0, "matching"), (10.5, "undecided"), (11, "below")])
def test_where_less_is_better_more_than_the_margin_above_dense_is_below_it(mean: float, label: str) -> None:
    def of(value: float) -> list[float]:
        return [value - 0.1, value, value + 0.1]

    measured = perplexities("dense", of(10.0)) + perplexities("ticket", of(mean))
    level = only(measured, margin=0.5)  # the half-width is 0.174
    assert level.label == label
    assert level.dense is not None and level.dense.difference == pytest.approx(mean - 10.0)
    near = perplexities("random_reinit", of(12.0)) + perplexities("random_mask", of(mean))
    assert only(measured + near, margin=0.5).label == label
    far = perplexities("random_reinit", of(12.0)) + perplexities("random_mask", of(11.0))
    won = only(measured + far, margin=0.5)
    assert won.label == ("winning" if label == "matching" else label)
    assert won.control is not None and won.control.arm == "random_mask"
    assert judge(measured).rule.endswith("less is better of test_score: read above as below, below as above")


@given(
    st.lists(st.lists(st.integers(0, 40), min_size=3, max_size=3), min_size=4, max_size=4),
    st.sampled_from([["random_reinit", "random_mask"], ["random_reinit"], []]),
)
def test_the_rule_of_a_falling_metric_is_that_of_its_negative(values: Any, measured: Any) -> None:
    names = ["ticket", "dense", "random_reinit", "random_mask"]
    arms = {name: of for name, of in zip(names, values, strict=True) if name in ("ticket", "dense", *measured)}
    falling = [row for arm, its in arms.items() for row in perplexities(arm, its)]
    rising = [row for arm, its in arms.items() for row in rows(arm, [-v for v in its], metric="test_return")]
    both = [judge(falling, margin=2.0), judge(rising, metric="test_return", margin=2.0)]
    assert len({tuple(level.label for level in verdict.levels) for verdict in both}) == 1


@pytest.mark.parametrize("metric", ["test_accuracy", "test_score"])
def test_rows_that_disagree_about_the_direction_are_an_error(metric: Any) -> None:
    measured = rows("ticket", [0.5], metric=metric) + rows("dense", [0.5], metric=metric)
    stated = [row | {"higher_is_better": side} for row, side in zip(measured, (False, True), strict=True)]
    with pytest.raises(TicketError, match=f"rows disagree on whether less of '{metric[5:]}' is better"):
        judge(stated)


@given(st.lists(st.lists(st.integers(9700, 9810), min_size=2, max_size=4), min_size=4, max_size=4))
def test_winning_implies_matching_three_seeds_and_a_higher_mean_than_the_controls(values: list[list[int]]) -> None:
    arms = dict(zip(("ticket", "dense", "random_reinit", "random_mask"), values, strict=True))
    measured = [row for arm, of in arms.items() for row in rows(arm, [value / 10000 for value in of])]
    for level in judge(measured).levels:
        if level.label == "winning":
            assert min(map(len, values)) >= 3
            assert all(sum(values[0]) / len(values[0]) > sum(of) / len(of) for of in values[2:])
            assert level.dense is not None and level.dense.interval[0] > -0.002


def test_each_target_is_judged_by_its_own_metric() -> None:
    def on_quiz(arm: str, mean: float) -> list[dict[str, Any]]:
        return [row | {"decides": True} for row in rows(arm, around(mean), target="quiz", metric="test_f1")]

    measured = DENSE + rows("ticket", around(0.95))
    measured += on_quiz("dense", 0.5) + on_quiz("ticket", 0.4) + rows("dense", [0.1] * 2, target="quiz")
    verdict = judge(measured)
    assert verdict.metric == "test_accuracy, test_f1"
    assert {level.target: level.label for level in verdict.levels} == {"mnist": "matching", "quiz": "below"}


def test_published_rules_stand_beside_under_their_names() -> None:
    # The mean is 0.9 standard deviations of dense below it, and above both controls.
    level = only(DENSE + rows("ticket", around(0.891)) + controls())
    assert level.label == "undecided"
    assert level.published == {
        "Chen et al. 2020 (one standard deviation of dense)": "matching",
        "Frankle & Carbin 2019 (means)": "less than dense",
        "Morcos et al. 2019, Yu et al. 2020 (means, against random tickets)": "above",
        "ticketzoo 0.1 (Chen et al., intervals clear of the controls)": "winning",
    }
    # Where random tickets themselves were measured the rule of that name is about them.
    beside = only(DENSE + rows("ticket", around(0.891)) + controls() + rows("random_ticket", around(0.9)))
    assert beside.published["Morcos et al. 2019, Yu et al. 2020 (means, against random tickets)"] == "not above"


def robust(dense: float, ticket: float) -> list[dict[str, Any]]:
    """Rows of dense and of level 3 by robust accuracy, which decides."""
    named = {"metric": "test_robust_accuracy"}
    measured = rows("dense", around(dense), **named) + rows("ticket", around(ticket), **named)
    return [row | {"decides": True} for row in measured]


@pytest.mark.parametrize(
    ("clean", "attacked", "label"),
    [(0.9, 0.5, "matching"), (0.8, 0.5, "below"), (0.9, 0.4, "below"), (0.88, 0.5, "undecided")],
)
def test_a_ticket_matches_by_robust_accuracy_only_if_it_does_by_accuracy_too(
    clean: float, attacked: float, label: str
) -> None:
    level = only(robust(0.5, attacked) + DENSE + rows("ticket", around(clean)))
    assert level.label == label
    assert level.dense is not None and level.dense.difference == pytest.approx(attacked - 0.5)
    assert f"by test accuracy {100 * (clean - 0.9):+.2f}" in level.reason


def test_below_by_either_metric_is_tested_at_half_the_level() -> None:
    """0.033 below a margin of 0.02 by the half-width at 5% of 4 degrees of freedom, and not by that at 2.5%."""
    lower = rows("ticket", around(0.9 - 0.02 - HALF - 0.001))
    assert only(DENSE + lower).label == "below"
    assert only(robust(0.5, 0.5) + DENSE + lower).label == "undecided"


def test_robust_accuracy_without_accuracy_is_not_measured() -> None:
    verdict = judge(robust(0.5, 0.5) + DENSE, margin=0.02)
    assert verdict.label == "not measured" and verdict.metric == "test_robust_accuracy"
    assert verdict.levels[0].reason == "needs at least 2 seeds, has ticket 0 of test accuracy"
    assert "so it is by test accuracy, tested alike" in verdict.rule


def test_each_metric_has_the_margin_that_its_own_dense_gives() -> None:
    level = judge(robust(0.5, 0.5) + DENSE + rows("ticket", around(0.9))).levels[0]
    assert "margin 1.00; by test accuracy" in level.reason and "margin 0.50" in level.reason


DECIDING = {
    "accuracy": (0.1, 1.0), "robust_accuracy": (0.1, 1.0), "linear_accuracy": (0.4, 1.0), "f1": (0.0, 1.0),
    "exact_match": (0.0, 1.0), "matthews": (0.0, 1.0), "pearson": (0.0, 1.0), "spearman": (0.0, 1.0),
    "perplexity": (8.0, 1.0), "bits_per_byte": (2.0, 0.0), "return": (22.0, 500.0),
}  # fmt: skip
"""Metrics that tasks compare arms by: what a guess has, and the best that there is."""


def test_metrics_of_every_type_of_task_are_looked_at_here() -> None:
    assert {task.make.metric.name for task in TASKS.values() if hasattr(task.make, "metric")} <= DECIDING.keys()


@pytest.mark.parametrize("metric", DECIDING)
def test_at_the_floor_nothing_is_measured_and_at_the_ceiling_nothing_wins(metric: str) -> None:
    floor, ceiling = DECIDING[metric]
    falls = floor > ceiling
    marks = {"decides": True} | ({"higher_is_better": False} if falls else {})

    def arms_at(value: float) -> list[dict[str, Any]]:
        values = [value, value, value + 0.001 * (floor - ceiling if value == ceiling else ceiling - floor)]
        arms = ("dense", "ticket", "random_mask", "random_reinit")
        named = {"metric": f"test_{metric}"}
        measured = [row for arm in arms for row in rows(arm, values, **named)] + rows("chance", [floor], **named)
        measured = [row | marks for row in measured]
        return measured + [row for arm in arms for row in rows(arm, values)] * (metric == "robust_accuracy")

    (level,) = judge(arms_at(floor)).levels
    assert level.label == "not measured" and level.reason.startswith("dense did not learn")
    assert judge(arms_at(ceiling)).label in ("matching", "undecided")
