from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ticketzoo.cli.options import (
    CheckpointOption,
    DeviceOption,
    ExecutorOption,
    JsonOption,
    PlanOption,
    RecipeArgument,
    SetOption,
)

if TYPE_CHECKING:
    from ticketzoo.stability.report import StabilityReport


def register(app: typer.Typer) -> None:
    """Add the command `stability`."""
    app.command()(stability)


def stability(
    recipe: RecipeArgument,
    overrides: SetOption = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Working folder.", show_default="runs/<name of the recipe>")
    ] = None,
    device: DeviceOption = None,
    executor: ExecutorOption = "local",
    checkpoint_seconds: CheckpointOption = 60.0,
    plan: PlanOption = False,
    as_json: JsonOption = False,
) -> None:
    """Find out from which step on training is stable to the order of the data, and so where to rewind to.

    Copies of a network are trained from a step with data orders of their own; it is stable if the error hardly rises on
    the line between their weights. Looks at the dense network and at tickets found by rewinding to that step.

    Examples:

        ticketzoo stability stability/lenet-300-100.mnist

        ticketzoo stability stability/lenet-300-100.mnist --set rewind_steps=[0it,2ep] --set seeds=[0] --out runs/try
    """
    from ticketzoo.cli.plan import print_plan
    from ticketzoo.cli.recipes import read_for
    from ticketzoo.cli.running import running_in
    from ticketzoo.interruption import interruptible
    from ticketzoo.stability import StabilityRecipe, plan_stability, run_stability
    from ticketzoo.training.device import training_device
    from ticketzoo.training.joining import joined
    from ticketzoo.training.processes import rank

    with joined(device):
        parsed = read_for("stability", recipe, StabilityRecipe, overrides)
        folder = out or Path("runs") / parsed.name
        if plan:
            with interruptible("interrupted; a plan writes nothing"):
                print_plan(plan_stability(parsed, folder, device=training_device(device)), as_json)
            return
        with running_in(folder) as progress:
            report = run_stability(
                parsed,
                folder,
                device=None if device is None and executor == "ray" else training_device(device),
                executor=executor,
                checkpoint_seconds=checkpoint_seconds,
                progress=progress,
            )
        if rank() == 0:
            _print(report, folder, as_json)


def _print(report: "StabilityReport", folder: Path, as_json: bool) -> None:
    from ticketzoo.cli.output import console, print_json
    from ticketzoo.escaping import for_terminal

    if as_json:
        starts = {str(level): step for level, step in report.stable_from.items()}
        print_json(
            {
                "folder": str(folder),
                "files": report.files,
                "stable_from": starts,
                "suggested_step": report.suggested_step,
            }
        )
        return
    console().print(report.table.rich())
    for line in report.sentences:
        print(for_terminal(line))
    print(f"plot: {folder / 'instability.png'}")
    print(f"report: {folder / 'report.md'}")
    print(folder)
