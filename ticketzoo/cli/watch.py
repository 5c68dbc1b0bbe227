"""Commands that look at runs: report, runs, clean."""

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from ticketzoo.cli.completion import run_folders
from ticketzoo.cli.options import JsonOption

if TYPE_CHECKING:
    from ticketzoo.watching.report import RunReport

RunArgument = Annotated[
    Path,
    typer.Argument(
        metavar="DIR", autocompletion=run_folders, help="Working folder of a run, finished or not, or of a sweep."
    ),
]
RunsArgument = Annotated[
    Path, typer.Argument(metavar="DIR", autocompletion=run_folders, help="Folder of working folders, or one of them.")
]
PlotsOption = Annotated[
    Path | None,
    typer.Option("--plots", metavar="DIR", help="Folder for plots of an unfinished run.", show_default="watch/now"),
]
YesOption = Annotated[bool, typer.Option("--yes", help="Remove it; without this nothing is touched.")]


def register(app: typer.Typer) -> None:
    """Add the commands `report`, `runs` and `clean`."""
    app.command()(report)
    app.command()(runs)
    app.command()(clean)


def report(folder: RunArgument, plots: PlotsOption = None, as_json: JsonOption = False) -> None:
    """Show a run again: table, plots, verdict, and what is left; also while it runs, or after it was killed.

    Reads what the run has written, and neither its data nor its weights.

    Examples:

        ticketzoo report runs/lenet-300-100.mnist-imp

        ticketzoo report runs/lenet-300-100.mnist-imp --json
    """
    from ticketzoo.cli.output import print_json
    from ticketzoo.cli.sweep import show_sweep
    from ticketzoo.watching.folder import is_sweep
    from ticketzoo.watching.journal import FOLDER
    from ticketzoo.watching.report import report_on
    from ticketzoo.watching.sweep_report import report_on_sweep

    if is_sweep(folder):
        show_sweep(report_on_sweep(folder), as_json)
        return
    found = report_on(folder, plots=plots or folder / FOLDER / "now")
    if as_json:
        print_json(found.as_json())
    else:
        _print(found)


def _print(found: "RunReport") -> None:
    from ticketzoo.cli.output import show_table
    from ticketzoo.util.text import for_terminal
    from ticketzoo.watching.left import left_table

    print(for_terminal(found.title))
    if found.left and found.run.state != "finished":
        show_table(left_table(found.left))
    for table in found.tables:
        show_table(table, folds=0.75)
    for line in found.text.splitlines():
        print(for_terminal(line))
    for line in found.sentences:
        print(for_terminal(line))
    for path in found.plots:
        print(f"plot: {path}")
    print(found.run.folder)


def runs(folder: RunsArgument = Path("runs"), as_json: JsonOption = False) -> None:
    """List the folders of runs: kind, state, size, last change.

    Examples:

        ticketzoo runs

        ticketzoo runs runs/mine --json
    """
    from datetime import datetime

    from ticketzoo.cli.output import print_json, show_table
    from ticketzoo.errors import RunError
    from ticketzoo.evaluation.tables import Table
    from ticketzoo.util.text import counted, shortened, show_bytes
    from ticketzoo.watching.folder import read_run, runs_in

    if not folder.is_dir():
        raise RunError(f"{folder}: no such folder; give the folder of your runs")
    found = [(run, run.size(), run.changed()) for run in map(read_run, runs_in(folder))]
    if as_json:
        keys = ("command", "name", "state", "why", "done", "planned")
        print_json(
            [
                {
                    "folder": str(run.folder),
                    **{key: getattr(run, key) for key in keys},
                    "bytes": size,
                    "changed": changed,
                }
                for run, size, changed in found
            ]
        )
        return
    lines = tuple(
        (
            str(run.folder),
            run.command,
            shortened(run.words),
            show_bytes(size),
            f"{datetime.fromtimestamp(changed):%Y-%m-%d %H:%M}",
        )
        for run, size, changed in found
    )
    total = show_bytes(sum(size for _, size, _ in found))
    caption = f"{counted(len(found), 'run')} in {folder}, {total}"
    show_table(Table(caption, ("folder", "kind", "state", "size", "last change"), "lllrl", lines))


def clean(folder: RunsArgument = Path("runs"), yes: YesOption = False, as_json: JsonOption = False) -> None:
    """Say what runs no longer need: checkpoints, what dead processes half wrote, trainings of no recipe; free it.

    Frees nothing without --yes, and never touches a run in use. Trained weights of finished runs stay: they are what
    ticketzoo connect reads.

    Examples:

        ticketzoo clean

        ticketzoo clean runs/mine --yes
    """
    from ticketzoo.cli.output import print_json
    from ticketzoo.util.text import counted, for_terminal, show_bytes
    from ticketzoo.watching.clean import clean_runs

    found = clean_runs(folder, remove=yes)
    if as_json:
        print_json(
            {
                "removed": yes,
                "bytes": sum(one.bytes for one in found),
                "runs": [
                    {
                        "folder": str(one.folder),
                        "kept": one.kept,
                        "freed": [{"path": str(it.path), "why": it.why, "bytes": it.bytes} for it in one.freed],
                    }
                    for one in found
                ],
            }
        )
        return
    for one in found:
        for it in one.freed:
            print(for_terminal(f"{'freed' if yes else 'would free'} {show_bytes(it.bytes)}: {it.path} ({it.why})"))
        if one.kept:
            print(for_terminal(f"{one.folder}: {one.kept}"))
    total, of = show_bytes(sum(one.bytes for one in found)), counted(len(found), "run")
    command = f": ticketzoo clean {quote(str(folder))} --yes" * any(one.freed for one in found)
    print(for_terminal(f"{total} of {of} {'freed' if yes else f'can be freed{command}'}"))
