"""The tables of docs/domains.md on CartPole, of rows that can be worked out by hand."""

from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
IMP, ONE_SHOT = "actor-critic.cartpole-imp", "actor-critic.cartpole-one-shot"


def row(arm: str, value: float, level: int, seed: int, ticket: str = IMP, metric: str = "return") -> dict[str, Any]:
    decides = {"decides": True} if metric == "return" else {}
    return {
        "ticket": ticket, "level": level, "sparsity": 0.5 * level, "arm": arm, "target": "cartpole", "draw": 0,
        "seed": seed, "at": "final", "step": 10, "metric": f"test_{metric}", "value": value, **decides,
    }  # fmt: skip


def test_returns_by_sparsity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    import cartpole_tables

    rows = [
        row(*one, seed, **keys)
        for seed, plus in ((0, -10), (1, 0), (2, 10))
        for one, keys in (
            (("dense", 400.0 + plus, 0), {}),
            (("chance", 22.0, 0), {}),
            (("ticket", 400.0 + plus, 0), {}),
            (("ticket", 300.0 + plus, 1), {}),
            (("random_mask", 100.0 + plus, 1), {}),
            (("ticket", 200.0 + plus, 1), {"ticket": ONE_SHOT}),
            (("ticket", 500.0, 1), {"metric": "greedy_return"}),
        )
    ]
    parts = dict(cartpole_tables.parts(rows))
    returns, greedy = parts["cartpole"].split("\n\nThe same networks, the best action always:\n\n")
    assert returns.splitlines()[2:] == [
        "| 0.00 | 400 ± 10 |  |  |  |  |  |",
        "| 0.50 | 300 ± 10 | 200 ± 10 |  |  | 100 ± 10 |  |",
    ]
    assert greedy.splitlines()[2:] == ["| 0.50 | 500 ± 0 |  |  |  |  |  |"]
    first, second, _, verdict = parts["cartpole-words"].splitlines()
    assert first.endswith("over 3 seeds, ± one standard deviation: dense 400, a random policy 22.")
    start = "At sparsity 0.50 IMP's mean return is 1.50 times that of one-shot"
    assert second == f"{start}, 3.00 times that of its weights, random masks."
    assert "below" in verdict
