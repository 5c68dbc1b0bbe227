"""`ticketzoo find` in a process that is killed: `kill -9` at a moment of its work, then the same command again."""

import multiprocessing
import sys
import time
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from launched import PRELOADED


def find(recipe: Path, out: Path) -> None:
    """The command line, in a process of its own."""
    import torch

    from ticketzoo.cli import main

    torch.set_num_threads(1)
    sys.argv = ["ticketzoo", "find", str(recipe), "--out", str(out), "--checkpoint-seconds", "0", "--json"]
    main()


def start(recipe: Path, out: Path) -> ForkServerProcess:
    """Start the command in a process forked from one that has imported everything: a start costs nothing."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    process = context.Process(target=find, args=(recipe, out))
    process.start()
    return process


def progress_in(out: Path) -> set[tuple[str, int]]:
    """The files of the cells, and when they were written."""
    found = set()
    for path in out.glob("cells/*/*"):
        try:
            found.add((str(path), path.stat().st_mtime_ns))
        except FileNotFoundError:
            continue  # a temporary file, or a cell just finished
    return found


def killed(process: ForkServerProcess, out: Path, after: float) -> bool:
    """Kill `process` some seconds after it has got anywhere; False if it was done before."""
    before = progress_in(out)
    while process.is_alive() and progress_in(out) == before:
        time.sleep(0.001)
    process.join(after)
    process.kill()
    process.join()
    return process.exitcode != 0


def killed_and_undisturbed(recipe: Path, folder: Path, moments: list[float]) -> None:
    """Find by `recipe` in `folder`/undisturbed, and in `folder`/killed, where it is killed at each of `moments`.

    Moments are seconds after the command has got anywhere. In the end it is started again.
    """
    whole = start(recipe, folder / "undisturbed")
    whole.join()
    assert whole.exitcode == 0
    kills = sum(killed(start(recipe, folder / "killed"), folder / "killed", moment) for moment in moments)
    last = start(recipe, folder / "killed")
    last.join()
    assert last.exitcode == 0
    assert kills, "the command was done too soon to be killed"
