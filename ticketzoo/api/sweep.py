"""Run a recipe at each point of a grid, with one table and one plot of all."""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch

from ticketzoo.api.recipes import read_for
from ticketzoo.api.run import kept_journal, running
from ticketzoo.distributed import processes
from ticketzoo.errors import RecipeError, RunError
from ticketzoo.finding import FindRecipe, find_and_package
from ticketzoo.instability.auto import find_from_stable
from ticketzoo.runs.progress import Progress
from ticketzoo.targets import TransferRecipe, run_transfer
from ticketzoo.util.arguments import checked
from ticketzoo.util.text import for_terminal
from ticketzoo.watching.sweep import Point, as_yaml, grid, swept, write_sweep
from ticketzoo.watching.sweep_report import SweepReport, check_points, write_sweep_report

_log = logging.getLogger("ticketzoo")


def _find(recipe: FindRecipe, out: Path, **told: Any) -> object:
    return (find_from_stable if recipe.rewinds_auto else find_and_package)(recipe, out, **told)


_WORK: dict[str, tuple[Any, Callable[..., object]]] = {
    "find": (FindRecipe, _find),
    "transfer": (TransferRecipe, run_transfer),
}


@checked
def sweep(  # noqa: PLR0913 - the options of the command
    command: Literal["find", "transfer"],
    recipe: str | Path,
    keys: Mapping[str, Sequence[Any]],
    *,
    set: Sequence[str] = (),
    out: str | Path | None = None,
    device: str | torch.device | None = None,
    executor: str = "local",
    progress: bool | Progress = True,
    log: str | None = None,
) -> SweepReport:
    """Run a recipe at each point of a grid, as `ticketzoo find RECIPE --sweep KEY=[A,B]` does, and return its report.

        sweep("find", "quickstart", {"finder.rate": [0.2, 0.5]})

    A point that cannot go on does not keep the others from being run.

    Args:
        command: whose recipe it is.
        recipe: a file, or the name of a shipped recipe.
        keys: values by key of the recipe; of several keys all combinations, the last key fastest.
        set: overrides of all points, such as `"seeds=[0]"`.
        out: folder of the sweep, with a run for each point; by default `runs/<name of the recipe>-by-<keys>`.
        device: such as `"cuda"`; by default a GPU where there is one, or what the executor chooses.
        executor: a name in the table of executors.
        progress: whether to show progress, or a listener: derive it from `ticketzoo.runs.progress.Quiet`.
        log: where curves of trainings go, as for `ticketzoo.find`.

    Raises:
        RecipeError: no grid, or a point's recipe asks for what cannot be; nothing is trained then.
        RunError: points failed; the message has the first.
    """
    kind, work = _WORK[command]
    points = grid([f"{key}={as_yaml(list(values))}" for key, values in keys.items()])

    def read(further: list[str]) -> Any:
        return read_for(command, recipe, kind, [*set, *further])

    def run(at_point: Any, folder: Path) -> None:
        with running(device, executor, progress) as where, kept_journal(command, at_point, folder, where, log) as told:
            work(at_point, folder, **told)

    base, recipes = recipes_at(points, read)
    folder = Path(out) if out is not None else folder_of_sweep(base, points)
    if failed := run_points(folder, command, base, recipes, run):
        raise RunError(failed)
    return write_sweep_report(folder)


def folder_of_sweep(base: str, points: Sequence[Point]) -> Path:
    """Return the folder of a sweep where none is given."""
    return Path("runs") / f"{base}-by-{swept(points)}"


def recipes_at(points: Sequence[Point], read: Callable[[list[str]], Any]) -> tuple[str, list[tuple[Point, Any]]]:
    """Return the recipe's name, and its points with their recipes.

    Args:
        points: of the sweep.
        read: reads the recipe with further overrides.

    Raises:
        RecipeError: one asks for what cannot be; it blames `--sweep` for the keys that this sets.
    """
    base: str = read([]).name
    return base, [(one, _read(read, one).model_copy(update={"name": one.named(base)})) for one in points]


def _read(read: Callable[[list[str]], Any], point: Point) -> Any:
    try:
        return read(point.overrides)
    except RecipeError as error:
        said = str(error)
        for key in point.values:
            said = said.replace(f"--set {key}=", f"--sweep {key}=")
        raise RecipeError(said) from None


def run_points(
    folder: Path, command: str, base: str, recipes: Sequence[tuple[Point, Any]], run: Callable[[Any, Path], object]
) -> str:
    """Run every point in a folder of its own in `folder`; return a line on those that failed, "" where none did.

    Args:
        folder: of the sweep.
        command: of ticketzoo.
        base: name of the recipe.
        recipes: points with their recipes.
        run: runs a recipe in a folder.

    Raises:
        RunError: `folder` holds a run, or cannot be written.
    """
    processes.from_first(lambda: check_points(folder))
    processes.from_first(lambda: write_sweep(folder, command, base, [point for point, _ in recipes]))
    failed: list[str] = []
    first = processes.rank() == 0
    for number, (point, recipe) in enumerate(recipes, 1):
        if first:
            _log.info("point %d of %d: %s", number, len(recipes), for_terminal(point.name))
        try:
            run(recipe, folder / point.name)
        except RunError as error:
            failed.append(f"{point.name}: {error}")
            if first:
                _log.warning("%s", failed[-1])
        processes.from_first(lambda: write_sweep_report(folder))
    return f"{len(failed)} of {len(recipes)} points failed, the first: {failed[0]}" if failed else ""
