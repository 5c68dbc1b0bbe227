"""The common part of find, transfer and stability: plan a recipe, or run it in its folder and show the result."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
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


def plan_or_run(
    recipe: Recipe,
    asked: RunOptions,
    *,
    plan: Callable[..., Plan],
    run: Callable[..., Found],
    show: Callable[[Found, bool], None],
) -> None:
    """Plan `recipe` if that is what was asked for; run it otherwise, and show in the first process what was found.

    Args:
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
    with _running_in(folder) as progress:
        executor_chooses = asked.device is None and EXECUTORS[asked.executor].chooses_device
        found = run(
            recipe,
            folder,
            device=None if executor_chooses else training_device(asked.device),
            executor=asked.executor,
            checkpoint_seconds=asked.checkpoint_seconds,
            progress=progress,
        )
    if processes.rank() == 0:
        show(found, asked.as_json)


@contextmanager
def _running_in(folder: Path) -> Iterator[Progress]:
    """Give the progress that the run in `folder` reports to; of several processes the first tells people."""
    kept = f"what was trained so far is kept in {folder}"
    with (
        interruptible(f"interrupted; {kept}, the same command goes on from there"),
        RunProgress() if processes.rank() == 0 else nullcontext(Quiet()) as progress,
    ):
        yield progress
