"""Looks while seeds are added: their seeds, the level of the tests there, what stands, what is left open."""

import math
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.special import ndtri

from ticketzoo.errors import RecipeError
from ticketzoo.evaluation.again import VerdictConfig, stated, with_all_seeds
from ticketzoo.evaluation.decide import Claims, Measured, decide
from ticketzoo.evaluation.looks import left_open, looks_of, nominal_levels, spent
from ticketzoo.evaluation.verdict import judge, judge_all, sentence
from ticketzoo.finding import FindRecipe
from ticketzoo.recipe import parse_recipe
from ticketzoo.ticket.verdict import Until, Verdict

SPARSITY = {0: 0.0, 1: 0.2, 2: 0.36, 3: 0.488}
TEN = Until(seeds=[0, 1, 2], max_seeds=10)


def test_looks_are_at_3_5_7_and_10_seeds_the_added_ones_after_the_largest() -> None:
    assert looks_of(TEN) == [[*range(count)] for count in (3, 5, 7, 10)]
    assert [len(seeds) for seeds in looks_of(Until(seeds=[0, 1, 2], max_seeds=6))] == [3, 5, 6]
    assert [len(seeds) for seeds in looks_of(Until(seeds=[0], max_seeds=20))] == [3, 5, 7, 10, 15, 20]
    assert looks_of(Until(seeds=[8, 2, 4, 5, 6], max_seeds=8))[1:] == [
        [8, 2, 4, 5, 6, 9, 10],
        [8, 2, 4, 5, 6, 9, 10, 11],
    ]
    assert looks_of(Until(seeds=[7], max_seeds=3)) == [[7, 8, 9]]


def test_all_is_spent_at_the_end_and_half_of_it_where_the_function_says_so() -> None:
    assert spent(0.0) == 0
    assert spent(1.0) == pytest.approx(0.05)
    assert spent((math.sqrt(math.e) - 1) / (math.e - 1)) == pytest.approx(0.025)  # ln(1 + sqrt(e) - 1) is a half
    assert spent(0.3, 1.0) == pytest.approx(math.log(1 + 0.3 * 1.718281828))  # 41.6% at three of ten seeds


def test_one_look_has_the_whole_level_and_the_first_of_several_what_is_spent_there() -> None:
    assert nominal_levels((3,)) == pytest.approx((0.05,))
    assert nominal_levels((3, 5, 7, 10))[0] == pytest.approx(float(spent(0.3)))
    assert nominal_levels((3, 5, 7, 10), 0.025)[0] == pytest.approx(float(spent(0.3)) / 2)


@pytest.mark.parametrize(
    ("looks", "bounds"),
    [
        ((1, 2), [2.157, 2.201]),
        ((1, 2, 3, 4, 5), [2.438, 2.427, 2.410, 2.397, 2.386]),
    ],
)
def test_bounds_are_the_published_ones_of_pocock_s_type(looks: tuple[int, ...], bounds: list[float]) -> None:
    """One-sided 2.5% at equal steps, as tables of Lan and DeMets' function give them."""
    assert [-float(ndtri(level)) for level in nominal_levels(looks, 0.025)] == pytest.approx(bounds, abs=6e-4)


def test_the_bounds_are_passed_in_as_many_motions_as_are_spent() -> None:
    counts = np.array([3, 5, 7, 10])
    steps = np.random.default_rng(0).standard_normal((200_000, 4)) * np.sqrt(np.diff(counts, prepend=0))
    scores = steps.cumsum(axis=-1) / np.sqrt(counts)
    passed = (scores > -ndtri(nominal_levels((3, 5, 7, 10)))).any(axis=-1)
    assert passed.mean() == pytest.approx(0.05, abs=0.002)  # four standard errors


def rows(arm: str, level: int, values: list[float], target: str = "mnist", ticket: str = "t") -> list[dict[str, Any]]:
    return [
        {
            "ticket": ticket, "level": level, "sparsity": SPARSITY[level], "arm": arm, "target": target, "seed": seed,
            "draw": 0, "at": "final", "step": 100, "metric": "test_accuracy", "value": value,
        }
        for seed, value in enumerate(values)
    ]  # fmt: skip


AROUND = [0.89, 0.9, 0.91]
"""Two such groups, pooled, have a standard error of 0.01 sqrt(2/3) = 0.0082 and 4 degrees of freedom. The bound at the
first of four looks, at 2.08%, is 2.96 of them below the mean, by 0.0242; one look alone would be at 5%, by 0.0174."""


def measured(*later: tuple[float, float]) -> list[dict[str, Any]]:
    """Dense and a ticket on three seeds, and their values on further ones."""
    dense, ticket = (AROUND + [pair[arm] for pair in later] for arm in (0, 1))
    return rows("dense", 0, dense) + rows("ticket", 1, ticket)


def only(verdict: Verdict) -> tuple[str, int]:
    (level,) = verdict.levels
    return level.label, level.look


def test_a_look_spends_a_part_so_that_what_one_alone_would_show_stays_open() -> None:
    assert only(judge(measured(), margin=0.02)) == ("matching", 0)
    verdict = judge(measured(), margin=0.02, until=TEN)
    assert only(verdict) == ("undecided", 0)
    (look,) = verdict.looks
    assert (look.seeds, look.label, look.undecided) == (3, "undecided", {"mnist": [1]})
    assert look.spent == pytest.approx(0.4157, abs=1e-4)
    assert verdict.targets[0].alpha == pytest.approx(0.0208, abs=1e-4)
    assert only(judge(measured(), margin=0.025, until=TEN)) == ("matching", 1)


def test_further_seeds_decide_at_a_later_look() -> None:
    verdict = judge(measured((0.9, 0.9), (0.9, 0.9)), margin=0.02, until=TEN)
    assert only(verdict) == ("matching", 2)
    assert [(look.seeds, look.undecided) for look in verdict.looks] == [(3, {"mnist": [1]}), (5, {})]
    assert sentence(verdict).endswith("; look 2, 5 of at most 10 seeds, 62.0% of the 5% spent")
    assert "in looks at 3, 5, 7, 10 seeds" in verdict.rule
    assert "look 2" not in sentence(judge(measured((0.9, 0.9), (0.9, 0.9)), margin=0.02))


def test_a_claim_stands_whatever_the_seeds_after_it() -> None:
    verdict = judge(measured((0.9, 0.8), (0.9, 0.8)), margin=0.025, until=TEN)
    assert only(verdict) == ("matching", 1)
    assert verdict.levels[0].reason.endswith("; claimed at look 1")
    assert verdict.levels[0].dense is not None
    assert verdict.levels[0].dense.interval[0] < -0.025
    assert verdict.looks[1].label == "matching"


def test_seeds_of_no_whole_look_are_left_out() -> None:
    verdict = judge(measured((0.9, 0.9)), margin=0.025, until=TEN)
    assert [look.seeds for look in verdict.looks] == [3]
    assert verdict.levels[0].seeds == 3


def test_a_seed_that_an_arm_lacks_reaches_no_look() -> None:
    """Five seeds of dense, of chance or of a control say nothing more of a ticket that has three; nor do those of
    a ticket without controls, or of one target of two."""
    five = [*AROUND, 0.9, 0.9]
    dense, ticket = rows("dense", 0, five), rows("ticket", 1, five)
    few_dense, few_ticket = rows("dense", 0, AROUND), rows("ticket", 1, AROUND)
    control, few_control = rows("random_mask", 1, five), rows("random_mask", 1, AROUND)
    other = [row | {"target": "kmnist"} for row in few_dense + few_ticket]
    for measured_so_far in (
        dense + few_ticket,
        few_dense + ticket,
        few_dense + few_ticket + rows("chance", 0, [0.1] * 5) + control,
        dense + ticket + rows("ticket", 2, AROUND),
        dense + ticket + few_control,
        dense + ticket + other,
    ):
        verdict = judge(measured_so_far, margin=0.02, until=TEN)
        assert [look.seeds for look in verdict.looks] == [3]
        assert {level.label for level in verdict.levels} == {"undecided"}
    longer = rows("dense_long", 0, AROUND)
    assert [look.seeds for look in judge(dense + ticket + control + longer, margin=0.02, until=TEN).looks] == [3, 5]


def test_a_first_look_says_how_many_seeds_it_has() -> None:
    verdict = judge(rows("dense", 0, AROUND) + rows("ticket", 1, AROUND[:2]), margin=0.02, until=TEN)
    assert [look.seeds for look in verdict.looks] == [2]


def test_a_default_margin_is_that_of_the_first_look() -> None:
    """5% of dense's error: of 10% at the first look, 0.5 points; of 34% at the second, 1.7 points."""
    verdict = judge(measured((0.3, 0.9), (0.3, 0.9)), until=TEN)
    assert [look.seeds for look in verdict.looks] == [3, 5]
    assert verdict.targets[0].margin == pytest.approx(0.005)
    assert verdict.stated_margin is None
    assert judge(measured((0.3, 0.9), (0.3, 0.9))).targets[0].margin == pytest.approx(0.017)


def test_nothing_is_measured_at_a_look_where_dense_did_not_learn_and_claims_stand_once_it_has() -> None:
    """Dense is 9.4 points above a guess at the second look, with a spread of 3.7; 9.9 at the third, with 3.0."""
    three = measured((0.82, 0.9), (0.9, 0.9), (0.9, 0.9), (0.9, 0.9)) + rows("chance", 0, [0.79] * 7)
    two = [row for row in three if row["seed"] < 5]
    assert only(judge(two, margin=0.025, until=TEN)) == ("not measured", 0)
    assert [look.label for look in judge(two, margin=0.025, until=TEN).looks] == ["matching", "not measured"]
    verdict = judge(three, margin=0.025, until=TEN)
    assert only(verdict) == ("matching", 1)
    assert [look.label for look in verdict.looks] == ["matching", "not measured", "matching"]


def test_a_target_that_is_not_measured_at_a_look_keeps_its_share() -> None:
    flat = [row | {"target": "kmnist", "value": 0.5} for row in measured()]
    verdict = judge(measured() + flat, margin=0.025, until=TEN)
    assert {level.target: level.label for level in verdict.levels} == {"kmnist": "not measured", "mnist": "undecided"}
    assert judge(measured(), margin=0.025, until=TEN).label == "matching"


def test_the_order_of_levels_goes_on_from_what_stands() -> None:
    """Level 1, at the second look 0.012 below dense, would fail there; it is claimed, so level 2 is tried, too."""
    dense, steady = [*AROUND, 0.9, 0.9], [*AROUND, 0.9, 0.9]
    fallen = [*AROUND, 0.87, 0.87]
    unlucky = [0.88, 0.89, 0.9, 0.91, 0.91]
    levels = (
        rows("dense", 0, dense) + rows("ticket", 1, fallen) + rows("ticket", 2, unlucky) + rows("ticket", 3, steady)
    )
    verdict = judge(levels, margin=0.025, until=TEN)
    at_first = judge([row for row in levels if row["seed"] < 3], margin=0.025, until=TEN)
    assert [level.label for level in at_first.levels] == ["matching", "undecided", "undecided"]
    assert [level.look for level in verdict.levels] == [1, 2, 2]
    assert {level.label for level in verdict.levels} == {"matching"}


def test_levels_between_a_shown_end_and_a_shown_beginning_are_left() -> None:
    """Level 1 is shown to be below and level 2 to match, so neither order gets beyond: more seeds change nothing."""
    dense = np.array([0.89, 0.9, 0.91])
    given = Measured(dense, np.stack([dense - 0.2, dense]), np.zeros((1, 0, 3)), [], 0.05)
    decision = decide(given)
    assert not (decision.matching | decision.below).any()
    assert not left_open(decision, 0.05, 0.05).any()
    wide = Measured(dense, np.stack([dense - 0.2, dense - 0.05]), np.zeros((1, 0, 3)), [], 0.05)
    assert left_open(decide(wide), 0.05, 0.05).tolist() == [True, True]


def test_a_level_claimed_below_is_not_claimed_matching_later() -> None:
    dense = np.array([0.89, 0.9, 0.91])
    given = Measured(dense, dense[None], np.zeros((1, 0, 3)), [], 0.05)
    later = decide(given, claims=Claims(below=np.array([True])))
    assert (later.matching.tolist(), later.below.tolist()) == ([False], [True])


def test_winning_at_a_look_stands_too() -> None:
    lower = [value - 0.1 for value in AROUND]
    arms = [row for arm in ("random_mask", "random_reinit") for row in rows(arm, 1, [*lower, 0.95, 0.95])]
    verdict = judge(measured((0.9, 0.9), (0.9, 0.9)) + arms, margin=0.03, until=TEN, transfer=())
    assert only(verdict) == ("winning", 1)
    assert judge(measured((0.9, 0.9), (0.9, 0.9)) + arms, margin=0.03).label == "matching"


def test_targets_share_the_level_at_each_look() -> None:
    on_kmnist = [row | {"target": "kmnist"} for row in measured()]
    verdict = judge_all(measured() + on_kmnist, margin=0.025, until=TEN)["t"]
    assert {one.alpha for one in verdict.targets} == {nominal_levels((3, 5, 7, 10), 0.025)[0]}
    assert verdict.looks[0].undecided == {"kmnist": [1], "mnist": [1]}


RECIPE = {
    "name": "a",
    "model": "lenet-300-100",
    "task": {"type": "image-classification", "dataset": {"path": "digits"}},
}


def test_a_recipe_states_the_last_look() -> None:
    recipe = parse_recipe(RECIPE | {"verdict": {"until": "decided"}}, FindRecipe, "test")
    assert recipe.verdict.max_seeds == 10
    assert recipe.until == TEN
    assert (without := parse_recipe(RECIPE, FindRecipe, "test")).until is None
    assert with_all_seeds(without) == without
    at_once = with_all_seeds(recipe)
    assert (at_once.seeds, at_once.verdict) == (tuple(range(10)), VerdictConfig())


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"verdict": {"until": "done"}}, "verdict.until: .*'decided'"),
        ({"verdict": {"max_seeds": 7}}, "max_seeds goes with until: decided"),
        ({"verdict": {"until": "decided", "max_seeds": 2}}, "verdict.max_seeds: .*greater than or equal to 3"),
        (
            {"verdict": {"until": "decided", "max_seeds": 4}, "seeds": [0, 1, 2, 3, 4]},
            "verdict.max_seeds: 4 is below the recipe's 5 seeds",
        ),
    ],
)
def test_what_cannot_be_stated(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(RecipeError, match=said) as raised:
        parse_recipe(RECIPE | keys, FindRecipe, "test")
    assert "\n" not in str(raised.value)


def test_the_recipe_s_text_states_margin_and_looks() -> None:
    text = "seeds: [0, 1, 2]\nverdict: {margin: 0.01, until: decided, max_seeds: 10}\n"
    assert stated(text) == (0.01, TEN)
    assert stated("verdict: {margin: 0.01}") == (0.01, None)
    assert stated("verdict: {until: decided}") == stated("verdict: 3") == stated(None) == (None, None)
    assert VerdictConfig().model_dump(exclude_none=True) == {}


@pytest.mark.parametrize("given", [{"seeds": [0, 0], "max_seeds": 5}, {"seeds": [0, 1, 2, 3], "max_seeds": 3}])
def test_looks_that_cannot_be_are_refused_in_a_ticket(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Until(**given)
