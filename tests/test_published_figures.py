"""The table of published figures in docs/finders.md: its verdicts, by numbers that can be checked by hand."""

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture
def claims(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module that makes the table."""
    monkeypatch.syspath_prepend(DOCS)
    import finder_claims

    return finder_claims


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ({"least": 0.4}, "yes"),
        ({"least": 0.48}, "in the mean; the interval reaches beyond"),
        ({"least": 0.52}, "not in the mean; the interval reaches it"),
        ({"least": 0.6, "why": "trained longer there"}, "no, by 10.00: trained longer there"),
        ({"most": 0.4}, "no, by 10.00"),
        ({"least": 0.4, "most": 0.6}, "yes"),
    ],
)
def test_a_claim_is_met_by_the_whole_interval(claims: ModuleType, bounds: dict[str, Any], expected: str) -> None:
    """Of 0.49, 0.50 and 0.51 the interval is 0.5 +- 4.3027 x 0.01 / sqrt(3), 0.475 to 0.525."""
    line = claims.table([claims.Claim("what", "said", {0: 0.49, 1: 0.5, 2: 0.51}, "4 epochs", **bounds)]).splitlines()[
        2
    ]
    assert line == f"| what | said | 50.00 ± 2.48 | 3 | 4 epochs | {expected} |"


def test_one_seed_has_no_interval_and_differences_are_seed_by_seed(claims: ModuleType) -> None:
    lead = claims.minus({0: 0.5, 1: 0.7}, {1: 0.6, 2: 0.1})
    assert lead == {1: pytest.approx(0.1)}
    line = claims.table([claims.Claim("what", "above 0", lead, "none", 0, signed=True)]).splitlines()[2]
    assert line == "| what | above 0 | +10.00 | 1 | none | yes |"


def test_claims_of_tickets_that_are_not_there_are_left_out(claims: ModuleType) -> None:
    none = [claims.criteria, claims.masks_that_are_learned, claims.at_init, claims.filters]
    assert [list(of(lambda name: None)) for of in none] == [[], [], [], []]
