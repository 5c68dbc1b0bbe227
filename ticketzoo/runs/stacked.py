"""Trainings that are alike, all at once on one device: a population (`ticketzoo.training.population`)."""

from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from ticketzoo.runs.cell import Training
from ticketzoo.runs.executor import Item, Result
from ticketzoo.runs.local import LocalExecutor
from ticketzoo.runs.progress import Progress
from ticketzoo.runs.stacked_cells import kind_of, parts_of_one_step, train_cells, why_not_stacked
from ticketzoo.training.job import in_one_line
from ticketzoo.training.population import NotStackable
from ticketzoo.training.population_loop import NoCheckpoint
from ticketzoo.util.signals import ending_by_itself
from ticketzoo.util.turns import Turns, Work

AT_ONCE = 64
"""Items of `each` under way at once, at most: the models of all are in memory."""


@dataclass
class _Due:
    """A training that somebody waits for."""

    training: Training
    progress: Progress
    done: bool = False
    error: Exception | None = None


class StackedExecutor(LocalExecutor):
    """Trains at once what is alike among the trainings that several works of `each` wait for.

    Works take turns: each goes on until it wants a training. When all of them do, the trainings are grouped by
    architecture, task, settings, start step and what is learned, and each group is trained as one. So chains of levels
    go on in lockstep. What cannot be stacked is trained alone, as by the executor `local`, and a line says why.

    Args:
        device: where to train; if None the CPU.
        checkpoint_seconds: how often a training under way is saved.
    """

    def __init__(self, device: torch.device | None, checkpoint_seconds: float) -> None:
        super().__init__(device, checkpoint_seconds)
        self._turns = Turns(self._train_due)
        self._due: list[_Due] = []
        self._in_hand: set[Path] = set()
        self._said: set[str] = set()

    def __enter__(self) -> "StackedExecutor":
        return self

    def each(self, work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """Return `work` of each of `items`, at most `AT_ONCE` of them under way together."""
        works: list[Work] = []

        def failed() -> BaseException | None:
            return next((one.error for one in works if one.error is not None), None)

        try:
            for item in items:
                works.append(self._turns.start(partial(work, item)))
                self._turns.wait_until(lambda: failed() is not None or sum(not one.ended for one in works) < AT_ONCE)
                if failed() is not None:
                    break
            self._turns.wait_until(lambda: failed() is not None or all(one.ended for one in works))
            if error := failed():
                raise error
            return [one.result for one in works]
        except BaseException:
            self._turns.stop(works)
            raise

    @contextmanager
    def alone(self, folder: Path) -> Iterator[None]:
        """Return a block that one work at a time goes through for each folder: two that want a cell train it once."""
        self._turns.wait_until(lambda: folder not in self._in_hand)
        self._in_hand.add(folder)
        try:
            yield
        finally:
            self._in_hand.discard(folder)

    def train(self, training: Training, progress: Progress) -> None:
        """Train as `ticketzoo.runs.executor.Executor.train` says: in a work of `each` together with others."""
        if not self._turns.in_work:
            super().train(training, progress)
            return
        self._due.append(due := _Due(training, progress))
        try:
            self._turns.wait_until(lambda: due.done)
        except BaseException:
            self._due = [one for one in self._due if one is not due]
            raise
        if due.error is not None:
            raise due.error

    def _train_due(self) -> None:
        """Train all that works wait for, group by group."""
        groups: dict[Hashable, list[_Due]] = {}
        for due in self._due:
            try:
                why = why_not_stacked(due.training.job, self.device)
            except Exception as error:
                self._done(due, error)
                continue
            if why is None:
                groups.setdefault(kind_of(due.training.job), []).append(due)
            else:
                self._train_alone(due, why)
        for group in groups.values():
            self._train_group(group)
        self._due = []

    def _train_group(self, group: list[_Due]) -> None:
        if len(group) == 1 and self.device.type == "cpu":  # nothing to share, and no launches to save
            self._train_alone(group[0])
            return
        by_training = {id(due.training): due for due in group}
        for start, trainings in parts_of_one_step([due.training for due in group]):
            self._train_together([by_training[id(training)] for training in trainings], start)

    def _train_together(self, group: list[_Due], start: int) -> None:
        trainings = [due.training for due in group]
        errors: list[Exception | None] = []
        what_now: Callable[[], None] | None = None
        try:
            with ending_by_itself():
                errors += train_cells(trainings, start, self.device, self._checkpoint_seconds, group[0].progress)
        except NoCheckpoint:
            what_now = partial(self._train_group, group)
        except NotStackable as error:
            what_now = partial(self._train_each_alone, group, str(error))
        except torch.OutOfMemoryError as error:
            if len(group) == 1:
                self._done(group[0], error)
                return
            what_now = partial(self._train_halves, group)
        except Exception as error:
            errors = [error] * len(group)
        if what_now is not None:  # outside of `except`, which holds the memory of what has failed
            what_now()
            return
        for due, met in zip(group, errors, strict=True):
            self._done(due, met)

    def _train_halves(self, group: list[_Due]) -> None:
        half = len(group) // 2
        self._say_once(group[0], f"{len(group)} trainings at once do not fit the memory of {self.device}: {half} are")
        self._train_group(group[:half])
        self._train_group(group[half:])

    def _train_each_alone(self, group: list[_Due], why: str) -> None:
        for due in group:
            self._train_alone(due, why)

    def _train_alone(self, due: _Due, why: str | None = None) -> None:
        if why is not None:
            self._say_once(due, f"trained one after the other: {why}")
        try:
            super().train(due.training, due.progress)
        except Exception as error:
            due.error = error
        due.done = True

    def _done(self, due: _Due, error: Exception | None) -> None:
        """Note that a training has ended, and what it ran into, in one line."""
        try:
            with in_one_line(due.training.label, due.training.job, self.device):
                if error is not None:
                    raise error
        except Exception as said:
            due.error = said
        due.done = True

    def _say_once(self, due: _Due, line: str) -> None:
        if line not in self._said:
            self._said.add(line)
            due.progress.say(f"{due.training.label}: {line}")
