"""Ctrl-C and SIGTERM: the first ends the command tidily and with one line, a second at once."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_received: list[int] = []
"""The signals that came."""


class Interrupted(BaseException):
    """Ctrl-C or SIGTERM; the message is one line for the user."""


def raise_when_interrupted() -> None:
    """Make the first SIGINT or SIGTERM raise Interrupted in this process; the next has its usual effect.

    Processes forked from this one get KeyboardInterrupt, which data loaders' workers expect.
    """
    process = os.getpid()

    def interrupt(number: int, frame: FrameType | None) -> None:
        if os.getpid() != process:
            raise KeyboardInterrupt
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_DFL)
        _received.append(number)
        raise Interrupted

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)


def stop_if_interrupted() -> None:
    """Raise Interrupted if a signal came whose exception got lost: compiled code may swallow what a handler raises."""
    if _received:
        raise Interrupted


@contextmanager
def interruptible(message: str) -> Iterator[None]:
    """Raise Interrupted with `message`, unless it has one, for whatever is raised once a signal came.

    Compiled code may also turn what a handler raises into an error of its own, such as a file that cannot be read.
    """
    try:
        yield
    except SystemExit:
        raise
    except BaseException as error:
        if not _received or (isinstance(error, Interrupted) and error.args):
            raise
        raise Interrupted(message) from None
