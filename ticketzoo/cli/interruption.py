"""Ctrl-C and SIGTERM: the first ends the command tidily and with one line, a second at once."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from ticketzoo.errors import RunError


class Interrupted(BaseException):
    """Ctrl-C or SIGTERM."""


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
        raise Interrupted

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)


@contextmanager
def resumable(folder: Path) -> Iterator[None]:
    """A run whose finished trainings stay in `folder`: raises RunError, saying how to go on, when interrupted."""
    try:
        yield
    except Interrupted:
        kept = f"finished trainings are kept in {folder}"
        raise RunError(f"interrupted; {kept}, the same command goes on from there") from None
