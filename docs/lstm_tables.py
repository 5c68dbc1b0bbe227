"""Tables of docs/domains.md on LSTM language models, from the rows of the four tickets of recipes/lstm on Austen."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ticketzoo.evaluation.statistics import group_rows

Row = Mapping[str, Any]
SCOPES = {"all parameters": "", "recurrent weights": "-recurrent"}
WAYS = {
    "IMP": ("imp", "ticket"),
    "one-shot": ("one-shot", "ticket"),
    "its masks, fresh weights": ("imp", "random_reinit"),
    "its weights, random masks": ("imp", "random_mask"),
}
Means = Mapping[tuple[str, str, float], float]
"""Mean test loss, which is log perplexity, by ticket, arm and sparsity in hundredths."""


def parts(rows: Sequence[Row]) -> Iterator[tuple[str, str]]:
    """The name and text of each measured part."""
    groups = group_rows(rows, metric="test_loss")
    means = {(one.key.ticket, one.key.arm, round(one.sparsity, 2)): one.summary.mean for one in groups}
    seeds = max(len(one.by_seed) for one in groups)
    yield "lstm-words", "\n".join(words(means, seeds))
    yield "lstm-perplexities", table(means)


def table(means: Means) -> str:
    """Test perplexity, the exponential of the mean log perplexity over seeds, by scope and sparsity."""
    lines = [f"| what can go | sparsity | dense | {' | '.join(WAYS)} |", "|---|--:|--:|" + "--:|" * len(WAYS)]
    for scope, ending in SCOPES.items():
        for sparsity in sparsities(means, ending):
            cells = [shown(means.get((name(way, ending), arm, sparsity))) for way, arm in WAYS.values()]
            dense = shown(means.get((name("imp", ending), "dense", 0.0)))
            lines.append(f"| {scope} | {sparsity:.2f} | {dense} | {' | '.join(cells)} |")
    return "\n".join(lines)


def words(means: Means, seeds: int) -> Iterator[str]:
    """The distances of log perplexity that the paper speaks of, a sentence each."""
    yield f"Differences of log perplexity, means over {seeds} seed{'s' * (seeds > 1)}; less is better:\n"
    for scope, ending in SCOPES.items():
        said = []
        for sparsity in sparsities(means, ending):
            ticket = means[name("imp", ending), "ticket", sparsity]
            others = {
                "dense": means.get((name("imp", ending), "dense", 0.0)),
                "random masks": means.get((name("imp", ending), "random_mask", sparsity)),
                "one-shot": means.get((name("one-shot", ending), "ticket", sparsity)),
            }
            less = [f"{ticket - other:+.3f} to {what}" for what, other in others.items() if other is not None]
            if len(less) > 1:
                said.append(f"at {sparsity:.2f} {', '.join(less)}")
        if said:
            yield f"- {scope}, IMP: {'; '.join(said)}."


def name(way: str, ending: str) -> str:
    """The name of a ticket."""
    return f"lstm-lm.austen-{way}{ending}"


def sparsities(means: Means, ending: str) -> list[float]:
    """Those of IMP's tickets of a scope."""
    return sorted({one for ticket, arm, one in means if (ticket, arm) == (name("imp", ending), "ticket") and one})


def shown(loss: float | None) -> str:
    """A perplexity of a log perplexity; nothing where none was measured."""
    return "" if loss is None else f"{math.exp(loss):.1f}"
