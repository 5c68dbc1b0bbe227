"""Images of a user's that are there more than once: an error across splits, counted within one."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ticketzoo.data.contents import repeated
from ticketzoo.data.images.classes import Part
from ticketzoo.data.images.read import upright
from ticketzoo.data.remarks import Remarks
from ticketzoo.errors import DataError
from ticketzoo.util.text import counted

_READ = 4 * 10**9
"""Bytes of images in tables that are read to look for copies; those that are files are told apart by less."""
_AT_ONCE = 500
"""Rows of a table that are read at a time."""


class Place(NamedTuple):
    """An image: the position of its split among those that are used, and its position in it."""

    split: int
    at: int


@dataclass(frozen=True)
class Repeats:
    """Images that are there more than once.

    Attributes:
        used: the names of the splits, that to train on first.
        available: their images.
        groups: the places of each content that several images have, and whether it has two colors or more.
    """

    used: Sequence[str]
    available: Sequence[Part]
    groups: list[tuple[list[Place], bool]]

    @classmethod
    def find(cls, used: Sequence[str], available: Sequence[Part], remarks: Remarks) -> "Repeats":
        """Look for them, whatever the images are stored in, and remark where there are too many bytes to look at.

        Images are compared as they are stored. Those that cannot be read are not looked at.

        Raises:
            DataError: a file is there twice.
        """
        groups = _in_files(available)
        if groups is None:
            groups = _in_tables(available)
        if groups is None:
            remarks.add(f"copies of images were not looked for: the tables hold more than {_READ // 10**9} GB of them")
        colors = [(group, _has_colors(available, group[0])) for group in groups or ()]
        return cls(used, available, [(group, several) for group, several in colors if several is not None])

    def check(self, described: str, remarks: Remarks, *, refuse: bool) -> None:
        """Remark on the copies within each split, and on those of an image to train on in the split to test on.

        Images of one color are alike without being copies: of those in two splits it is a remark in any case.

        Raises:
            DataError: with `refuse`, others of the second split are in the first, too.
        """
        for split in range(1, len(self.used)):
            shared = [one for one in self.groups if {0, split} <= {place.split for place in one[0]}]
            copies = [place for group, _ in shared for place in group if place.split == split]
            shown = next((group for group, several in shared if several), None)
            if shown is not None:
                one, other = (next(place for place in shown if place.split == which) for which in (0, split))
                words = (
                    f"{len(copies):,} of the {len(self.available[split].rows):,} images of split {self.used[split]!r} "
                    f"of {described} are in split {self.used[0]!r} too"
                )
                if refuse:
                    raise DataError(f"{words}, such as {self._name(other)} and {self._name(one)}: leave each in one")
                remarks.add(words, f"{self._name(other)} and {self._name(one)}")
            elif copies:
                words = f"{len(copies):,} images of {self.used[split]}, of one color each, are in {self.used[0]} too"
                remarks.add(words, self._name(copies[0]))
        for split in range(len(self.used)):
            self._remark_within(split, remarks)

    def remark_on_drawn(self, parts: Mapping[str, Part], remarks: Remarks) -> None:
        """Remark on images that were drawn to be held out and whose copies are trained on."""
        table = self.available[0].table
        rows = self.available[0].rows.tolist()
        groups = [{rows[place.at] for place in group if place.split == 0} for group, _ in self.groups]
        trained = set(parts["train"].rows.tolist())
        for split, purpose in (("validation", "validate"), ("test", "test")):
            held_out = set(parts[split].rows.tolist()) if parts[split].table is table else set[int]()
            if count := sum(len(group & held_out) for group in groups if group & trained):
                drawn = f"{len(held_out):,} images drawn to {purpose} on"
                remarks.add(f"{count:,} of the {drawn} are copies of trained ones")

    def _remark_within(self, split: int, remarks: Remarks) -> None:
        """Count the copies in one split, and those that contradict each other."""
        within = [[place for place in group if place.split == split] for group, _ in self.groups]
        if not (groups := [group for group in within if len(group) > 1]):
            return
        labels = self.available[split].labels
        mixed = sum(len({int(labels[place.at]) for place in group}) > 1 for group in groups)
        copies = sum(len(group) - 1 for group in groups)
        are = "is a copy of another" if copies == 1 else "are copies of others"
        words = f"{counted(copies, 'image')} of {self.used[split]} {are} in it"
        example = " and ".join(map(self._name, groups[0][:2]))
        remarks.add(words + (f"; {counted(mixed, 'content')} in several classes" if mixed else ""), example)

    def _name(self, place: Place) -> str:
        """Return the last parts of a file's path, or which image of its split it is."""
        part = self.available[place.split]
        row = int(part.rows[place.at])
        files = part.table.files([row])
        return f"image {row} of {self.used[place.split]}" if files is None else "/".join(files[0].parts[-3:])


def _in_files(available: Sequence[Part]) -> list[list[Place]] | None:
    """Return the places of images with one content; None if not all are files."""
    files: list[Path] = []
    places: list[Place] = []
    for split, part in enumerate(available):
        for rows in part.rows.split(_AT_ONCE):
            if (found := part.table.files(rows.tolist())) is None:
                return None
            files += found
        places += [Place(split, at) for at in range(len(part.rows))]
    return [[places[at] for at in group] for group in repeated(files)]


def _in_tables(available: Sequence[Part]) -> list[list[Place]] | None:
    """Return the places of images with one content; None if that is too much to read."""
    found: defaultdict[bytes, list[Place]] = defaultdict(list)
    total = 0
    for split, part in enumerate(available):
        for first, rows in enumerate(part.rows.split(_AT_ONCE)):
            for at, stored in enumerate(part.table.encoded(rows.tolist()), first * _AT_ONCE):
                if isinstance(stored, DataError):
                    continue
                total += len(stored)
                found[hashlib.sha256(stored).digest()].append(Place(split, at))
            if total > _READ:
                return None
    return [group for group in found.values() if len(group) > 1]


def _has_colors(available: Sequence[Part], place: Place) -> bool | None:
    """Tell whether an image has two colors or more; None if it cannot be read."""
    part = available[place.split]
    (stored,) = part.table.encoded([int(part.rows[place.at])])
    if isinstance(stored, DataError):
        return None
    try:
        extremes = upright(stored).getextrema()
    except Exception:  # whatever Pillow raises: reading the data says so, or leaves it out
        return None
    bands = extremes if isinstance(extremes[0], tuple) else (extremes,)
    return any(low != high for low, high in bands)
