"""The source's claims have 5% of their own: no row of other data changes a label there; other targets share by Holm."""

from typing import Any

import pytest

from ticketzoo.evaluation.looks import nominal_levels
from ticketzoo.evaluation.verdict import judge
from ticketzoo.ticket.verdict import Until, Verdict

AROUND = [-0.01, 0.0, 0.01]
"""Two such groups have a standard error of 0.01 sqrt(2/3) = 0.0082 and 4 degrees of freedom: the half-width at 5% is
2.1318 of them, 0.0174; at 2.5% 2.7764, 0.0227; at 1.67% 3.1863, 0.0260."""
TEN = Until(seeds=[0, 1, 2], max_seeds=10)
OTHERS = ("kmnist", "letters")


def on(target: str, ticket: float, controls: float | None = None, seeds: int = 3) -> list[dict[str, Any]]:
    """Dense at 0.9 and the ticket at `ticket`, at its only level; controls where they are given."""
    means = {"dense": 0.9, "ticket": ticket}
    if controls is not None:
        means |= dict.fromkeys(("random_mask", "random_reinit"), controls)
    around = AROUND + [0.0] * (seeds - 3)
    return [
        {
            "ticket": "t", "level": int(arm != "dense"), "sparsity": 0.2 * (arm != "dense"), "arm": arm,
            "target": target, "seed": seed, "draw": 0, "at": "final", "step": 100, "metric": "test_accuracy",
            "value": mean + away,
        }
        for arm, mean in means.items()
        for seed, away in enumerate(around)
    ]  # fmt: skip


def labels(verdict: Verdict) -> dict[str, str]:
    return {level.target: level.label for level in verdict.levels}


SOURCE = on("mnist", 0.899, controls=0.882)
"""0.001 below dense: matching with the margin 0.02 at 5%, for 0.0184 is less, and not at 2.5%. It is 0.017 above both
controls, 2.08 standard errors with 8 degrees of freedom: winning at 5% (1.86), not at 2.5% (2.31)."""


@pytest.mark.parametrize("mean", [0.5, 0.899, 0.95])
def test_a_label_on_the_source_is_the_same_with_and_without_rows_of_other_targets(mean: float) -> None:
    alone = judge(SOURCE, margin=0.02, transfer=())
    assert (alone.label, labels(alone)) == ("winning", {"mnist": "winning"})
    carried = [row for target in OTHERS for row in on(target, mean)]
    joined = judge(SOURCE + carried, margin=0.02, transfer=OTHERS)
    assert (joined.label, joined.sparsity) == (alone.label, alone.sparsity)
    assert [level for level in joined.levels if level.target == "mnist"] == alone.levels
    assert [one for one in joined.targets if one.target == "mnist"] == alone.targets
    assert labels(judge(SOURCE + carried, margin=0.02))["mnist"] != "winning"  # where none is known to be the source


def test_two_other_targets_share_another_five_percent_by_holm() -> None:
    near, far, lost = (on(target, mean) for target, mean in (("kmnist", 0.899), ("letters", 0.93), ("letters", 0.5)))
    passed_on = judge(SOURCE + near + far, margin=0.02, transfer=OTHERS)
    assert labels(passed_on) == {"kmnist": "matching", "letters": "matching", "mnist": "winning"}
    assert {one.target: one.alpha for one in passed_on.targets} == {"kmnist": 0.05, "letters": 0.025, "mnist": 0.05}
    assert {one.target: one.alpha_winning for one in passed_on.targets} == {
        "kmnist": 0.025, "letters": 0.025, "mnist": 0.05,
    }  # fmt: skip
    kept = judge(SOURCE + near + lost, margin=0.02, transfer=OTHERS)
    assert labels(kept) == {"kmnist": "undecided", "letters": "below", "mnist": "winning"}
    assert {one.target: one.alpha for one in kept.targets} == {"kmnist": 0.025, "letters": 0.025, "mnist": 0.05}


def test_one_other_target_has_the_other_five_percent_alone() -> None:
    verdict = judge(SOURCE + on("kmnist", 0.899), margin=0.02, transfer=("kmnist",))
    assert labels(verdict) == {"kmnist": "matching", "mnist": "winning"}
    assert "at another 5% on all targets that are other data together" in verdict.rule


def test_the_source_has_looks_of_its_own() -> None:
    """Five seeds on the source are two looks there, though other data have three: what it earned at them it keeps."""
    source, other = on("mnist", 0.899, seeds=5), on("kmnist", 0.5)
    alone = judge(source, margin=0.02, transfer=(), until=TEN)
    joined = judge(source + other, margin=0.02, transfer=("kmnist",), until=TEN)
    assert labels(alone)["mnist"] == "matching"
    assert [level for level in joined.levels if level.target == "mnist"] == alone.levels
    assert [(look.seeds, look.label) for look in alone.looks] == [(3, "undecided"), (5, "matching")]
    assert [(look.seeds, look.label) for look in joined.looks] == [(3, "undecided"), (5, "matching")]
    assert [look.undecided for look in joined.looks] == [{"mnist": [1]}, {}]
    level_at = nominal_levels((3, 5, 7, 10))
    assert {one.target: one.alpha for one in joined.targets} == {"kmnist": level_at[0], "mnist": level_at[1]}


def test_other_data_may_have_more_looks_than_the_source() -> None:
    source, other = on("mnist", 0.93), on("kmnist", 0.88, seeds=5)
    verdict = judge(source + other, margin=0.02, transfer=("kmnist",), until=TEN)
    assert [(look.seeds, look.label, look.undecided) for look in verdict.looks] == [
        (3, "matching", {"kmnist": [1]}),
        (5, "matching", {"kmnist": [1]}),
    ]
    assert verdict.label == "matching"
