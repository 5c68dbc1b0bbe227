"""The tables of docs/domains.md on attacked images, of rows that can be worked out by hand."""

from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
LENGTHS = {"mnist-pgd": 568, "mnist-pgd-4ep": 284}


def rows(arm: str, target: str, robust: tuple[float, ...], ticket: str = "conv-4.mnist-fgsm") -> list[dict[str, Any]]:
    sparsity = 0.0 if arm == "dense" else 0.8
    about = {"ticket": ticket, "level": int(sparsity > 0), "sparsity": sparsity, "arm": arm, "target": target}
    return [
        {**about, "draw": 0, "seed": seed, "at": "final", "step": LENGTHS[target], "metric": metric, "value": value}
        for seed, share in enumerate(robust)
        for metric, value in (("test_robust_accuracy", share), ("test_accuracy", 0.9))
    ]


def test_robust_and_clean_accuracy_by_arm_and_length_of_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    import adversarial_tables

    parts = dict(
        adversarial_tables.parts(
            [
                *rows("dense", "mnist-pgd", (0.80,)),
                *rows("ticket", "mnist-pgd", (0.82,)),
                *rows("random_reinit", "mnist-pgd", (0.75,)),
                *rows("dense", "mnist-pgd-4ep", (0.70,)),
                *rows("ticket", "mnist-pgd-4ep", (0.80, 0.82)),
                *rows("ticket", "mnist-pgd", (0.81,), "conv-4.mnist-natural"),
                *rows("ticket", "mnist-pgd-4ep", (0.78,), "conv-4.mnist-natural"),
            ]
        )
    )
    assert parts["attacked-accuracies"].splitlines() == [
        "| network | robust, 284 iterations | robust, 568 iterations | clean, 284 iterations | clean, 568 iterations |",
        "|---|--:|--:|--:|--:|",
        "| dense | 70.00 | 80.00 | 90.00 | 90.00 |",
        "| conv-4.mnist-fgsm ticket | 81.00 ± 12.71 | 82.00 | 90.00 ± 0.00 | 90.00 |",
        "| conv-4.mnist-fgsm its masks, fresh weights |  | 75.00 |  | 90.00 |",
        "| conv-4.mnist-natural ticket | 78.00 | 81.00 | 90.00 | 90.00 |",
    ]
    assert parts["attacked-words"].splitlines()[2:] == [
        "- conv-4.mnist-fgsm: after 284 iterations +1.00 to dense after 568; "
        "after 568 iterations +2.00 to dense after 568, +7.00 to its masks on fresh weights.",
        "- conv-4.mnist-natural: after 284 iterations -2.00 to dense after 568; "
        "after 568 iterations +1.00 to dense after 568.",
    ]
