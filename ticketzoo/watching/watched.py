"""A run with its journal: the same for the command line and for Python."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from ticketzoo.distributed import processes
from ticketzoo.errors import TicketzooError
from ticketzoo.runs.progress import Progress
from ticketzoo.watching.journal import Asked, Journal
from ticketzoo.watching.listeners import Listeners


def asked_for(command: str, recipe: Any) -> Asked:
    """Return what a command with `recipe`, any of the commands', writes into the journal of its run."""
    content = getattr(recipe, "recipe", recipe)
    if isinstance(content, BaseModel):
        return Asked(command, recipe.name, content.model_dump(mode="json", exclude_none=True))
    plain = {key: value for key, value in vars(content).items() if isinstance(value, str | int | list | tuple)}
    return Asked(command, recipe.name, plain)


@contextmanager
def watched(folder: Path, asked: Asked, progress: Progress, log: str | None = None) -> Iterator[Progress]:
    """Give a progress that tells `progress` and keeps the journal of the run in `folder`; of several processes one.

    Args:
        folder: the working folder.
        asked: the command and its recipe.
        progress: a further listener.
        log: a name in `ticketzoo.watching.loggers.LOGGERS`, for the curves of the trainings.

    Raises:
        RunError: that logger is unknown or not installed.
    """
    if processes.rank() != 0:
        yield progress
        return
    with ExitStack() as opened:
        listeners = [progress, opened.enter_context(Journal(folder, asked, _draw))]
        if log is not None:
            from ticketzoo.watching.curves import Curves

            listeners.append(opened.enter_context(Curves(folder, log, asked.name)))
        yield Listeners(*listeners)


def _draw(folder: Path) -> None:
    from ticketzoo.watching.report import write_so_far  # draws with matplotlib, which a short run does not wait for

    with suppress(TicketzooError, ValueError, OSError):  # a picture that cannot be drawn yet stops no run
        write_so_far(folder)
