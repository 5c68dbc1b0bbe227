"""A recipe run at each point of a grid, with one table and one plot of all."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from ticketzoo.cli.output import print_json, say, show_table
from ticketzoo.cli.plan import print_plan
from ticketzoo.cli.running import RunOptions, run_recipe
from ticketzoo.distributed import processes
from ticketzoo.distributed.device import training_device
from ticketzoo.errors import RecipeError, RunError
from ticketzoo.util.signals import interruptible
from ticketzoo.util.text import for_terminal
from ticketzoo.watching.sweep import Point, grid, swept, write_sweep
from ticketzoo.watching.sweep_report import PLOT, SweepReport, check_points, write_sweep_report

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
    recipes = [_read(read, point) for point in points]
    base: str = read([]).name
    folder = asked.out or Path("runs") / f"{base}-by-{swept(points)}"
    named = [
        recipe.model_copy(update={"name": point.named(base)}) for point, recipe in zip(points, recipes, strict=True)
    ]
    if asked.plan:
        _plan(folder, points, named, asked, todo)
        return
    processes.from_first(lambda: check_points(folder))
    processes.from_first(lambda: write_sweep(folder, command, base, points))
    failed: list[str] = []
    for number, (point, recipe) in enumerate(zip(points, named, strict=True), 1):
        if processes.rank() == 0:
            say(f"ticketzoo: point {number} of {len(points)}: {for_terminal(point.name)}")
        try:
            run_recipe(command, recipe, replace(asked, out=folder / point.name), todo.run)
        except RunError as error:
            failed.append(f"{point.name}: {error}")
            if processes.rank() == 0:
                say(f"ticketzoo: warning: {for_terminal(failed[-1])}")
        processes.from_first(lambda: write_sweep_report(folder))
    if processes.rank() == 0:
        show_sweep(write_sweep_report(folder), asked.as_json and not failed)
    if failed:
        raise RunError(f"{len(failed)} of {len(points)} points failed, the first: {failed[0]}")


def _read(read: Callable[[list[str]], Any], point: Point) -> Any:
    """Return the recipe at a point. Raises RecipeError, which blames `--sweep` for the keys that it sets."""
    try:
        return read(point.overrides)
    except RecipeError as error:
        said = str(error)
        for key in point.values:
            said = said.replace(f"--set {key}=", f"--sweep {key}=")
        raise RecipeError(said) from None


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


def _plan(
    folder: Path, points: Sequence[Point], recipes: Sequence[BaseModel], asked: RunOptions, todo: "Work[Any]"
) -> None:
    """Print what each point has left to do; of trainings that several share each counts them."""
    plans = []
    with interruptible("interrupted; a plan writes nothing"):
        for point, recipe in zip(points, recipes, strict=True):
            plan = todo.plan(recipe, folder / point.name, device=training_device(asked.device))
            plans.append({"point": point.name, **asdict(plan)})
            if not asked.as_json:
                print(f"point        {for_terminal(point.name)}")
                print_plan(plan, as_json=False)
    if asked.as_json:
        print_json(plans)
