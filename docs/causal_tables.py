"""The tables of docs/causal-lms.md, from the rows of benchmarks/causal.py and of the study `forgetting`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
NAMES = {
    "wanda": "Wanda, rows",
    "owl": "Wanda, rows, OWL's densities",
    "sparsegpt-update": "SparseGPT",
    "sparsegpt": "SparseGPT, masks alone",
    "magnitude-rows": "magnitude, rows",
    "magnitude-layer": "magnitude, layer",
    "magnitude-model": "magnitude, model",
    "random": "random, layer",
}


def perplexities(rows: Iterable[Row], *, retrained: bool = False) -> dict[tuple[str, float], float]:
    """The test perplexity of each finder at each sparsity, in tenths; 0 is the dense network's."""
    return {
        (row["finder"], round(row["sparsity"], 1)): row["value"]
        for row in rows
        if row["metric"] == "test_perplexity" and row["arm"] == "ticket" and (row["retrained"] > 0) == retrained
    }


def causal_table(rows: Sequence[Row], *, retrained: bool = False) -> str:
    """Finders by sparsity: test perplexity. What was not measured is left empty."""
    found = perplexities(rows, retrained=retrained)
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


def causal_order(rows: Sequence[Row]) -> str:
    """The finders from the lowest perplexity to the highest at each sparsity, a sentence each."""
    return "\n".join(
        f"- At {sparsity}{words}: {'; '.join(order_at(rows, sparsity, retrained))}."
        for retrained, words in ((False, ""), (True, ", retrained"))
        for sparsity in sorted({one for _, one in perplexities(rows, retrained=retrained)} - {0.0})
    )


def order_at(rows: Sequence[Row], sparsity: float, retrained: bool) -> list[str]:
    """The finders, best first."""
    found = perplexities(rows, retrained=retrained)
    there = [finder for finder in NAMES if (finder, sparsity) in found]
    return [NAMES[one] for one in sorted(there, key=lambda finder: found[finder, sparsity])]


WAYS = {
    "all": "all weights",
    "lota": "a tenth, those that 20 iterations move most (LoTA)",
    "lotto": "the same, of those that the first task left alone (LoTTO)",
    "magnitude": "the largest tenth",
    "random": "a tenth at random",
}


def forgetting(rows: Sequence[Row], first: str, second: str) -> str:
    """Ways of fine-tuning: the perplexity of both tasks after each of them."""
    found = {
        (row["way"], row["trained"], row["task"]): row["value"] for row in rows if row["metric"] == "test_perplexity"
    }
    heads = f"{first} | {first}, after {second} | forgotten | {second}"
    lines = [f"| moved by each task | {heads} |", "|---|--:|--:|--:|--:|"]
    lines.append(f"| *nothing* | {shown(found['all', 0, first])} | | | {shown(found['all', 0, second])} |")
    for way, words in WAYS.items():
        if (way, 2, first) in found:
            learned, left, last = found[way, 1, first], found[way, 2, first], found[way, 2, second]
            lines.append(f"| {words} | {shown(learned)} | {shown(left)} | {left - learned:+.1f} | {shown(last)} |")
    return "\n".join(lines)


def shown(value: float) -> str:
    """A perplexity in three or four figures."""
    return f"{value:,.1f}" if value < 1e4 else f"{value:.1e}".replace("e+0", "e")
