"""Where a matching ticket is not above random positions, only the densities of its layers matter."""

from typing import Any

import pytest

from ticketzoo.evaluation.evidence import density_lines, evidence
from ticketzoo.evaluation.verdict import judge


def rows(arm: str, values: list[float], level: int, **keys: Any) -> list[dict[str, Any]]:
    labels = {"ticket": "t", "level": level, "sparsity": 0.2 * level, "arm": arm, "target": "mnist", "draw": 0}
    measured = {"at": "final", "step": 9, "metric": "test_accuracy"}
    return [labels | measured | {"seed": seed, "value": value} | keys for seed, value in enumerate(values)]


NEAR, FAR = [0.90, 0.901, 0.899], [0.60, 0.61, 0.59]
DENSE = rows("dense", NEAR, 0)


@pytest.mark.parametrize(
    ("ticket", "other", "said"),
    [
        (NEAR, NEAR, True),
        (NEAR, FAR, False),
        (FAR, FAR, False),  # below dense: nothing that would matter
        (NEAR, NEAR[:2], False),  # two seeds say nothing
    ],
)
def test_only_of_levels_that_match_and_are_not_above_random_positions(
    ticket: list[float], other: list[float], said: bool
) -> None:
    measured = DENSE + rows("ticket", ticket, 1) + rows("random_mask", other, 1)
    lines = density_lines(measured, judge(measured, margin=0.01))
    assert [line.startswith("Only its layer densities matter at level 1, as far as") for line in lines] == [True] * said


def test_rows_of_what_was_never_trained_are_not_judged_as_trained() -> None:
    """Above both controls, they would make a trained ticket a winning one."""
    arms = rows("ticket", NEAR, 1) + rows("random_mask", FAR, 1) + rows("random_reinit", FAR, 1)
    guess = rows("chance", [0.1], 0)
    assert judge(DENSE + arms + guess, margin=0.01, transfer=[]).label == "winning"
    as_they_are = [row | {"trained": False, "step": 0} for row in arms]
    assert judge(DENSE + as_they_are + guess, margin=0.01, transfer=[]).label == "matches untrained"
    assert "matches untrained" in evidence(DENSE + as_they_are + guess, source="mnist").sentence
