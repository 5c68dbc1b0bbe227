"""Sweeps: a grid over keys of a recipe, each of its points a run in a folder named by what varies."""

import hashlib
import itertools
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ticketzoo.errors import RecipeError, RunError
from ticketzoo.recipe.document import parse_yaml
from ticketzoo.util.files import write_atomically, writing_into
from ticketzoo.watching.folder import CELLS, SWEEP

MOST = 1000
"""Points of a sweep."""
_LONGEST = 80


@dataclass(frozen=True)
class Point:
    """A point of a grid: the values by key, and the name that they make."""

    name: str
    values: Mapping[str, Any]

    @property
    def overrides(self) -> list[str]:
        """The values as overrides of a recipe."""
        return [f"{key}={as_yaml(value)}" for key, value in self.values.items()]

    def named(self, recipe: str) -> str:
        """Return the name of the recipe at this point: that of `recipe`, and what varies."""
        varies = re.sub(r"[^a-z0-9._-]+", "-", self.name.lower()).strip("-")
        whole = f"{recipe}-{varies}"
        return whole if len(whole) <= 96 else f"{whole[:87]}-{_digest(whole)}"


def grid(asked: Sequence[str]) -> list[Point]:
    """Return the points of `key=[a, b, c]`, one for each combination where there are several, the last key fastest.

    Raises:
        RecipeError: one is not of that form, a key or a value is given twice, or there are more than `MOST` points.
    """
    axes: dict[str, list[Any]] = {}
    for text in asked:
        key, values = _axis(text)
        if key in axes:
            raise RecipeError(f"--sweep {text}: {key} is swept already: give all its values in one list")
        axes[key] = values
    short, words = _short_keys(list(axes)), {key: _as_words(values) for key, values in axes.items()}
    count = math.prod(map(len, axes.values()))
    if count > MOST:
        raise RecipeError(f"--sweep: {count:,} points are more than {MOST:,}: sweep fewer keys at once")
    points = []
    for places in itertools.product(*(range(len(values)) for values in axes.values())):
        name = ",".join(f"{short[key]}={words[key][place]}" for key, place in zip(axes, places, strict=True))
        name = name if len(name) <= _LONGEST else f"{name[: _LONGEST - 9]}-{_digest(name)}"
        points.append(Point(name, {key: axes[key][place] for key, place in zip(axes, places, strict=True)}))
    return points


def swept(points: Sequence[Point]) -> str:
    """Return what varies, in words for the name of a folder: `rate-levels`."""
    keys = _short_keys(list(points[0].values)).values()
    return re.sub(r"[^A-Za-z0-9._-]+", "-", "-".join(keys))[:_LONGEST]


def write_sweep(folder: Path, command: str, name: str, points: Sequence[Point]) -> None:
    """Make `folder` that of a sweep: its points, and the trainings that they share.

    Raises RunError where it cannot be written.
    """
    content = {"command": command, "name": name, "points": {one.name: dict(one.values) for one in points}}
    with writing_into(folder):
        (folder / CELLS).mkdir(parents=True, exist_ok=True)
        write_atomically(folder / SWEEP, (json.dumps(content, indent=2, default=str) + "\n").encode())
        for one in points:
            cells = folder / one.name / CELLS
            cells.parent.mkdir(exist_ok=True)
            if not cells.exists():
                try:
                    cells.symlink_to(Path("..") / CELLS, target_is_directory=True)
                except (OSError, NotImplementedError):  # a file system without links: its trainings are its own
                    cells.mkdir(exist_ok=True)


def read_sweep(folder: Path) -> tuple[str, str, list[Point]]:
    """Return command, name and points of the sweep in `folder`. Raises RunError where they cannot be read."""
    path = folder / SWEEP
    try:
        content = json.loads(path.read_bytes())
        points = [Point(name, dict(values)) for name, values in content["points"].items()]
        if not points or any(Path(one.name).name != one.name or one.name.startswith(".") for one in points):
            raise ValueError
        return str(content["command"]), str(content["name"]), points
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise RunError(f"{path}: cannot be read; give the sweep's command again, which writes it anew") from None


def _axis(text: str) -> tuple[str, list[Any]]:
    key, equals, given = text.partition("=")
    try:
        values = parse_yaml(given) if equals and key else None
    except ValueError:
        values = None
    if not isinstance(values, list) or not values:
        raise RecipeError(f"--sweep {text}: write key=[a, b, c], e.g. --sweep finder.rate=[0.1,0.2,0.5]")
    if len({json.dumps(value, sort_keys=True, default=str) for value in values}) < len(values):
        raise RecipeError(f"--sweep {text}: a value is there twice")
    return key, values


def _short_keys(keys: Sequence[str]) -> dict[str, str]:
    """Return the last part of each key, or as many as tell it from the others."""
    short = {key: key.rpartition(".")[2] for key in keys}
    alike = [name for name in short.values() if list(short.values()).count(name) > 1]
    return {key: key if name in alike else name for key, name in short.items()}


def as_yaml(value: Any) -> str:
    """Return a value as an override gives it: YAML in a line."""
    plain = json.loads(json.dumps(value, default=str))
    text = yaml.safe_dump(plain, default_flow_style=True, width=math.inf, allow_unicode=False)
    return text.strip().removesuffix("\n...")


def _as_words(values: Sequence[Any]) -> list[str]:
    """Return values as parts of names of folders, which differ as they do."""
    words = [_safe(_plain(value)) for value in values]
    unclear = [
        not word or word != _plain(value) or words.count(word) > 1 for word, value in zip(words, values, strict=True)
    ]
    return [
        f"{word[:40]}-{_digest(json.dumps(value, sort_keys=True, default=str))}".strip("-") if which else word
        for word, value, which in zip(words, values, unclear, strict=True)
    ]


def _plain(value: Any) -> str:
    """Return a value in words: of a list its items, of a section its name."""
    if isinstance(value, list):
        return "+".join(map(_plain, value))
    if isinstance(value, dict):
        return str(value.get("name", ""))
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)


def _safe(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", text).strip("-.")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
