"""Ctrl-C and SIGTERM (preemption): the first ends a command tidily and with one line, a second at once."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_received: list[int] = []
"""The signals that came."""
_waiting = [0]
"""How many blocks of `ending_by_itself` are under way."""
_said = ["interrupted"]
"""What is said of an interruption; the innermost block of `interruptible` last."""


class Interrupted(BaseException):
    """Ctrl-C or SIGTERM; the message is one line for the user."""


def raise_when_interrupted() -> None:
    """Make the first SIGINT or SIGTERM raise Interrupted in this process; the next has its usual effect.

    Within an import, where libraries turn exceptions into others or lose them, it ends the process with one line.
    In one of several processes that a launcher started it has none: launchers pass on what may have come already.
    Processes forked from this one get KeyboardInterrupt, which data loaders' workers expect.
    """
    process = os.getpid()

    def interrupt(number: int, frame: FrameType | None) -> None:
        if os.getpid() != process:
            raise KeyboardInterrupt
        launched = int(os.environ.get("WORLD_SIZE", "1")) > 1  # then the launcher repeats it, and kills in the end
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_IGN if launched else signal.SIG_DFL)
        _received.append(number)
        if _waiting[0]:
            return
        if not launched and _importing(frame):
            os.write(2, f"ticketzoo: {_said[-1]}\n".encode(errors="replace"))
            os._exit(exit_status())
        raise Interrupted

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)


def as_usual() -> None:
    """Give SIGINT and SIGTERM their usual effect again, unless one came: nothing is left to end tidily."""
    for number in (signal.SIGINT, signal.SIGTERM) if not _received else ():
        signal.signal(number, signal.SIG_DFL)


def _importing(frame: FrameType | None) -> bool:
    """Tell whether `frame` is in the course of an import."""
    while frame is not None and not frame.f_code.co_filename.startswith("<frozen importlib"):
        frame = frame.f_back
    return frame is not None


@contextmanager
def ending_by_itself() -> Iterator[None]:
    """Raise nothing at a first signal in this block: what runs there asks `interrupted`, and ends where it is safe."""
    _waiting[0] += 1
    try:
        yield
    finally:
        _waiting[0] -= 1


def interrupted() -> bool:
    """Tell whether a signal came."""
    return bool(_received)


def stop_if_interrupted() -> None:
    """Raise Interrupted if a signal came: one that was waited with, or whose exception compiled code swallowed."""
    if _received:
        raise Interrupted


def exit_status() -> int:
    """Return the exit status of a process that a signal ended, by convention: 130 for Ctrl-C, 143 for SIGTERM."""
    return 128 + (_received[0] if _received else signal.SIGTERM)


@contextmanager
def interruptible(message: str) -> Iterator[None]:
    """Raise Interrupted with `message`, unless it has one, for Interrupted and whatever is raised once a signal came.

    Compiled code may also turn what a handler raises into an error of its own, such as a file that cannot be read.
    """
    _said.append(message)
    try:
        yield
    except SystemExit:
        raise
    except BaseException as error:
        if error.args if isinstance(error, Interrupted) else not _received:
            raise
        raise Interrupted(message) from None
    finally:
        _said.pop()
