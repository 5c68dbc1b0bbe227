"""Several listeners to the news of one run."""

from collections.abc import Sequence
from pathlib import Path

from ticketzoo.runs.progress import Progress
from ticketzoo.ticket.rows import Row
from ticketzoo.training.job import Job
from ticketzoo.training.record import Record


class Listeners:
    """A `ticketzoo.runs.progress.Progress` that passes all it hears on to `listeners`, in their order."""

    def __init__(self, *listeners: Progress) -> None:
        self._listeners = listeners

    def planned(self, trainings: int) -> None:
        """Pass it on."""
        for one in self._listeners:
            one.planned(trainings)

    def step(self, label: str, step: int, total: int) -> None:
        """Pass it on."""
        for one in self._listeners:
            one.step(label, step, total)

    def finished(self, label: str, record: Record, metric: str, *, trained: bool) -> None:
        """Pass it on."""
        for one in self._listeners:
            one.finished(label, record, metric, trained=trained)

    def recorded(self, job: Job, label: str, folder: Path, record: Record, *, done: bool) -> None:
        """Pass it on."""
        for one in self._listeners:
            one.recorded(job, label, folder, record, done=done)

    def measured(self, rows: Sequence[Row]) -> None:
        """Pass it on."""
        for one in self._listeners:
            one.measured(rows)

    def evaluated(self, label: str, result: str, *, new: bool) -> None:
        """Pass it on."""
        for one in self._listeners:
            one.evaluated(label, result, new=new)

    def warn(self, message: str) -> None:
        """Pass it on."""
        for one in self._listeners:
            one.warn(message)

    def say(self, message: str) -> None:
        """Pass it on."""
        for one in self._listeners:
            one.say(message)
