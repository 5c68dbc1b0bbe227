"""A bar for preparations that take a while."""

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import TypeVar

from ticketzoo.util.text import for_terminal

T = TypeVar("T")


def with_progress(parts: Iterable[T], total: int, what: str) -> Iterator[T]:
    """Yield the same parts, with a bar on standard error once they take over a second, if it is a terminal."""
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import Progress

    if not sys.stderr.isatty():
        yield from parts
        return
    progress = Progress(console=Console(stderr=True), transient=True)
    task = progress.add_task(escape(for_terminal(what)), total=total)
    started, shown = time.monotonic(), False
    with ExitStack() as stack:
        for part in parts:
            yield part
            progress.advance(task)
            if not shown and time.monotonic() - started > 1:
                stack.enter_context(progress)
                shown = True
