"""The table of docs/causal-lms.md, from the rows of benchmarks/causal.py."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
NAMES = {
    "wanda": "Wanda, rows",
    "owl": "Wanda, rows, OWL's densities",
    "sparsegpt": "SparseGPT, masks alone",
    "magnitude-rows": "magnitude, rows",
    "magnitude-layer": "magnitude, layer",
    "magnitude-model": "magnitude, model",
    "random": "random, layer",
}


def perplexities(rows: Iterable[Row]) -> dict[tuple[str, float], float]:
    """The test perplexity of each finder at each sparsity, in tenths; 0 is the dense network's."""
    return {
        (row["finder"], round(row["sparsity"], 1)): row["value"]
        for row in rows
        if row["metric"] == "test_perplexity" and row["arm"] == "ticket"
    }


def causal_table(rows: Sequence[Row]) -> str:
    """Finders by sparsity: test perplexity. What was not measured is left empty."""
    found = perplexities(rows)
    sparsities = sorted({sparsity for _, sparsity in found})
    lines = [f"| finder | {' | '.join(f'{one:.1f}' for one in sparsities)} |", "|---|" + "--:|" * len(sparsities)]
    dense = next(value for (_, sparsity), value in found.items() if sparsity == 0)
    lines.append(f"| *dense* | {shown(dense)} |" + " |" * (len(sparsities) - 1))
    for finder, words in NAMES.items():
        values = [found.get((finder, one)) if one else None for one in sparsities]
        if any(value is not None for value in values):
            cells = ["" if value is None else shown(value) for value in values]
            lines.append(f"| {words} | {' | '.join(cells)} |")
    return "\n".join(lines)


def causal_order(rows: Sequence[Row], sparsity: float = 0.5) -> str:
    """The finders from the lowest perplexity to the highest, in a sentence."""
    found = perplexities(rows)
    there = [finder for finder in NAMES if (finder, sparsity) in found]
    order = sorted(there, key=lambda finder: found[finder, sparsity])
    return f"From the lowest perplexity at {sparsity} to the highest: {'; '.join(NAMES[one] for one in order)}."


def shown(value: float) -> str:
    """A perplexity in three or four figures."""
    return f"{value:,.1f}" if value < 1e4 else f"{value:.1e}".replace("e+0", "e")
