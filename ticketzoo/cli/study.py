from typing import TYPE_CHECKING

import typer

from ticketzoo.cli.recipe_command import Work, recipe_command

if TYPE_CHECKING:
    from ticketzoo.studies.run import StudyReport


def register(app: typer.Typer) -> None:
    """Add the command `study`."""
    app.command()(study)


@recipe_command
def study() -> "Work[StudyReport]":
    """Run a study: an experiment with masks that packages nothing, and writes rows, tables, a plot and a paragraph.

    A study's own name stands for its recipe on scikit-learn's digits. freeze: pruned weights at 0 or frozen where they
    began. subset-sum: a network's weights made of subsets of random ones. weight-agnostic: a ticket's mask with one
    value for all weights. double-descent: what pruning does to networks that were trained on wrong labels.
    grokking, on sums: how long after fitting a network generalises, and its tickets. tangent: tickets where
    training is linear in the weights. Give the same command again after a run was stopped.

    Examples:

        ticketzoo study freeze

        ticketzoo study freeze --set study.actions=[zero,freeze] --set study.levels=2 --out runs/try

        ticketzoo study subset-sum --set study.counts=[8,12,16]

        ticketzoo study weight-agnostic --set study.ticket=./runs/mine/my-ticket
    """
    from ticketzoo.studies import StudyRecipe, plan_study, run_study

    return Work(StudyRecipe, plan_study, run_study, _print)


def _print(report: "StudyReport", as_json: bool) -> None:
    from dataclasses import asdict

    from ticketzoo.cli.output import console, print_json
    from ticketzoo.util.text import for_terminal

    if as_json:
        tables = [asdict(table) for table in report.tables]
        print_json({"folder": str(report.folder), "files": list(report.files), "text": report.text, "tables": tables})
        return
    for table in report.tables:
        console().print(table.rich())
    print(for_terminal(report.text))
    print(f"report: {report.folder / 'report.md'}")
    print(report.folder)
