"""Works that take turns: threads of which one runs at a time, until it waits for something or ends."""

from collections.abc import Callable, Sequence
from threading import Semaphore, Thread
from typing import Any

from ticketzoo.util.signals import Interrupted, ending_by_itself, stop_if_interrupted


class Work:
    """A call in a thread of its own.

    Attributes:
        ended: whether it has returned or raised; or was stopped.
        result: what it returned.
        error: what it raised.
    """

    def __init__(self, do: Callable[[], Any]) -> None:
        self.ended = False
        self.result: Any = None
        self.error: BaseException | None = None
        self._do, self._stopped = do, False
        self._holds: Callable[[], bool] = lambda: True
        self._go, self._paused, self._thread = Semaphore(0), Semaphore(0), Thread(target=self._run, daemon=True)

    def stop(self) -> None:
        """Have it raise Interrupted where it waits; one that has not begun has ended."""
        if self._thread.ident is None:
            self.ended = True
        self._stopped = True

    def can_go_on(self) -> bool:
        """Tell whether what it waits for is there."""
        return self._stopped or self._holds()

    def go_on(self) -> None:
        """Have it run until it waits again, or ends."""
        if self._thread.ident is None:
            self._thread.start()
        self._go.release()
        self._paused.acquire()

    def wait_until(self, holds: Callable[[], bool]) -> None:
        """Called by the work itself: let others have their turns until `holds`.

        Raises:
            Interrupted: it was stopped.
        """
        while not holds():
            self._holds = holds
            self._paused.release()
            self._go.acquire()
            if self._stopped:
                self._stopped = False
                raise Interrupted

    def _run(self) -> None:
        self._go.acquire()
        try:
            self.result = self._do()
        except BaseException as error:
            self.error = error
        self.ended = True
        self._paused.release()


class Turns:
    """Hands out turns, in the thread that makes this.

    Args:
        idle: called, in that thread, when all works wait: it brings about what some of them wait for.
    """

    def __init__(self, idle: Callable[[], None]) -> None:
        self._idle = idle
        self._works: list[Work] = []
        self._current: Work | None = None

    @property
    def in_work(self) -> bool:
        """Return True where the caller is a work."""
        return self._current is not None

    def start(self, do: Callable[[], Any]) -> Work:
        """Return the work of calling `do`, which will begin when it has a turn."""
        self._works.append(work := Work(do))
        return work

    def wait_until(self, holds: Callable[[], bool]) -> None:
        """Let works have turns until `holds`, whether this is called by a work or not.

        Raises:
            Interrupted: a signal came, or the work that called was stopped.
        """
        if self._current is not None:
            self._current.wait_until(holds)
            return
        while not holds():
            self._hand_out()
            stop_if_interrupted()

    def stop(self, works: Sequence[Work]) -> None:
        """End `works`, or where no work is the caller all there are: each meets Interrupted where it waits."""
        works = works if self._current is not None else self._works
        for work in works:
            work.stop()
        if self._current is not None:
            self._current.wait_until(lambda: all(work.ended for work in works))
            return
        while not all(work.ended for work in works):
            self._hand_out()

    def _hand_out(self) -> None:
        self._works = [work for work in self._works if not work.ended]
        work = next((work for work in self._works if work.can_go_on()), None)
        if work is None:
            self._idle()
            return
        self._current = work
        try:
            with ending_by_itself():  # a signal is for this thread, which waits until the work does
                work.go_on()
        finally:
            self._current = None
