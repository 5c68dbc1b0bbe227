"""The news of a run: how far it is, what it came to."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from ticketzoo.training.record import Record

if TYPE_CHECKING:
    from ticketzoo.ticket.rows import Row
    from ticketzoo.training.job import Job


@runtime_checkable
class Progress(Protocol):
    """A listener to the news of a run. `Quiet` is the default.

    Derive your own from `Quiet` and write the methods that you want to hear: it hears what later versions add, too. The
    functions of `ticketzoo` refuse a listener that lacks a method before anything is trained.
    """

    def planned(self, trainings: int) -> None:
        """Hear that the run asks for this many trainings and evaluations, finished ones included."""
        ...

    def step(self, label: str, step: int, total: int) -> None:
        """Hear that the training `label` has done `step` of `total` iterations."""
        ...

    def finished(self, label: str, record: Record, metric: str, *, trained: bool) -> None:
        """Hear that the training `label`, compared by `metric`, is done; `trained` is False if it was found so."""
        ...

    def recorded(self, job: "Job", label: str, folder: Path, record: Record, *, done: bool) -> None:
        """Hear what `job`, called `label` and kept in `folder`, has recorded so far; `done` where it has ended.

        At its end wherever it is trained, also if it was found so; while it goes on, after each of its evaluations
        where this process trains it.
        """
        ...

    def measured(self, rows: "Sequence[Row]") -> None:
        """Hear the rows of results.jsonl that a training gave."""
        ...

    def evaluated(self, label: str, result: str, *, new: bool) -> None:
        """Hear that an evaluation apart from trainings came to `result`; `new` is False if it was found finished."""
        ...

    def warn(self, message: str) -> None:
        """Hear one line that a user should read."""
        ...

    def say(self, message: str) -> None:
        """Hear one line of news of the whole run."""
        ...


class Quiet:
    """A `Progress` that says nothing."""

    def planned(self, trainings: int) -> None:
        """Say nothing."""

    def step(self, label: str, step: int, total: int) -> None:
        """Say nothing."""

    def finished(self, label: str, record: Record, metric: str, *, trained: bool) -> None:
        """Say nothing."""

    def recorded(self, job: "Job", label: str, folder: Path, record: Record, *, done: bool) -> None:
        """Say nothing."""

    def measured(self, rows: "Sequence[Row]") -> None:
        """Say nothing."""

    def evaluated(self, label: str, result: str, *, new: bool) -> None:
        """Say nothing."""

    def warn(self, message: str) -> None:
        """Say nothing."""

    def say(self, message: str) -> None:
        """Say nothing."""
