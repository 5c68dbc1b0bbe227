"""Findings of `verify`."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ticketzoo.util.text import numbered

_OF_SEED = re.compile(r"\bseed-(\d+)\b")
_ALIKE = {
    r"\d+ bytes, sha256 [0-9a-f]{64}": "size and sha256 as ticket.json states",
    r"masks have digest [0-9a-f]{64}": "masks have the digest that ticket.json states",
}
"""What differs from file to file and was held against ticket.json, and what is said of several such files."""


@dataclass(frozen=True)
class Check:
    """Something that was checked and holds: of which file, and what."""

    file: str
    holds: str

    def __str__(self) -> str:
        return f"{self.file}: {self.holds}"


def check_lines(checks: Iterable[Check], *, every: bool = False) -> Iterator[str]:
    """Yield the lines that `verify` prints of what it checked.

    Args:
        checks: in the order in which they were made.
        every: a line for each; by default files of which the same holds share one, where the first of them stands.
    """
    groups: dict[str, list[Check]] = {}
    for number, check in enumerate(checks):
        groups.setdefault(str(number) if every else _alike(check.holds), []).append(check)
    for holds, of_same in groups.items():
        line = str(of_same[0]) if len(of_same) == 1 else f"{_files(of_same)}: {holds}"
        yield f"{'    ' if of_same[0].holds.startswith('NOTE') else 'ok  '}{line}"


def _alike(holds: str) -> str:
    return next((words for pattern, words in _ALIKE.items() if re.fullmatch(pattern, holds)), holds)


def _files(checks: Iterable[Check]) -> str:
    """Return the names of files, those of several seeds under one: `masks.safetensors of seeds 0 to 4, recipe.yaml`."""
    names: dict[str, list[str]] = {}
    for check in checks:
        names.setdefault(_OF_SEED.sub("seed-*", check.file).removeprefix("seed-*").lstrip("/"), []).append(check.file)
    return ", ".join(_of_seeds(name, files) for name, files in names.items())


def _of_seeds(name: str, files: list[str]) -> str:
    seeds = [int(found[1]) for file in files if (found := _OF_SEED.search(file))]
    if len(files) == 1 or not seeds:
        return files[0]
    of_seeds = numbered("seed", seeds)
    return f"{name} of {of_seeds}" if name else of_seeds
