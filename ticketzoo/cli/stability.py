from typing import TYPE_CHECKING

import typer

from ticketzoo.cli import options

if TYPE_CHECKING:
    from ticketzoo.stability.report import StabilityReport


def register(app: typer.Typer) -> None:
    """Add the command `stability`."""
    app.command()(stability)


def stability(
    recipe: options.RecipeArgument,
    overrides: options.SetOption = None,
    out: options.OutOption = None,
    device: options.DeviceOption = None,
    executor: options.ExecutorOption = "local",
    checkpoint_seconds: options.CheckpointOption = 60.0,
    plan: options.PlanOption = False,
    as_json: options.JsonOption = False,
) -> None:
    """Find out from which step on training is stable to the order of the data, and so where to rewind to.

    Copies of a network are trained from a step with data orders of their own; it is stable if the error hardly rises on
    the line between their weights. Looks at the dense network and at tickets found by rewinding to that step.

    Examples:

        ticketzoo stability stability/lenet-300-100.mnist

        ticketzoo stability stability/lenet-300-100.mnist --set rewind_steps=[0it,2ep] --set seeds=[0] --out runs/try
    """
    from ticketzoo.cli.recipes import read_for
    from ticketzoo.cli.running import RunOptions, plan_or_run
    from ticketzoo.distributed.joining import joined
    from ticketzoo.stability import StabilityRecipe, plan_stability, run_stability

    asked = RunOptions(out, device, executor, checkpoint_seconds, plan, as_json)
    with joined(device):
        parsed = read_for("stability", recipe, StabilityRecipe, overrides)
        plan_or_run(parsed, asked, plan=plan_stability, run=run_stability, show=_print)


def _print(report: "StabilityReport", as_json: bool) -> None:
    from ticketzoo.cli.output import console, print_json
    from ticketzoo.util.text import for_terminal

    if as_json:
        starts = {str(level): step for level, step in report.stable_from.items()}
        print_json(
            {
                "folder": str(report.folder),
                "files": report.files,
                "stable_from": starts,
                "suggested_step": report.suggested_step,
            }
        )
        return
    console().print(report.table.rich())
    for line in report.sentences:
        print(for_terminal(line))
    print(f"plot: {report.folder / 'instability.png'}")
    print(f"report: {report.folder / 'report.md'}")
    print(report.folder)
