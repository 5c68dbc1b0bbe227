"""Files of a run that nobody needs any more: found first, removed when that is asked for."""

import json
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from ticketzoo.errors import RecipeError, RunError
from ticketzoo.recipe import read_content, without_local_paths
from ticketzoo.util.files import writing_into
from ticketzoo.util.text import show_names
from ticketzoo.watching.folder import CELLS, RunFolder, files_of, is_run, near_runs, read_run, runs_in, tickets_in
from ticketzoo.watching.journal import FOLDER, drawn_files
from ticketzoo.zoo.places import RUNS

TEMPORARY = re.compile(r"\..+\.new")
"""Names of what is written before it is renamed (`ticketzoo.util.files`), also of a ticket's folder."""
_ADDRESS = re.compile(r"[0-9a-f]{20}(\.partial)?")
_NAMED = re.compile(r"(?<![0-9a-f])[0-9a-f]{20}(?![0-9a-f])")


@dataclass(frozen=True)
class Freed:
    """A file or folder that can go, and why."""

    path: Path
    why: str
    bytes: int


@dataclass(frozen=True)
class Cleaning:
    """The files that are to be freed of a run; `kept` says in a line why something was left alone."""

    folder: Path
    freed: list[Freed]
    kept: str = ""

    @property
    def bytes(self) -> int:
        """Bytes of all that can go."""
        return sum(one.bytes for one in self.freed)


def clean_run(folder: Path, *, remove: bool, others: frozenset[str] | None = frozenset()) -> Cleaning:
    """Return what the run in `folder` no longer needs, removed where `remove` is True; nothing of a run in use.

    Args:
        folder: the working folder; its lock is held meanwhile.
        remove: whether it is removed.
        others: trainings that other runs need, by the names of their folders: points of a sweep share theirs, and a
            recipe may name one in `model.weights`; None where all trainings are to stay.

    Raises:
        RunError: it is no working folder, or cannot be written.
    """
    run = read_run(folder)
    if run.state == "broken":
        return Cleaning(folder, [], run.why)
    with ExitStack() as held:
        try:
            if run.lock.is_file():
                held.enter_context(FileLock(run.lock, timeout=0))
        except Timeout:
            return Cleaning(folder, [], "is in use: nothing of it is touched")
        except OSError as error:
            return Cleaning(folder, [], f"cannot be locked ({error.strerror}): nothing of it is touched")
        run = read_run(folder)  # as it is now that nobody writes
        found, kept = _found(run, others)
        if remove:
            with writing_into(folder):
                for one in found:
                    shutil.rmtree(one.path) if one.path.is_dir() else one.path.unlink(missing_ok=True)
        return Cleaning(folder, found, kept)


def asked_cells(run: RunFolder) -> frozenset[str] | None:
    """Return the trainings that the recipes of `run` ask for, by their folders' names; None where that is not known.

    It is known of a finished run whose journal is of the recipe of all that it wrote.
    """
    if run.asked is None or run.state != "finished":
        return None
    stated, texts = without_local_paths(run.asked.recipe), _recipe_files(run.folder)
    try:
        recipes = [without_local_paths(read_content(path)) for path in texts]
    except RecipeError:
        return None
    alike = run.asked.command == "judge" or all(recipe == stated for recipe in recipes)
    return run.cells if alike and len(texts) == 1 else None


def named_cells(folders: Iterable[Path]) -> frozenset[str]:
    """Return the trainings that recipes of the runs in `folders` name by a path, by their folders' names."""
    named: set[str] = set()
    for run in map(read_run, folders):
        texts = [json.dumps(run.asked.recipe)] if run.asked is not None else []
        for path in _recipe_files(run.folder):
            with suppress(OSError, ValueError):
                texts.append(path.read_text(encoding="utf-8"))
        named.update(found for text in texts for found in _NAMED.findall(text))
    return frozenset(named)


def _recipe_files(folder: Path) -> list[Path]:
    """Return the recipes that a run has written: its own, where it keeps one, and those of its tickets."""
    own = folder / "recipe.yaml"
    return [*(ticket / "recipe.yaml" for ticket in tickets_in(folder)), *[own] * own.is_file()]


def _found(run: RunFolder, others: frozenset[str] | None) -> tuple[list[Freed], str]:
    """Return what can go, and a line on what cannot be told."""
    cells = run.folder / CELLS
    looked_at = sorted(cells.iterdir()) if cells.is_dir() and others is not None else []
    needed = others or frozenset()
    freed = [_freed(path, "half written by a process that has ended") for path in _temporary(run.folder, looked_at)]
    asked = asked_cells(run)
    known = {one.path for one in freed}
    for path in looked_at:
        whole = path.name.removesuffix(".partial")
        if not path.is_dir() or path in known or not _ADDRESS.fullmatch(path.name) or path.name in needed:
            continue
        if path.name.endswith(".partial"):
            if run.state == "finished" and whole not in needed:
                freed.append(_freed(path, "checkpoints of a training that no recipe here waits for"))
        elif (path / "cell.json").is_file():
            if asked is not None and path.name not in asked:
                freed.append(_freed(path, "a training that no recipe here asks for"))
            else:
                left = path.glob("checkpoint-*")
                freed += [_freed(one, "checkpoint of a finished training") for one in sorted(left)]
    if run.state == "finished":
        freed += [_freed(path, "table or plot of the unfinished run") for path in drawn_files(run.folder)]
    if asked is None:
        why = "is not finished" if run.state != "finished" else "holds tickets of several recipes, or kept no journal"
        return freed, f"{why}: all its finished trainings stay"
    return freed, ""


def _temporary(folder: Path, cells: Sequence[Path]) -> Iterator[Path]:
    """Yield what was being written in a working folder and its trainings; of a folder the folder alone."""
    for place in (folder, folder / FOLDER, *cells):
        if place.is_dir():
            yield from sorted(path for path in place.iterdir() if TEMPORARY.fullmatch(path.name))


def _freed(path: Path, why: str) -> Freed:
    paths = files_of(path) if path.is_dir() else [path]
    return Freed(path, why, sum(one.lstat().st_size for one in paths if one.exists()))


def clean_runs(folder: Path, *, remove: bool) -> list[Cleaning]:
    """Return what all runs in `folder` no longer need, as `clean_run` does. Raises RunError where there are none.

    A training that a recipe names in `model.weights` stays: of the runs in `folder`, of those beside it where it is a
    run itself, and of those in runs/ here.
    """
    found = list(runs_in(folder)) if folder.is_dir() else []
    if not found:
        near = near_runs(folder)
        advice = f"did you mean {show_names(near)}?" if near else "ticketzoo runs DIR lists them"
        raise RunError(f"{folder}: no folder of a run, nor one that holds any; {advice}")
    beside = runs_in(folder.resolve().parent) if is_run(folder) else ()
    named = named_cells([*found, *beside, *runs_in(RUNS)])
    shared: dict[Path, list[Path]] = {}
    for one in found:
        shared.setdefault((one / CELLS).resolve(), []).append(one)
    cleanings: list[Cleaning] = []
    for cells, together in shared.items():
        users = _users(cells, together)
        if len(users) == 1:
            cleanings.append(clean_run(together[0], remove=remove, others=named))
        else:
            cleanings += _shared(together, users, named, remove)
    return cleanings


def _users(cells: Path, known: Sequence[Path]) -> list[Path]:
    """Return `known` and the runs beside it whose trainings are in `cells`, too: the other points of a sweep."""
    beside = (link.parent for link in sorted(cells.parent.glob(f"*/{CELLS}")) if link.resolve() == cells)
    there = {one.resolve() for one in known}
    return [*known, *(one for one in beside if one.resolve() not in there)]


def _shared(folders: list[Path], users: Sequence[Path], named: frozenset[str], remove: bool) -> list[Cleaning]:
    """Return what runs no longer need that share their trainings: one that is named or that a user needs stays."""
    asked = [asked_cells(read_run(folder)) for folder in users]
    if any(one is None for one in asked):
        why = "shares its trainings with runs that are not finished: nothing of it is touched"
        return [Cleaning(folder, [], why) for folder in folders]
    needed = named.union(*(one for one in asked if one is not None))
    first, *rest = folders
    others = [clean_run(folder, remove=remove, others=None) for folder in rest]
    return [clean_run(first, remove=remove, others=needed), *others]
