"""The store: work that is done once and kept under the digest of all that decides it."""

import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from filelock import FileLock, Timeout

from ticketzoo.distributed import processes
from ticketzoo.errors import RunError
from ticketzoo.models.state import State
from ticketzoo.runs.cell import Cell as Cell
from ticketzoo.runs.cell import Training, read_cell
from ticketzoo.runs.executor import EXECUTORS, Item, Result
from ticketzoo.runs.files import RowT, read_rows, read_state, write_document, write_into, write_state
from ticketzoo.runs.files import environment as environment
from ticketzoo.runs.progress import Progress, Quiet
from ticketzoo.ticket.rows import Row
from ticketzoo.training.job import Job as Job
from ticketzoo.util.signals import stop_if_interrupted

Content = dict[str, Any]
"""A JSON document."""


Found = TypeVar("Found")


class Store:
    """A folder of finished work, and the executor that does what is missing.

    Each result lies in a folder named by the digest of its specification, the JSON of all that decides it: a training
    as `cell.json` and its tensors, everything else in a file named by its kind. Every file is there as a whole or not
    at all, and is read instead of computed from then on.

    One command at a time works in a store: `with Store(folder) as store:` takes its lock. Of several processes
    (`ticketzoo.distributed.processes`) all compute; the first alone reads and writes, and shares what it read.

    Args:
        folder: where results are kept; made where there is none.
        executor: a name of `ticketzoo.runs.executor.EXECUTORS`: where trainings run. All else is computed in this
            process.
        device: where to compute; if None the executor chooses.
        checkpoint_seconds: how often a training under way is saved.
        progress: told how it goes.

    Raises:
        RunError: there is no such executor or it cannot work here; another command holds the folder; or it cannot be
            written.
    """

    def __init__(
        self,
        folder: str | Path,
        executor: str = "local",
        *,
        device: torch.device | None = None,
        checkpoint_seconds: float = 60.0,
        progress: Progress | None = None,
    ) -> None:
        self.folder, self.progress = Path(folder), progress or Quiet()
        self._executor = EXECUTORS[executor].make(device, checkpoint_seconds)
        self._lock = FileLock(self.folder / ".lock")
        self._opened = ExitStack()

    @property
    def device(self) -> torch.device:
        """The device on which this process computes."""
        return self._executor.device

    @property
    def complete(self) -> bool:
        """Return True where all that was asked for is there; of a plan it may be yet to be trained."""
        return True

    def __enter__(self) -> "Store":
        with ExitStack() as opened:
            processes.from_first(self._take_lock)
            opened.callback(self._lock.release)
            opened.enter_context(self._executor)
            self._opened = opened.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._opened.close()

    def run(self, job: Job, label: str, *, keep_final: bool = False, snapshot_steps: Collection[int] = ()) -> Cell:
        """Return the finished training of `job`, trained unless the store holds it with the tensors asked for.

        Args:
            job: what to train.
            label: its name where progress is shown.
            keep_final: also keep the trained weights.
            snapshot_steps: also keep the states after so many updates.

        Raises:
            RunError: the training diverged, or the folder cannot be read or written.
        """

        def train(folder: Path, specification: Content) -> None:
            training = Training(job, label, specification, folder, keep_final, tuple(snapshot_steps))
            self._executor.train(training, self.progress)

        def read(folder: Path) -> Cell | None:
            return read_cell(folder, job, keep_final, snapshot_steps, self._due_again(label))

        cell, new = self._once(label, job.specification(), read, train)
        self.progress.finished(label, cell.record, job.task.metric.name, trained=new)
        self.progress.recorded(job, label, cell.folder, cell.record, done=True)
        stop_if_interrupted()
        return cell

    def measured(self, rows: list[Row]) -> list[Row]:
        """Return `rows`, those of a finished training, and tell of them."""
        if rows:  # of a plan nothing is known
            self.progress.measured(rows)
        return rows

    def each(self, work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """Return `work` of each of `items`, in their order; the executor may do several at once.

        Args:
            work: asks this store for what it needs, and for nothing that another item's work makes.
            items: asked for as they are needed.
        """
        return self._executor.each(work, items)

    def remember(self, kind: str, specification: Mapping[str, Any], compute: Callable[[], State]) -> State:
        """Return the tensors that `compute` gives, on the CPU, computed once for each kind and specification.

        Args:
            kind: their name: lower-case letters, digits and hyphens, such as `gradients`.
            specification: all that decides them, as JSON: large tensors by their digests.
            compute: gives them by name, on any device; called in every process where the store does not hold them.

        Raises:
            RunError: the store's file is damaged, or cannot be read or written.
        """
        name = _file_name(kind, "safetensors")

        def write(folder: Path, content: Content) -> None:
            state = compute()
            facts = {"specification": content, "environment": environment(self.device)}
            processes.from_first(partial(write_into, folder, partial(write_state, folder / name, state, facts)))

        def read(folder: Path) -> State | None:
            return read_state(folder / name) if (folder / name).is_file() else None

        return self._once(kind, specification, read, write)[0]

    def remember_rows(
        self,
        kind: str,
        specification: Mapping[str, Any],
        row: Callable[..., RowT],
        compute: Callable[[int], RowT],
        *,
        count: int,
        key: str = "rows",
    ) -> tuple[list[RowT], bool]:
        """Return rows 0 to `count` - 1 and whether any was computed now; each is kept as soon as it is there.

        Args:
            kind: their name: lower-case letters, digits and hyphens, such as `line`.
            specification: all that decides them, `count` included, as JSON.
            row: the named tuple that a row is; its fields are JSON values.
            compute: gives the row of a number; called in every process, in order, for those that the store lacks.
            count: how many there are.
            key: their name in the file, a JSON document.

        Raises:
            RunError: the store's file is damaged, or cannot be read or written.
        """
        name = _file_name(kind, "json")

        def read(folder: Path) -> list[RowT] | None:
            rows = read_rows(folder / name, key, row)
            return rows if len(rows) >= count else None

        def write(folder: Path, content: Content) -> None:
            rows = processes.from_first(lambda: read_rows(folder / name, key, row))
            for number in range(len(rows), count):
                rows.append(compute(number))
                known = {"specification": content, key: [one._asdict() for one in rows]}
                document = {**known, "environment": environment(self.device)}
                processes.from_first(partial(write_into, folder, partial(write_document, folder / name, document)))

        return self._once(kind, specification, read, write)

    def _due_again(self, label: str) -> Callable[[str], None]:
        return lambda why: self.progress.warn(f"{label} {why}: it is due again")

    def address(self, specification: Mapping[str, Any]) -> tuple[Content, Path]:
        """Return `specification` as JSON reads it, and the folder of what it specifies."""
        text = json.dumps(specification, sort_keys=True)
        return json.loads(text), self.folder / hashlib.sha256(text.encode()).hexdigest()[:20]

    def _once(
        self,
        what: str,
        specification: Mapping[str, Any],
        read: Callable[[Path], Found | None],
        make: Callable[[Path, Content], None],
    ) -> tuple[Found, bool]:
        """Return what `read` finds in the folder of `specification`, and whether `make` had to put it there.

        `read` is called in the first process alone, and gives None where nothing is there; `make` in all of them.
        """
        content, folder = self.address(specification)
        processes.check_same(f"what to compute as {what}:", content)
        with self._executor.alone(folder):
            found = processes.from_first(lambda: read(folder))
            if found is not None:
                return found, False
            make(folder, content)
            made = processes.from_first(lambda: read(folder))
        if made is None:
            shared = "was trained on a machine that keeps its files to itself"
            raise RunError(f"{what}: {shared}; choose an --out that all machines of the cluster share")
        return made, True

    def _take_lock(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0.2, poll_interval=0.05)  # who looks whether it is in use holds it for a moment
        except Timeout:
            raise RunError(
                f"{self.folder}: another run is using this folder; wait for it or choose another working folder (--out)"
            ) from None
        except OSError as error:
            why = f"cannot be written ({error.strerror}); choose another working folder (--out)"
            raise RunError(f"{self.folder}: {why}") from None


def _file_name(kind: str, suffix: str) -> str:
    if not re.fullmatch("[a-z][a-z0-9-]*", kind):
        raise RunError(f"kind {kind!r} of results to keep: use lower-case letters, digits and hyphens")
    return f"{kind}.{suffix}"
