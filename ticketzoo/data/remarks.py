"""The layout of a user's data in words: printed once when it is loaded, and kept on the card of what is found on it."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from ticketzoo.data.folders import Layout
from ticketzoo.data.labels import whole_numbers
from ticketzoo.distributed import processes
from ticketzoo.util.text import counted, for_terminal, show_names

_log = logging.getLogger("ticketzoo")
_LONGEST = 1000
"""Characters of a sentence in ticket.json."""
_CLASSES = 20
"""Classes of a split that are counted one by one."""


@dataclass
class Remarks:
    """Sentences about a data set.

    Attributes:
        facts: its splits, with counts.
        odd: what a user may not have meant, and examples of it (empty: none), which are named nowhere but on screen.
    """

    facts: list[str] = field(default_factory=list)
    odd: list[tuple[str, str]] = field(default_factory=list)
    _told: tuple[int, int] = (0, 0)

    @classmethod
    def of_layout(cls, layout: Layout) -> "Remarks":
        """Return what is odd about a folder: what of it is not used."""
        left_out = layout.left_out_words()
        return cls([], ([left_out] if left_out else []) + [(words, "") for words in layout.remarks])

    def add(self, words: str, examples: str = "") -> None:
        """Add something that a user may not have meant."""
        self.odd.append((words, examples))

    def log(self, path: str) -> None:
        """Tell of those not yet told of, in the first process: the facts as information, the rest as warnings."""
        facts, odd = self._told
        self._told = len(self.facts), len(self.odd)
        if processes.rank() != 0:
            return
        for words in self.facts[facts:]:
            _log.info("%s: %s", path, words)
        for words, examples in self.odd[odd:]:
            _log.warning("%s: %s", path, words + (f" ({examples})" if examples else ""))

    def for_card(self) -> list[str]:
        """Return the sentences without examples."""
        return [for_terminal(words)[:_LONGEST] for words in (*self.facts, *(words for words, _ in self.odd))]


def split_words(split: str, what: str, counts: Sequence[tuple[str, int]], folder: str = "") -> str:
    """Return a split's size and its classes' sizes, of `what` in singular: "train: 5 images; a 3, b 2"."""
    total = sum(count for _, count in counts)
    sizes = [count for _, count in counts]
    each = (
        show_names([f"{name}{':' * name[-1:].isdigit()} {count:,}" for name, count in counts], _CLASSES)
        if len(counts) <= _CLASSES
        else f"{len(counts):,} classes of {min(sizes):,} to {max(sizes):,}"
    )
    return f"{split}{f' ({folder})' if folder else ''}: {counted(total, what)}; {each}"


def numbering_words(names: Sequence[str]) -> str | None:
    """Return words for classes that are whole numbers, but not 0, 1, ..; None for others."""
    numbers = whole_numbers(names)
    if not numbers or numbers == list(range(len(numbers))):
        return None
    return f"labels {show_names(numbers, 10)} are classes 0 to {len(numbers) - 1}"


def alike_words(names: Sequence[str]) -> str | None:
    """Return words for classes whose names differ in case or spaces alone; None where there are none."""
    alike: dict[str, list[str]] = {}
    for name in names:
        alike.setdefault("".join(name.casefold().split()), []).append(repr(name[:40]))
    groups = [" and ".join(group) for group in alike.values() if len(group) > 1]
    return (
        f"labels that differ in case or spaces alone are different classes: {show_names(groups, 3)}" if groups else None
    )
