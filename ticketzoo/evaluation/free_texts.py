"""Texts that a ticket's author sets and its card prints: nothing computes them, so what they claim is noted."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, TypeAlias

from ticketzoo.evaluation.own_words import speaks_of_results
from ticketzoo.evaluation.statistics import Row
from ticketzoo.ticket.config import Filters, TicketConfig
from ticketzoo.util.text import for_terminal

FoundWords: TypeAlias = Callable[[Mapping[str, Any]], dict[str, str]]
"""Gives the words of this version for how a ticket was found, as `ticketzoo.finding.method.found_words` does."""

PARTS: tuple[Literal["method", "criterion", "structure", "scope", "schedule"], ...] = (
    "method",
    "criterion",
    "structure",
    "scope",
    "schedule",
)
"""Keys of `pruning` that name how a ticket was found, each with words of its own."""

COLUMNS = ("target", "metric", "arm")
"""Columns of rows that hold names, which tables print."""


def claiming_texts(config: TicketConfig, rows: Sequence[Row]) -> Iterator[tuple[str, str]]:
    """Yield each free text of ticket.json and results.jsonl that speaks of results, after the place where it stands.

    The verdict is left out: the rows give it.
    """
    seen: set[str] = set()
    for where, text in _free_texts(config, rows):
        if text not in seen and speaks_of_results(text):
            seen.add(text)
            yield where, text


def own_words(config: TicketConfig, found_words: FoundWords) -> Iterator[str]:
    """Yield a phrase for each part of how a ticket was found that is said in other words than this version's."""
    pruning = config.pruning
    structure = "filters" if isinstance(pruning.structure, Filters) else pruning.structure
    names = {part: getattr(pruning, part) for part in PARTS} | {"structure": structure}
    given = found_words({part: name for part, name in names.items() if name is not None})
    for part in PARTS:
        name, text = names[part], pruning.words.get(part)
        if text is not None and text != given.get(part):
            instead = f", and this version says '{given[part]}'" if part in given else ""
            yield f"pruning.words.{part} is its author's own: '{for_terminal(text)[:200]}'{instead}"
        elif name is not None and part not in given:
            yield f"pruning.{part} is its author's own: '{for_terminal(name)[:200]}', which this version does not know"


def _free_texts(config: TicketConfig, rows: Sequence[Row]) -> Iterator[tuple[str, str]]:
    derived = config.derived
    for where, values in (
        ("architecture.kwargs", config.architecture.kwargs),
        ("derived", derived and derived.arguments),
    ):
        yield where, json.dumps(values)
    for key, value in config.model_dump(mode="json", exclude={"verdict": True, "transfers": True}).items():
        yield from _texts(value, key)
    for recipe in config.transfers:
        yield from (("transfers", line) for line in recipe.splitlines())
    for column in COLUMNS:
        for name in sorted({str(row.get(column)) for row in rows}):
            yield f"results.jsonl: {column}", name


def _texts(value: Any, where: str) -> Iterator[tuple[str, str]]:
    """Yield every text in a value, keys of objects among them, after the keys that lead there."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield where, key
            yield from _texts(inner, f"{where}.{for_terminal(key)[:40]}")
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner, where)
    elif isinstance(value, str):
        yield where, value
