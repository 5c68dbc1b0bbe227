"""Finding tickets by what they are, in a folder and on the Hub alike."""

import difflib
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ticketzoo.errors import RegistryError, TicketError
from ticketzoo.hub import limits as hub_limits
from ticketzoo.hub.errors import HubUnreachable
from ticketzoo.hub.options import HubOptions
from ticketzoo.hub.references import folder_reference
from ticketzoo.hub.search import Listed, find_on_hub
from ticketzoo.ticket.card_metadata import (
    data_name,
    pruned_levels,
    slug,
    source_tag,
    sparsity_band,
    task_tag,
    verdict_tag,
)
from ticketzoo.ticket.config import TicketConfig
from ticketzoo.ticket.contents import Contents
from ticketzoo.ticket.files import hub_files
from ticketzoo.ticket.verdict import LABELS, SHOWN
from ticketzoo.util.text import for_terminal, show_names
from ticketzoo.zoo.alike import COLUMN, Likeness, by_likeness
from ticketzoo.zoo.places import in_words, registries, shared_name, ticket_folders
from ticketzoo.zoo.summary import COLUMNS, TicketSummary, read_summary

AT_HAND = "; to search the tickets at hand, give their folder (--registry DIR, in Python registry=DIR)"
"""Advice where the Hub does not answer."""


@dataclass(frozen=True)
class Query:
    """A description of tickets; None is anything.

    Attributes:
        architecture: such as `lenet-300-100`, `torchvision/resnet50` or `resnet50`.
        task: such as `image-classification`.
        source: data set that the ticket was found on, such as `ylecun/mnist`.
        sparsity: of a packaged level, to within the bands of 0.5, 0.8, 0.9, 0.95, 0.98 and 0.99.
        verdict: one of `ticketzoo.ticket.verdict.SHOWN`.
    """

    architecture: str | None = None
    task: str | None = None
    source: str | None = None
    sparsity: float | None = None
    verdict: str | None = None

    def __post_init__(self) -> None:
        if self.sparsity is not None and not 0 <= self.sparsity < 1:
            raise RegistryError(f"sparsity {self.sparsity!r}: a fraction removed is in [0, 1): write 0.9 for 90%")
        if self.verdict is not None and self.verdict not in SHOWN:
            raise RegistryError(f"verdict {self.verdict!r}: choose one of {', '.join(LABELS)}")

    def tags(self) -> list[str]:
        """Return the tags that the cards of such tickets have."""
        tags = [
            slug(self.architecture.rpartition("/")[2]) if self.architecture else None,
            task_tag(self.task) if self.task else None,
            source_tag(self.source) if self.source else None,
            sparsity_band(self.sparsity) if self.sparsity is not None else None,
            verdict_tag(self.verdict) if self.verdict else None,
        ]
        return [tag for tag in tags if tag]

    def hint(self, known: Sequence[TicketConfig]) -> str:
        """Return in words what is asked for that no ticket of `known` has, and which names there are near."""
        asked = (
            ("architecture", self.architecture, [config.architecture.name for config in known]),
            ("task", self.task, [config.task for config in known]),
            ("source", self.source, [data_name(config) for config in known]),
        )
        return "; ".join(
            f"{key} {for_terminal(repr(name))[:80]}: {_near(name, sorted(set(names)))}"
            for key, name, names in asked
            if name and names and _plain(key, name) not in {_plain(key, one) for one in names}
        )

    def matches(self, config: TicketConfig) -> bool:
        """Tell whether a ticket fits the description."""
        return set(self.tags()) <= {
            slug(config.architecture.name),
            task_tag(config.task),
            source_tag(data_name(config)),
            *(sparsity_band(entry.sparsity) for entry in pruned_levels(config)),
            verdict_tag(config.verdict.shown if config.verdict else "not measured"),
        }


@dataclass(frozen=True)
class Hits:
    """Tickets that were found, in one line each what was left out and why, and where was looked."""

    summaries: list[TicketSummary]
    left_out: list[str]
    where: str = ""
    hint: str = ""
    """Where nothing was found, the names near those asked for."""
    shared: Mapping[str, str] = field(default_factory=dict)
    """A line for each name that tickets with different masks have, by that name."""
    likeness: Mapping[str, Likeness] = field(default_factory=dict)
    """Where tickets like one in hand were asked for, how much they are like it, by place."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the table."""
        return (*COLUMNS, COLUMN) if self.likeness else COLUMNS

    def cells(self, summary: TicketSummary) -> tuple[str, ...]:
        """Return the row of one of its tickets."""
        like = self.likeness.get(summary.place)
        return (*summary.cells(), like.cell) if like else summary.cells()

    def as_json(self) -> list[dict[str, Any]]:
        """Return the documents of the tickets."""
        like = {place: {"likeness": one.as_json()} for place, one in self.likeness.items()}
        return [summary.as_json() | like.get(summary.place, {}) for summary in self.summaries]

    def like(self, ticket: Contents) -> "Hits":
        """Return those of the network of `ticket`, the ones that share most of its masks first."""
        found, left_out = by_likeness(ticket, self.summaries)
        return replace(
            self,
            summaries=[summary for summary, _ in found],
            left_out=[*self.left_out, *left_out],
            likeness={summary.place: one for summary, one in found},
        )


def search(registry: str | Path | None, query: Query, *, limit: int = 100, token: str | bool | None = None) -> Hits:
    """Return the tickets in a folder, on the Hub (`hub:`) or of one of its owners (`hub:owner`) that `query` describes.

    Without a registry they are those that names are looked up among (`ticketzoo.zoo.places.registries`).

    On the Hub the cards' tags narrow the search, and every ticket.json is fetched and has the last word: a card that
    promises what its ticket is not is left out. So are tickets that cannot be read.

    Raises:
        RegistryError: there is no such folder, or the Hub cannot be searched; `HubUnreachable` if it does not answer.
    """
    text = "" if registry is None else str(registry)
    if not text.startswith("hub:"):
        places = registries() if registry is None else [Path(registry).expanduser()]
        found = [folder for place in places for folder in ticket_folders(place)]
        return _hits(query, map(_summary_in, found), in_words(places))
    owner = text.removeprefix("hub:")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}|", owner):
        raise RegistryError(f"{text!r}: write hub: for all of the Hub, or hub:OWNER")
    try:
        listed = find_on_hub(query.tags(), owner=owner or None, limit=limit, token=token)
    except HubUnreachable as error:
        raise HubUnreachable(f"{error}{AT_HAND}") from None
    until = time.monotonic() + hub_limits.in_force().seconds
    with ThreadPoolExecutor(8) as pool:
        hits = _hits(query, pool.map(lambda one: _summary_on_hub(one, token, until), listed), text)
    return hits if hits.summaries else replace(hits, hint=search(None, query).hint)


def _hits(query: Query, found: Iterable[TicketSummary | str], where: str) -> Hits:
    summaries: list[TicketSummary] = []
    left_out, seen = list[str](), list[TicketSummary]()
    for one in found:
        if isinstance(one, str):
            left_out.append(one)
            continue
        known = one.title in (other.title for other in seen)
        seen.append(one)
        if query.matches(one.config):
            summaries.append(replace(one, called=folder_reference(one.folder)) if known and not one.files.hub else one)
    hint = "" if summaries else query.hint([one.config for one in seen])
    return Hits(summaries, left_out, where, hint, _shared_names(seen))


def _shared_names(summaries: Sequence[TicketSummary]) -> dict[str, str]:
    """Return by name a line on the tickets in folders that share it."""
    named: dict[str, list[tuple[Path, str | None]]] = {}
    for one in summaries:
        if not one.files.hub:
            named.setdefault(one.folder.name, []).append((one.folder, one.config.mask_sha256))
    return {name: line for name, found in named.items() if (line := shared_name(found))}


def _plain(key: str, name: str) -> str:
    """Return a name as tags compare it: of an architecture the last part."""
    return slug(name.rpartition("/")[2] if key == "architecture" else name)


def _near(name: str, known: Sequence[str]) -> str:
    within = [one for one in known if slug(name) in slug(one)]
    meant = {part: one for one in known for part in (one, one.rpartition("/")[2])}
    near = within or list(
        dict.fromkeys(meant[part] for part in difflib.get_close_matches(name, meant, n=3, cutoff=0.5))
    )
    return f"did you mean {' or '.join(map(for_terminal, near[:3]))}?" if near else f"there are {show_names(known)}"


def _summary_in(folder: Path) -> TicketSummary | str:
    try:
        return read_summary(folder)
    except TicketError as error:
        return str(error)


def _summary_on_hub(listed: Listed, token: str | bool | None, until: float) -> TicketSummary | str:
    if time.monotonic() > until:
        return f"hub:{listed.repo_id}: not looked at, the search took too long: set a limit, or {hub_limits.VARIABLE}"
    try:
        return read_summary(hub_files(listed.repo_id, listed.commit, HubOptions(token=token)))
    except (RegistryError, TicketError) as error:
        return str(error)
