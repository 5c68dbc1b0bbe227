"""The tables of docs/domains.md on pre-training without labels, of rows that can be worked out by hand."""

from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
IMP, ALONE = "simclr.fashion-mnist-imp", "simclr.fashion-mnist-labels-alone"


def row(target: str, ticket: str, arm: str, value: float, sparsity: float = 0.0, seed: int = 0) -> dict[str, Any]:
    metric = "test_linear_accuracy" if target.endswith("simclr") else "test_accuracy"
    return {
        "ticket": ticket, "level": round(10 * sparsity), "sparsity": sparsity, "arm": arm, "target": target,
        "draw": 0, "seed": seed, "at": "final", "step": 10, "metric": metric, "value": value,
    }  # fmt: skip


def test_accuracies_and_differences_by_target_and_sparsity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    import simclr_tables

    rows = [
        row("fashion_mnist-simclr", IMP, "dense", 0.8),
        row("fashion_mnist-simclr", IMP, "ticket", 0.79, 0.83),
        row("fashion_mnist-simclr", IMP, "chance", 0.7),
        row("mnist-1000", IMP, "dense", 0.9),
        row("mnist-1000", IMP, "ticket", 0.9, 0.83),
        row("mnist-1000", IMP, "ticket", 0.94, 0.83, seed=1),
        row("mnist-1000", IMP, "random_mask", 0.88, 0.83),
        row("mnist-1000", ALONE, "dense", 0.85),
        row("mnist-1000", ALONE, "ticket", 0.5, 0.83),
    ]
    parts = dict(simclr_tables.parts(rows))
    assert parts["simclr-accuracies"].splitlines()[2:] == [
        "| fashion_mnist-simclr | 0.83 | 80.0 | 79.0 |  |  |  |  |",
        "| mnist-1000 | 0.83 | 90.0 | 92.0 |  | 88.0 |  | 85.0 |",
    ]
    assert parts["simclr-words"].splitlines() == [
        "Differences in points, means over 2 seeds:",
        "",
        "- fashion_mnist-simclr: ticket at 0.83 -1.0 to dense.",
        "- mnist-1000: dense +5.0 to no pre-training; ticket at 0.83 +2.0 to dense, +4.0 to random masks.",
    ]
