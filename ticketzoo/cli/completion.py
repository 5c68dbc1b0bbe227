"""Completion in a shell: names of recipes, tickets and runs. It imports nothing that takes long to import."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from ticketzoo.util.shipped import shipped_recipes, shipped_registry


def recipe_names(incomplete: str) -> list[str]:
    """Return shipped recipes whose names begin so, and files and folders."""
    names = [name.removeprefix("recipes/").removesuffix(".yaml") for name in shipped_recipes()]
    return [*_beginning(names, incomplete), *_paths(incomplete, ".yaml")]


def ticket_names(incomplete: str) -> list[str]:
    """Return tickets of the registries whose names begin so, and folders."""
    given = os.environ.get("TICKETZOO_REGISTRY")
    registries = [Path(given).expanduser()] if given else [Path("registry"), shipped_registry()]
    patterns = ("*/ticket.json", "*/*/ticket.json")
    found = (
        path.parent.name for one in (*registries, Path("runs")) for pattern in patterns for path in one.glob(pattern)
    )
    return [*_beginning(sorted(set(found)), incomplete), *_paths(incomplete)]


def run_folders(incomplete: str) -> list[str]:
    """Return folders that begin so."""
    return list(_paths(incomplete))


def _beginning(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete) and not Path(name).name.startswith(".")]


def _paths(incomplete: str, suffix: str | None = None) -> Iterator[str]:
    """Yield folders, and files of that suffix, whose paths begin so."""
    folder, _, begun = incomplete.rpartition("/")
    base = Path(f"{folder}/") if folder or incomplete.startswith("/") else Path()
    if not base.expanduser().is_dir():
        return
    for path in sorted(base.expanduser().iterdir()):
        wanted = path.is_dir() or path.suffix == suffix
        if wanted and path.name.startswith(begun) and (begun.startswith(".") or not path.name.startswith(".")):
            yield f"{incomplete[: len(incomplete) - len(begun)]}{path.name}{'/' if path.is_dir() else ''}"
