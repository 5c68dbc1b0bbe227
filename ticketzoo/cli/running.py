"""What commands that train have in common: progress, an interruption's message, several processes."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from ticketzoo.cli.progress import RunProgress
from ticketzoo.interruption import interruptible
from ticketzoo.training import processes
from ticketzoo.training.progress import Progress, Quiet


@contextmanager
def running_in(folder: Path) -> Iterator[Progress]:
    """Who is told how the run in `folder` goes; of several processes the first tells people."""
    kept = f"what was trained so far is kept in {folder}"
    with (
        interruptible(f"interrupted; {kept}, the same command goes on from there"),
        RunProgress() if processes.rank() == 0 else nullcontext(Quiet()) as progress,
    ):
        yield progress
