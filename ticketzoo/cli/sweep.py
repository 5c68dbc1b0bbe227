"""A recipe run at each point of a grid, with one table and one plot of all."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ticketzoo.api.sweep import folder_of_sweep, recipes_at, run_points
from ticketzoo.cli.output import print_json, show_table
from ticketzoo.cli.plan import print_plan
from ticketzoo.cli.running import RunOptions, run_recipe
from ticketzoo.distributed import processes
from ticketzoo.distributed.device import training_device
from ticketzoo.errors import RunError
from ticketzoo.util.signals import interruptible
from ticketzoo.util.text import for_terminal
from ticketzoo.watching.sweep import Point, grid
from ticketzoo.watching.sweep_report import PLOT, SweepReport, write_sweep_report

if TYPE_CHECKING:
    from ticketzoo.cli.recipe_command import Work


def run_sweep(
    command: str, sweep: Sequence[str], read: Callable[[list[str]], Any], asked: RunOptions, todo: "Work[Any]"
) -> None:
    """Run, or plan, every point of `sweep` as a run of its own; all points are read before the first is trained.

    A point that cannot go on does not keep the others from being run; the command fails in the end.

    Args:
        command: of ticketzoo.
        sweep: such as `finder.rate=[0.1, 0.2]`, once for each key.
        read: reads the recipe with further overrides.
        asked: the options beside the recipe; `out` is the folder of the sweep.
        todo: how a recipe is planned and run.
    """
    points = grid(sweep)
    base, recipes = recipes_at(points, read)
    folder = asked.out or folder_of_sweep(base, points)
    if asked.plan:
        _plan(folder, recipes, asked, todo)
        return

    def run(recipe: Any, out: Path) -> None:
        run_recipe(command, recipe, replace(asked, out=out), todo.run)

    failed = run_points(folder, command, base, recipes, run)
    if processes.rank() == 0:
        show_sweep(write_sweep_report(folder), asked.as_json and not failed)
    if failed:
        raise RunError(failed)


def show_sweep(report: SweepReport, as_json: bool) -> None:
    """Print the table of a sweep, and where its plot is."""
    if as_json:
        print_json(report.as_json())
        return
    print(for_terminal(report.title))
    show_table(report.table)
    if (report.folder / PLOT).is_file():
        print(f"plot: {report.folder / PLOT}")
    print(report.folder)


def _plan(folder: Path, recipes: Sequence[tuple[Point, Any]], asked: RunOptions, todo: "Work[Any]") -> None:
    """Print what each point has left to do; of trainings that several share each counts them."""
    plans = []
    with interruptible("interrupted; a plan writes nothing"):
        for point, recipe in recipes:
            plan = todo.plan(recipe, folder / point.name, device=training_device(asked.device))
            plans.append({"point": point.name, **asdict(plan)})
            if not asked.as_json:
                print(f"point        {for_terminal(point.name)}")
                print_plan(plan, as_json=False)
    if asked.as_json:
        print_json(plans)
