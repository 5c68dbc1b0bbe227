"""The journal of a run, kept beside its trainings: what was asked for, what is done, every row as it is measured.

`watch/run.json` says which command runs which recipe and how it ended; `watch/<digest of the recipe>.jsonl` has a line
for each training or evaluation that is done, and for its rows. A line that a killed process left half is not read.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from ticketzoo.errors import RunError
from ticketzoo.runs.progress import Quiet
from ticketzoo.ticket.rows import Row
from ticketzoo.training.job import Job
from ticketzoo.training.record import Record
from ticketzoo.util.files import write_atomically, writing_into
from ticketzoo.util.signals import Interrupted
from ticketzoo.util.text import one_line

FOLDER = "watch"
DRAW_EVERY = 10.0
"""Seconds between two drawings of a run that is under way, at least."""


@dataclass(frozen=True)
class Asked:
    """The content of run.json.

    Attributes:
        command: of ticketzoo, such as `find`.
        name: of the recipe.
        recipe: keys and values, as recipe.yaml has them.
        planned: trainings and evaluations that it asks for; 0 where that is not known.
        ended: "" while it runs, or where it was killed; `finished`, `interrupted`, or why it failed.
        process: says which start of the command wrote it.
    """

    command: str
    name: str
    recipe: dict[str, Any]
    planned: int = 0
    ended: str = ""
    process: str = ""

    @property
    def digest(self) -> str:
        """The first digits of the sha256 of command and recipe."""
        content = json.dumps([self.command, self.recipe], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:12]


def read_asked(folder: Path) -> Asked | None:
    """Return what the run in `folder` was asked for; None where it has no journal. Raises RunError for a damaged one.

    Args:
        folder: the working folder.
    """
    path = folder / FOLDER / "run.json"
    if not path.is_file():
        return None
    try:
        asked = Asked(**json.loads(path.read_bytes()))
        kinds = {"command": str, "name": str, "recipe": dict, "planned": int, "ended": str}
        if not all(isinstance(getattr(asked, key), kind) for key, kind in kinds.items()):
            raise ValueError
    except (OSError, ValueError, TypeError):
        raise RunError(f"{path}: cannot be read; give the run's command again, which writes it anew") from None
    return asked


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the lines of a journal that are whole, from its beginning."""
    for line in path.read_bytes().splitlines(keepends=True) if path.is_file() else ():
        try:
            content = json.loads(line) if line.endswith(b"\n") else None
        except ValueError:
            continue
        if isinstance(content, dict):
            yield content


def drawn_files(folder: Path) -> list[Path]:
    """Return the table and the plots of a run that is not finished: what it wrote at its end says more."""
    return sorted(path for path in (folder / FOLDER).glob("*") if path.suffix in (".png", ".md"))


def row_key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what tells a row from all others of a run."""
    keys = ("ticket", "target", "arm", "level", "seed", "draw", "at", "metric")
    return tuple(row.get(key) for key in keys)


class Journal(Quiet):
    """A listener that keeps the journal of a run, and has the table and the plots of what is measured drawn.

    It writes nothing before the run holds its folder: the first news come after that.

    Args:
        folder: the working folder.
        asked: the command and its recipe.
        draw: called with `folder` after news of rows, every `DRAW_EVERY` seconds at most.
    """

    def __init__(self, folder: Path, asked: Asked, draw: Callable[[Path], None] | None = None) -> None:
        self._folder, self._draw, self._begun = folder, draw, False
        self._asked = replace(asked, process=f"{os.getpid()}-{time.time_ns()}")
        self._lines: set[str] = set()
        self._drawn = time.monotonic()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        known = read_asked(self._folder) if self._begun else None
        if known is None or known.process != self._asked.process:  # another process goes on with the folder
            return
        ended = "finished" if error is None else "interrupted"
        if isinstance(error, Exception):
            ended = f"failed: {one_line(error)}"
        elif error is not None and not isinstance(error, Interrupted | KeyboardInterrupt):
            ended = ""
        self._state(ended=ended)
        for path in drawn_files(self._folder) if ended == "finished" else ():
            path.unlink(missing_ok=True)

    def planned(self, trainings: int) -> None:
        """Note how many trainings there are."""
        self._state(planned=trainings)

    def recorded(self, job: Job, label: str, folder: Path, record: Record, *, done: bool) -> None:
        """Note a training that is done."""
        if done:
            self._note({"cell": folder.name, "label": label, "seconds": round(record.seconds, 3)})

    def evaluated(self, label: str, result: str, *, new: bool) -> None:
        """Note an evaluation."""
        self._note({"label": label, "result": result})

    def measured(self, rows: Sequence[Row]) -> None:
        """Note rows, and draw if it is time to."""
        self._note({"rows": list(rows)})
        if self._draw is not None and time.monotonic() - self._drawn >= DRAW_EVERY:
            self._draw(self._folder)
            self._drawn = time.monotonic()

    def _state(self, **changes: Any) -> None:
        self._asked = replace(self._asked, **changes)
        content = json.dumps(asdict(self._asked), indent=2) + "\n"
        with writing_into(self._folder):
            (self._folder / FOLDER).mkdir(parents=True, exist_ok=True)
            write_atomically(self._folder / FOLDER / "run.json", content.encode())
            if not self._begun:
                self._begun = True
                kept = [json.dumps(line) + "\n" for line in read_lines(self._path)]
                write_atomically(self._path, "".join(kept).encode())  # without a line that is half written
                self._lines = set(kept)

    @property
    def _path(self) -> Path:
        return self._folder / FOLDER / f"{self._asked.digest}.jsonl"

    def _note(self, content: Mapping[str, Any]) -> None:
        if not self._begun:
            self._state()
        line = json.dumps(content) + "\n"
        if line in self._lines:  # it was found finished
            return
        self._lines.add(line)
        with writing_into(self._folder), self._path.open("a", encoding="utf-8") as file:
            file.write(line)
