from typing import Protocol

from ticketzoo.training.record import Record


class Progress(Protocol):
    """Who wants to know how a run is going. The default, `Quiet`, does not."""

    def planned(self, trainings: int) -> None:
        """The run asks for this many trainings and evaluations, finished ones included."""
        ...

    def step(self, label: str, step: int, total: int) -> None:
        """The training `label` has done `step` of `total` iterations."""
        ...

    def finished(self, label: str, record: Record, metric: str, *, trained: bool) -> None:
        """The training `label`, compared by `metric`, is done; `trained` is False when it was found finished."""
        ...

    def evaluated(self, label: str, result: str, *, new: bool) -> None:
        """An evaluation apart from trainings came to `result`; `new` is False when it was found finished."""
        ...

    def warn(self, message: str) -> None:
        """Something happened that a user should know: one line."""
        ...


class Quiet:
    """A `Progress` that says nothing."""

    def planned(self, trainings: int) -> None:
        """Say nothing."""

    def step(self, label: str, step: int, total: int) -> None:
        """Say nothing."""

    def finished(self, label: str, record: Record, metric: str, *, trained: bool) -> None:
        """Say nothing."""

    def evaluated(self, label: str, result: str, *, new: bool) -> None:
        """Say nothing."""

    def warn(self, message: str) -> None:
        """Say nothing."""
