"""A run's progress on standard error: bars on a terminal and in a notebook, a line per training elsewhere."""

import sys
import time
from collections.abc import Callable
from importlib.util import find_spec

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ticketzoo.evaluation.metrics import with_unit, words
from ticketzoo.runs.progress import Quiet
from ticketzoo.training.record import Record
from ticketzoo.util.text import counted, for_terminal, show_duration

LOOKED_AT, WORTH_SAYING = 2.0, 30.0
"""Seconds of a run's first training after which it says how long all take, if that is as many seconds at least."""


class RunProgress(Quiet):
    """A `ticketzoo.runs.progress.Progress` for people.

    Args:
        clock: gives seconds.
        of: what the bars count; a run of trainings is pointed to `--plan`.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, *, of: str = "training") -> None:
        self._clock, self._of = clock, of
        self._first: tuple[str, int, float] | None = None
        self._told = False
        self._console = Console(stderr=True)
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            disable=not (self._console.is_terminal or self._in_notebook),
        )
        self._all = self._bars.add_task(f"{of}s", total=None)
        self._one = self._bars.add_task("", total=None, visible=False)
        self._done, self._planned = 0, 0

    def __enter__(self) -> "RunProgress":
        self._bars.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bars.stop()

    def planned(self, trainings: int) -> None:
        """Show how many trainings the run asks for."""
        self._planned = trainings
        self._bars.update(self._all, total=trainings)

    def step(self, label: str, step: int, total: int) -> None:
        """Move the bar of the training under way."""
        self._bars.update(self._one, description=label, completed=step, total=total, visible=True)
        if not self._told:
            self._look_at(label, step, total)

    def _look_at(self, label: str, step: int, total: int) -> None:
        """Look at the first training until it shows how long the run takes."""
        if self._first is None:
            self._first = label, step, self._clock()
            return
        first, begun, when = self._first
        seconds = self._clock() - when
        if label == first and seconds >= LOOKED_AT and step > begun:
            self._tell(label, seconds / (step - begun) * total)

    def _tell(self, label: str, seconds: float) -> None:
        """Say about how long the run takes if all that is left is like `label`, which takes so many seconds."""
        left = self._planned - self._done
        self._told = True
        if seconds * left >= WORTH_SAYING:
            about = f"at most about {show_duration(seconds * left)} for {counted(left, self._of)}"
            plan = "; --plan times each kind" if self._of == "training" else ""
            self.say(f"{about} one after the other, by the first iterations of {label}{plan}")

    def warn(self, message: str) -> None:
        """Print a line that a user should read."""
        self._print(f"ticketzoo: warning: {for_terminal(message)}")

    def say(self, message: str) -> None:
        """Print a line of news."""
        self._print(f"ticketzoo: {for_terminal(message)}")

    def finished(self, label: str, record: Record, metric: str, *, trained: bool) -> None:
        """Say what a training came to; those found finished only count."""
        if trained and not self._told:
            self._tell(label, record.seconds)
        on_test = f"test_{metric}"
        result = f"{words(on_test)} {with_unit(on_test, record.final[on_test])}"
        self.evaluated(label, f"{result} ({record.seconds:.1f} s)", new=trained)

    def evaluated(self, label: str, result: str, *, new: bool) -> None:
        """Say what it came to; what was found finished only counts."""
        self._done += 1
        self._bars.update(self._all, advance=1)
        if new and self._in_notebook:
            self._bars.update(self._all, description=f"trainings; {label}: {result}")
        elif new:
            self._print(f"[{self._done}/{self._planned}] {label}: {result}")

    @property
    def _in_notebook(self) -> bool:
        """Return True where this is a notebook that has the widgets for bars."""
        return self._console.is_jupyter and find_spec("ipywidgets") is not None

    def _print(self, line: str) -> None:
        if self._console.is_terminal or self._in_notebook:
            self._console.print(line, highlight=False, markup=False)
        else:
            print(line, file=sys.stderr, flush=True)
