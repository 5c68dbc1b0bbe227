"""The tables of docs/elastic.md, of rows that can be worked out by hand."""

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    import elastic_tables

    return elastic_tables


def row(ticket: str, arm: str, value: float, sparsity: float = 0.9, level: int = 10) -> dict[str, Any]:
    return {
        "ticket": ticket, "level": level, "sparsity": sparsity, "arm": arm, "target": "mnist", "seed": 0, "draw": 0,
        "at": "final", "step": 10, "metric": "test_accuracy", "value": value,
    }  # fmt: skip


def test_stretched_tickets_are_beside_the_targets_own_and_the_paper(tables: ModuleType) -> None:
    rows = [
        row("mlp-2.mnist-imp", "ticket", 0.98),
        row("mlp-2.mnist-imp", "dense", 0.985, 0.0, 0),
        row("mlp-2.from-mlp-10", "ticket", 0.976, 0.875),
        row("mlp-2.from-mlp-10", "random_mask", 0.95, 0.875),
        row("mlp-10.from-mlp-2", "ticket", 0.97),
    ]
    parts = dict(tables.parts(rows, {("mlp-2", "mlp-2"): 98.06}))
    assert parts["matrix"].splitlines() == [
        "| ticket of | on mlp-2 | on mlp-10 |",
        "|---|--:|--:|",
        "| mlp-2 | 98.00 (98.06) | 97.00 |",
        "| mlp-10 | 97.60 |  |",
    ]
    assert parts["arms"].splitlines()[2:] == [
        "| mlp-2 | 98.50 | mlp-2 | 0.900 | 98.00 |  |  |  |",
        "| mlp-2 | 98.50 | mlp-10 | 0.875 | 97.60 |  | 95.00 | -0.40 |",
        "| mlp-10 |  | mlp-2 | 0.900 | 97.00 |  |  |  |",
    ]
    assert parts["words"] == (
        "In the mean 0 of 1 are within 0.3 points of the target's own ticket; the most is -0.40, from mlp-10 to mlp-2. "
        "1 of 1 are above random masks on their weights; the least is +2.60 points, from mlp-10 to mlp-2."
    )


def test_tickets_below_random_masks_are_not_called_above_them(tables: ModuleType) -> None:
    rows = [row("mlp-3.from-mlp-2", "ticket", 0.93), row("mlp-3.from-mlp-2", "random_mask", 0.95)]
    assert dict(tables.parts(rows))["words"] == (
        "0 of 1 are above random masks on their weights; the least is -2.00 points, from mlp-2 to mlp-3."
    )


def test_recipes_of_the_page_are_there() -> None:
    page = (ROOT / "docs" / "elastic.md").read_text()
    for recipe in (ROOT / "recipes" / "elastic").glob("*.yaml"):
        assert f"elastic/{recipe.stem}" in page
