"""The tables of docs/domains.md on LSTM language models, of rows that can be worked out by hand."""

import math
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]


def row(ticket: str, arm: str, perplexity: float, sparsity: float, seed: int = 0) -> dict[str, Any]:
    return {
        "ticket": ticket, "level": round(10 * sparsity), "sparsity": sparsity, "arm": arm, "target": "austen",
        "draw": 0, "seed": seed, "at": "final", "step": 10, "metric": "test_loss", "value": math.log(perplexity),
    }  # fmt: skip


def test_perplexities_by_scope_and_sparsity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    import lstm_tables

    whole, recurrent = "lstm-lm.austen-imp", "lstm-lm.austen-imp-recurrent"
    rows = [
        row(whole, "dense", 100, 0.0),
        row(whole, "ticket", 80, 0.5904),
        row(whole, "ticket", 125, 0.5904, seed=1),
        row(whole, "random_mask", 100 * math.e, 0.5904),
        row("lstm-lm.austen-one-shot", "ticket", 110, 0.5904),
        row(recurrent, "dense", 90, 0.0),
        row(recurrent, "ticket", 95, 0.36),
    ]
    parts = dict(lstm_tables.parts(rows))
    assert parts["lstm-perplexities"].splitlines()[2:] == [
        "| all parameters | 0.59 | 100.0 | 100.0 | 110.0 |  | 271.8 |",
        "| recurrent weights | 0.36 | 90.0 | 95.0 |  |  |  |",
    ]
    assert parts["lstm-words"].splitlines() == [
        "Differences of log perplexity, means over 2 seeds; less is better:",
        "",
        "- all parameters, IMP: at 0.59 +0.000 to dense, -1.000 to random masks, -0.095 to one-shot.",
    ]
