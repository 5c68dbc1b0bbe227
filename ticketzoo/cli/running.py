"""The common part of find, transfer and stability: plan a recipe, or run it in its folder and show the result."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from ticketzoo.api.progress import RunProgress
from ticketzoo.cli.plan import print_plan
from ticketzoo.distributed import processes
from ticketzoo.distributed.device import training_device
from ticketzoo.runs.executor import EXECUTORS
from ticketzoo.runs.plan import Plan
from ticketzoo.runs.progress import Progress, Quiet
from ticketzoo.util.signals import interruptible
from ticketzoo.watching.journal import Asked
from ticketzoo.watching.watched import asked_for, watched

Found = TypeVar("Found")


class Recipe(Protocol):
    """Any of the commands'."""

    @property
    def name(self) -> str:
        """Return the name of the working folder."""


@dataclass(frozen=True)
class RunOptions:
    """The options given beside the recipe; see `ticketzoo.cli.options`."""

    out: Path | None
    device: str | None
    executor: str
    checkpoint_seconds: float
    plan: bool
    as_json: bool
    log: str | None = None


def plan_or_run(
    command: str,
    recipe: Recipe,
    asked: RunOptions,
    *,
    plan: Callable[..., Plan],
    run: Callable[..., Found],
    show: Callable[[Found, bool], None],
) -> None:
    """Plan `recipe` if that is what was asked for; run it otherwise, and show in the first process what was found.

    Args:
        command: of ticketzoo, such as `find`.
        recipe: read and checked.
        asked: what was said beside it.
        plan: such as `ticketzoo.finding.plan_find`.
        run: such as `ticketzoo.finding.find_and_package`.
        show: prints what `run` gave, as JSON if its second argument is True.
    """
    folder = asked.out or Path("runs") / recipe.name
    if asked.plan:
        with interruptible("interrupted; a plan writes nothing"):
            print_plan(plan(recipe, folder, device=training_device(asked.device)), asked.as_json)
        return
    found = run_recipe(command, recipe, asked, run)
    if processes.rank() == 0:
        show(found, asked.as_json)


def run_recipe(command: str, recipe: Recipe, asked: RunOptions, run: Callable[..., Found]) -> Found:
    """Run `recipe` in its folder, with progress, journal and log, and return what was found."""
    folder = asked.out or Path("runs") / recipe.name
    with _running_in(folder, asked_for(command, recipe), asked.log) as progress:
        executor_chooses = asked.device is None and EXECUTORS[asked.executor].chooses_device
        return run(
            recipe,
            folder,
            device=None if executor_chooses else training_device(asked.device),
            executor=asked.executor,
            checkpoint_seconds=asked.checkpoint_seconds,
            progress=progress,
        )


@contextmanager
def _running_in(folder: Path, asked: Asked, log: str | None = None) -> Iterator[Progress]:
    """Give the progress that the run in `folder` reports to; of several processes the first tells people."""
    kept = f"what was trained so far is kept in {folder}"
    with ExitStack() as opened:
        opened.enter_context(interruptible(f"interrupted; {kept}, the same command goes on from there"))
        shown = opened.enter_context(RunProgress()) if processes.rank() == 0 else Quiet()
        yield opened.enter_context(watched(folder, asked, shown, log))
