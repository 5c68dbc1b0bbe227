"""A ticket as the gallery shows it: plain data for pages, read from ticket.json, its rows and its recipe."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

from ticketzoo.errors import TicketError
from ticketzoo.evaluation.arms import DENSE, TICKET
from ticketzoo.evaluation.backing import backing
from ticketzoo.evaluation.evidence import source_of
from ticketzoo.evaluation.metrics import DEFAULT, describe, words
from ticketzoo.evaluation.rows import check_rows
from ticketzoo.gallery.measured import Measured, best_control, measure
from ticketzoo.ticket.card_metadata import data_name, headline_level
from ticketzoo.ticket.config import BaseRewind, Filters, LevelEntry, StoredRewind, TicketConfig
from ticketzoo.ticket.stored import Stored, stored_in
from ticketzoo.util.text import for_terminal, show_bytes, show_numbers, show_sparsity
from ticketzoo.zoo.summary import TicketSummary

SCRATCH = "no pretrained model"
"""The base of a ticket that was not found on one."""
MOST_STOPS = 40
"""Levels that a card's slider has, at most."""


@dataclass(frozen=True)
class Stop:
    """A packaged level, as the slider of a card shows it."""

    entry: LevelEntry
    ticket: Measured | None
    control: Measured | None
    label: str

    @property
    def sparsity(self) -> str:
        """The fraction removed."""
        return show_sparsity(self.entry.sparsity)

    @property
    def kept(self) -> float:
        """The number of weights kept, the mean over replicates."""
        kept = self.entry.kept
        return sum(kept) / len(kept) if isinstance(kept, list) else kept

    @property
    def size(self) -> str:
        """The bytes that the kept weights take as float32."""
        return show_bytes(4 * self.kept)


@dataclass(frozen=True)
class Exhibit:
    """A ticket, with a name for its folder of pages.

    Attributes:
        summary: its configuration and files.
        slug: the name of its folder: lower case letters, digits, dots, hyphens.
        stored: its documents: rows and recipe, which may say anything.
        measured: the means of its rows.
        mark: words after a verdict that its rows do not give.
    """

    summary: TicketSummary
    slug: str
    stored: Stored
    measured: Sequence[Measured]
    mark: str = ""

    @property
    def config(self) -> TicketConfig:
        """The content of ticket.json."""
        return self.summary.config

    @property
    def title(self) -> str:
        """The name or Hub id that it is loaded by."""
        return for_terminal(self.summary.title)

    @property
    def architecture(self) -> str:
        """The architecture as recipes write it."""
        return for_terminal(self.summary.architecture)

    @property
    def finder(self) -> str:
        """The method, and what of it is not the usual: "at-init, snip", "imp, learning-rate rewinding".

        Of a ticket made from others how that was done: "made by stretch, not found".
        """
        pruning, rewind, derived = self.config.pruning, self.config.rewind, self.config.derived
        if derived is not None:
            return for_terminal(f"made by {derived.method}, not found")
        parts = [pruning.method, (pruning.criterion or "").partition(" (")[0]]
        parts += ["filters"] if isinstance(pruning.structure, Filters) else []
        if isinstance(rewind, StoredRewind) and rewind.rewinding != "weights":
            parts.append(f"{rewind.rewinding} rewinding")
        return for_terminal(", ".join(part for part in parts if part))

    @property
    def base(self) -> str:
        """The pretrained model that it was found on."""
        rewind = self.config.rewind
        return rewind.repo_id if isinstance(rewind, BaseRewind) else SCRATCH

    @cached_property
    def data(self) -> str:
        """The data set it was found on, with what its recipe takes of it: "ylecun/mnist, classes 0 to 4"."""
        name = data_name(self.config)
        task = self.stored.recipe.get("task")
        taken = task.get("dataset") if isinstance(task, dict) else None
        if isinstance(taken, dict):
            examples, classes, part = taken.get("examples"), taken.get("classes"), taken.get("part")
            if isinstance(examples, int) and not isinstance(examples, bool) and 0 < examples < 2**40:
                name += f", {examples:,} examples"
            if isinstance(classes, list) and classes and all(type(one) is int for one in classes):
                name += f", classes {show_numbers(classes)}"
            fold, of = (part.get("fold"), part.get("of")) if isinstance(part, dict) else (None, None)
            if type(fold) is int and type(of) is int and 0 <= fold < of < 2**40:
                name += f", fold {fold} of {of}"
            noise = taken.get("label_noise")
            kind, share = (noise.get("kind"), noise.get("fraction")) if isinstance(noise, dict) else (None, None)
            if kind in ("redraw", "flip") and isinstance(share, float):
                name += f", label noise ({kind} {share:g})"
        return for_terminal(name)

    @cached_property
    def source(self) -> str | None:
        """The target among its rows that it was found on."""
        return source_of(self.config, self.stored.results)

    @property
    def targets(self) -> list[str]:
        """The targets of its rows, its source first."""
        return sorted({one.target for one in self.measured}, key=lambda name: (name != self.source, name))

    def on(self, target: str | None) -> list[Measured]:
        """Return what was measured on `target`."""
        return [one for one in self.measured if one.target == target]

    def metric(self, target: str | None) -> str:
        """Return the metric that decides on `target`."""
        return next((one.group.metric for one in self.on(target)), DEFAULT)

    def metric_words(self, target: str | None) -> str:
        """Return it in words with its unit: "Test accuracy (%)"."""
        found = self.on(target)
        falling = [one.group.metric for one in found if not one.group.higher_is_better]
        return for_terminal(describe([self.metric(target)], falling=falling))

    @property
    def metric_name(self) -> str:
        """The metric on its source in a word or two: "accuracy"."""
        return for_terminal(words(self.metric(self.source)).removeprefix("test "))

    @property
    def dense(self) -> Measured | None:
        """The dense network on its source."""
        return next((one for one in self.on(self.source) if one.arm == DENSE), None)

    @property
    def label(self) -> str:
        """The verdict's label on its source."""
        verdict = self.config.verdict
        return verdict.shown if verdict else "not measured"

    @property
    def seeds(self) -> int:
        """The number of its replicates."""
        return len(self.config.replicates)

    def labels(self, target: str | None) -> dict[int, str]:
        """Return the verdict's label of each level on `target`."""
        return self.config.verdict.labels(target) if self.config.verdict and target else {}

    @cached_property
    def stops(self) -> list[Stop]:
        """The packaged levels above 0, `MOST_STOPS` at most, the densest first."""
        entries = [entry for entry in self.config.levels if entry.level > 0] or list(self.config.levels)
        labels, found = self.labels(self.source), self.on(self.source)
        at: dict[int, list[Measured]] = {}
        for one in found:
            at.setdefault(one.level, []).append(one)
        keep = _thinned(len(entries), [entries.index(h) for h in [headline_level(self.config)] if h in entries])
        return [
            Stop(
                entry,
                next((one for one in at.get(entry.level, []) if one.arm == TICKET), None),
                best_control(at.get(entry.level, [])),
                labels.get(entry.level, "not measured"),
            )
            for number, entry in enumerate(entries)
            if number in keep
        ]

    @property
    def chosen(self) -> int:
        """The place among `stops` of the level that the verdict names, else of the sparsest."""
        named = headline_level(self.config)
        return next((n for n, stop in enumerate(self.stops) if stop.entry is named), len(self.stops) - 1)


def exhibit_of(summary: TicketSummary, taken: Collection[str]) -> Exhibit:
    """Return a ticket as it is shown.

    Args:
        summary: of the ticket.
        taken: names of folders that others have.

    Raises:
        TicketError: its rows or its recipe are damaged; RegistryError where they cannot be fetched.
    """
    stored = stored_in(summary.files, summary.config)
    at = summary.config.verdict.at if summary.config.verdict else "final"
    try:
        measured = measure(check_rows(stored.results), at)
        recipe = stored.recipe_text
        mark = backing(summary.config, stored.results, lambda: recipe).mark
    except TicketError as error:
        raise error if summary.place in str(error) else TicketError(f"{summary.place}: {error}") from None
    return Exhibit(summary, _slug(summary.title, taken), stored, measured, mark)


def _slug(title: str, taken: Collection[str]) -> str:
    """Return a name for a folder that no file system and no browser reads otherwise, unlike those `taken`."""
    plain = re.sub(r"[^a-z0-9.]+", "-", title.lower(), flags=re.ASCII).strip("-.")[:80].strip("-.") or "ticket"
    number, slug = 2, plain
    while slug in taken:
        slug, number = f"{plain}--{number}", number + 1
    return slug


def _thinned(count: int, always: Sequence[int]) -> set[int]:
    """Return at most `MOST_STOPS` of the numbers below `count`, spread evenly, the first, last and `always` in it."""
    if count <= MOST_STOPS:
        return set(range(count))
    spread = MOST_STOPS - 1 - len(always)
    return {round(step * (count - 1) / spread) for step in range(spread + 1)} | set(always)
