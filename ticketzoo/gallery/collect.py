"""Tickets of several registries, those of the Hub among them; no masks and no weights are fetched."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ticketzoo.errors import RegistryError, TicketError
from ticketzoo.gallery.exhibit import Exhibit, exhibit_of
from ticketzoo.hub.references import folder_reference
from ticketzoo.zoo.search import Query, search
from ticketzoo.zoo.summary import TicketSummary

MOST_ON_HUB = 1000
"""Repositories of one owner that are looked at."""


@dataclass(frozen=True)
class Collected:
    """Tickets to show, by name, and a line each on those that were left out, and why."""

    exhibits: list[Exhibit]
    left_out: list[str]


def collect(registries: Sequence[str | Path], *, token: str | bool | None = None) -> Collected:
    """Return the tickets of `registries`, each a folder or `hub:owner`; a ticket that is in two of them once.

    Raises:
        RegistryError: there is no such folder, or the Hub cannot be searched.
    """
    left_out: list[str] = []
    summaries: dict[str, TicketSummary] = {}
    for registry in registries:
        hits = search(registry, Query(), limit=MOST_ON_HUB, token=token)
        left_out += hits.left_out
        for one in hits.summaries:
            summaries.setdefault(one.place if one.files.hub else str(one.folder.resolve()), one)
    exhibits: list[Exhibit] = []
    slugs: set[str] = set()
    for one in _told_apart(list(summaries.values())):
        try:
            made = exhibit_of(one, slugs)
        except (TicketError, RegistryError) as error:
            left_out.append(str(error))
            continue
        slugs.add(made.slug)
        exhibits.append(made)
    return Collected(exhibits, list(dict.fromkeys(left_out)))


def _told_apart(summaries: Sequence[TicketSummary]) -> list[TicketSummary]:
    """Return them by name; of those in folders that share a name all but the first are called by their folders."""
    seen: set[str] = set()
    apart = []
    for one in summaries:
        if one.title in seen and not one.files.hub:
            one = replace(one, called=folder_reference(one.folder))
        seen.add(one.title)
        apart.append(one)
    return sorted(apart, key=lambda one: (one.title.lower(), one.title))
