from typing import TYPE_CHECKING

import typer

from ticketzoo.cli.recipe_command import Work, recipe_command

if TYPE_CHECKING:
    from ticketzoo.instability.report import StabilityReport


def register(app: typer.Typer) -> None:
    """Add the command `stability`."""
    app.command()(stability)


@recipe_command
def stability() -> "Work[StabilityReport]":
    """Find out from which step on training is stable to the order of the data, and so where to rewind to.

    Copies of a network are trained from a step with data orders of their own; it is stable if the error hardly rises on
    the line between their weights. Looks at the dense network and at tickets found by rewinding to that step.

    Examples:

        ticketzoo stability stability/lenet-300-100.mnist

        ticketzoo stability stability/lenet-300-100.mnist --set rewind_steps=[0it,2ep] --set seeds=[0] --out runs/try
    """
    from ticketzoo.instability import StabilityRecipe, plan_stability, run_stability

    return Work(StabilityRecipe, plan_stability, run_stability, _print)


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
