"""Folders of runs, read while they are written and after whatever ended the writer."""

import difflib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ticketzoo.errors import RunError
from ticketzoo.ticket.folder import CONFIG_FILE
from ticketzoo.ticket.rows import Row
from ticketzoo.util.text import counted, show_names
from ticketzoo.watching.journal import FOLDER, Asked, read_asked, read_lines, row_key
from ticketzoo.zoo.places import RUNS, SWEEP

CELLS = "cells"
_ENDS = {"verdicts.json": "transfer", "instability.json": "stability", "connectivity.json": "connect"}
"""Files that a finished run leaves, for runs that kept no journal."""


@dataclass(frozen=True)
class RunFolder:
    """A working folder as it is now.

    Attributes:
        folder: its path.
        command: that made it, "" where nothing says so.
        name: of its recipe, or of the folder.
        state: `running`, `finished`, `stopped`, `broken`, or `not begun` of a point of a sweep.
        why: a line on what is broken, or how it stopped.
        asked: run.json; None of runs that kept none.
        done: trainings and evaluations that are done.
        cells: the names of the folders of its trainings, as far as its journal knows them.
        seconds: of each training that is done.
        rows: measured so far.
    """

    folder: Path
    command: str
    name: str
    state: str
    why: str = ""
    asked: Asked | None = None
    done: int = 0
    cells: frozenset[str] = frozenset()
    seconds: tuple[float, ...] = ()
    rows: list[Row] = field(default_factory=list)

    @property
    def planned(self) -> int:
        """Trainings and evaluations that it asks for; 0 where that is not known."""
        return self.asked.planned if self.asked else 0

    @property
    def words(self) -> str:
        """The state in words: `finished`, `not begun`, `5 of 8 trainings, running`, `broken: ...`."""
        if self.state in ("finished", "not begun"):
            return self.state
        if self.state == "broken":
            return f"broken: {self.why}"
        far = f"{self.done:,} of {self.planned:,} trainings" if self.planned else counted(self.done, "training")
        return f"{far}, {self.why or self.state}"

    @property
    def lock(self) -> Path:
        """The file that is locked while it is in use."""
        own = self.folder / CELLS
        return (own if own.is_dir() else self.folder.parent / CELLS) / ".lock"

    def size(self) -> int:
        """Bytes of its files, those that it shares with other runs left out."""
        return sum(_stat(path)[0] for path in files_of(self.folder))

    def changed(self) -> float:
        """The time of the last change to one of its files, in seconds since 1970."""
        return max((_stat(path)[1] for path in files_of(self.folder)), default=_stat(self.folder)[1])


def is_run(folder: Path) -> bool:
    """Tell whether `folder` is the working folder of a run."""
    ended = any((folder / name).is_file() for name in _ENDS)
    return (folder / FOLDER / "run.json").is_file() or (folder / CELLS).is_dir() or ended


def is_sweep(folder: Path) -> bool:
    """Tell whether `folder` holds the runs of a sweep."""
    return (folder / SWEEP).is_file()


def runs_in(folder: Path) -> Iterator[Path]:
    """Yield the working folders in `folder`, itself included, at most three folders deep, in the order of names."""
    for found, below, _ in os.walk(folder):
        here = Path(found)
        below[:] = sorted(name for name in below if name not in (CELLS, FOLDER) and not name.startswith("."))
        if len(here.relative_to(folder).parts) >= 3:
            below.clear()
        if is_run(here) and not is_sweep(here):
            yield here
            below[:] = [name for name in below if is_run(here / name)]


def near_runs(folder: Path) -> list[Path]:
    """Return the folders of runs and sweeps that may be meant by `folder`, three at most.

    Those around it, beside it and in runs/ that have, or hold a ticket that has, its name or nearly so.
    """
    if folder.is_dir() and is_run(folder.resolve().parent):
        return [folder.parent]
    there = [path for place in (folder.parent, RUNS) if place.is_dir() for path in sorted(place.iterdir())]
    known: dict[str, Path] = {}
    for run in (path for path in there if is_sweep(path) or is_run(path)):
        for name in (run.name, *(ticket.name for ticket in tickets_in(run))):
            known.setdefault(name, run)
    parts = [name for name in known if folder.name and folder.name in name]
    names = parts or difflib.get_close_matches(folder.name, known, n=3)
    return list(dict.fromkeys(known[name] for name in names))[:3]


def read_run(folder: Path) -> RunFolder:
    """Return what `folder` holds.

    Raises:
        RunError: it is no working folder.
    """
    if not is_run(folder):
        there = "it is a file" if folder.exists() else "there is no such folder"
        where = "it has neither watch/run.json nor cells/" if folder.is_dir() else there
        near = near_runs(folder)
        advice = f"did you mean {show_names(near)}?" if near else "ticketzoo runs lists those that there are"
        raise RunError(f"{folder}: no folder of a run: {where}; {advice}")
    try:
        asked = read_asked(folder)
    except RunError as error:
        return RunFolder(folder, "", folder.name, "broken", str(error))
    found = _without_journal(folder) if asked is None else _with_journal(folder, asked)
    if why := _damaged(folder, found.cells):
        return RunFolder(folder, found.command, found.name, "broken", why, asked, found.done, found.cells)
    return found


def in_use(lock: Path) -> bool:
    """Tell whether another process holds the lock of a run."""
    if not lock.is_file():
        return False
    try:
        with FileLock(lock, timeout=0):
            return False
    except Timeout:
        return True
    except OSError:  # a folder that may only be read: nobody of this account writes there
        return False


def _with_journal(folder: Path, asked: Asked) -> RunFolder:
    lines = list(read_lines(folder / FOLDER / f"{asked.digest}.jsonl"))
    rows = {row_key(row): row for line in lines for row in _rows_in(line)}
    done = {str(line["label"]): line for line in lines if "label" in line}
    seconds = tuple(float(line["seconds"]) for line in done.values() if isinstance(line.get("seconds"), int | float))
    cells = frozenset(str(line["cell"]) for line in lines if "cell" in line)
    known = RunFolder(
        folder, asked.command, asked.name, "stopped", "", asked, len(done), cells, seconds, [*rows.values()]
    )
    if asked.ended == "finished":
        state, why = "finished", ""
    elif in_use(known.lock):
        state, why = "running", ""
    else:
        state, why = "stopped", asked.ended
    return replace(known, state=state, why=why)


def _rows_in(line: dict[str, Any]) -> list[Row]:
    rows = line.get("rows")
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _without_journal(folder: Path) -> RunFolder:
    """Return what a run that kept no journal left: the state by its last files."""
    shared = (folder / CELLS).is_symlink()  # by the points of a sweep, of which this one has not begun
    cells = frozenset(path.parent.name for path in (folder / CELLS).glob("*/cell.json") if not shared)
    for name, command in _ENDS.items():
        if (folder / name).is_file():
            return RunFolder(folder, command, folder.name, "finished", done=len(cells), cells=cells)
    if tickets_in(folder):
        return RunFolder(folder, "find", folder.name, "finished", done=len(cells), cells=cells)
    if (folder / "report.md").is_file() and (folder / "results.jsonl").is_file():
        return RunFolder(folder, "study", folder.name, "finished", done=len(cells), cells=cells)
    if shared:
        return RunFolder(folder, "", folder.name, "not begun")
    known = RunFolder(folder, "", folder.name, "stopped", done=len(cells), cells=cells)
    return replace(known, state="running") if in_use(known.lock) else known


def tickets_in(folder: Path) -> list[Path]:
    """Return the folders of tickets in a working folder."""
    found = (path.parent for path in folder.glob(f"*/{CONFIG_FILE}"))
    return sorted(path for path in found if not path.name.startswith("."))


def _damaged(folder: Path, cells: frozenset[str]) -> str:
    """Return a line on the first record of a training that cannot be read; "" where all can."""
    for name in sorted(cells):
        path = folder / CELLS / name / "cell.json"
        try:
            if path.is_file() and not isinstance(json.loads(path.read_bytes()), dict):
                raise ValueError
        except (OSError, ValueError):
            return f"{path} cannot be read; delete {name} and run again"
    return ""


def files_of(folder: Path) -> Iterator[Path]:
    """Yield the files below `folder`; links are not followed."""
    for found, _, names in os.walk(folder):
        yield from (Path(found) / name for name in names)


def _stat(path: Path) -> tuple[int, float]:
    """Return size and time of the last change; zeros where it is gone meanwhile."""
    try:
        known = path.lstat()
    except OSError:
        return 0, 0.0
    return known.st_size, known.st_mtime
