"""The cards of the gallery's first page, and what its script knows of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ticketzoo.gallery.boards import ALL_BANDS, label_rank
from ticketzoo.gallery.exhibit import Exhibit, Stop
from ticketzoo.util.text import for_terminal

FACETS = {
    "architecture": "Architecture",
    "task": "Task",
    "data": "Found on",
    "finder": "Finder",
    "base": "Base model",
    "verdict": "Verdict",
}
"""What cards are filtered by, beside sparsity and text: the attribute of `facets`, and its heading."""

AT_LEAST = tuple(low for low, _ in ALL_BANDS if low > 0)
"""Sparsities that a filter asks for."""


@dataclass(frozen=True)
class Choice:
    """A value of a filter and the number of cards that have it."""

    value: str
    count: int


def in_rank(exhibits: Sequence[Exhibit]) -> list[Exhibit]:
    """Return the tickets, best verdict first, of the same verdict the sparsest first."""
    return sorted(exhibits, key=lambda one: (label_rank(one.label), -_claimed(one), one.title.lower(), one.slug))


def facets(exhibit: Exhibit) -> dict[str, str]:
    """Return a ticket's value of each filter."""
    return {
        "architecture": exhibit.architecture,
        "task": for_terminal(exhibit.config.task),
        "data": exhibit.data,
        "finder": exhibit.finder,
        "base": exhibit.base,
        "verdict": exhibit.label,
    }


def choices(exhibits: Sequence[Exhibit]) -> dict[str, list[Choice]]:
    """Return the values of each filter: verdicts best first, all others by name."""
    counts: dict[str, dict[str, int]] = {name: {} for name in FACETS}
    for one in exhibits:
        for name, value in facets(one).items():
            counts[name][value] = counts[name].get(value, 0) + 1
    found = {name: [Choice(value, of[value]) for value in sorted(of, key=str.lower)] for name, of in counts.items()}
    found["verdict"].sort(key=lambda choice: label_rank(choice.value))
    return found


def known_to_script(exhibits: Sequence[Exhibit]) -> list[dict[str, Any]]:
    """Return what filters, order and slider need of each card: its texts, and a list for each stop of its slider."""
    return [
        {
            "facets": list(facets(one).values()),
            "name": one.title.lower(),
            "sparsest": max(stop.entry.sparsity for stop in one.stops),
            "stops": [_stop(stop) for stop in one.stops],
        }
        for one in exhibits
    ]


def _stop(stop: Stop) -> list[Any]:
    """Return sparsity, level, weights kept, their size, label; then, of what was measured, mean and place of rows."""
    shown: list[Any] = [stop.sparsity, stop.entry.level, stop.entry.kept_in_words, stop.size, stop.label]
    shown += [stop.ticket.text, stop.ticket.number] if stop.ticket else []
    control = stop.control if stop.ticket else None
    return shown + ([control.text, control.number, for_terminal(control.label)] if control else [])


def _claimed(exhibit: Exhibit) -> float:
    verdict = exhibit.config.verdict
    return verdict.sparsity if verdict and verdict.sparsity is not None else -1.0
