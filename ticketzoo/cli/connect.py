from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ticketzoo.cli import options

if TYPE_CHECKING:
    from ticketzoo.connecting.report import ConnectReport


def register(app: typer.Typer) -> None:
    """Add the command `connect`."""
    app.command()(connect)


def connect(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="Working folder of a finished ticketzoo find, or its ticket's folder.")
    ],
    levels: Annotated[
        bool, typer.Option("--levels", help="Lines between successive levels, and from dense to each.")
    ] = False,
    points: Annotated[int, typer.Option(min=3, max=1000, help="Points on each line, both ends included.")] = 11,
    split: Annotated[str, typer.Option(metavar="test|validation", help="Split to measure the error on.")] = "test",
    threshold: Annotated[
        float, typer.Option(help="Barrier up to which two networks are connected, in the metric's unit.")
    ] = 0.02,
    epsilon: Annotated[
        float | None,
        typer.Option(
            help="Error above dense's up to which a level is matching.",
            show_default="one standard deviation of dense over seeds",
        ),
    ] = None,
    seeds: Annotated[
        list[int] | None, typer.Option("--seed", help="Replicate; repeatable.", show_default="all")
    ] = None,
    data: Annotated[
        str | None, typer.Option(metavar="FOLDER|ID", help="Where its data are.", show_default="as its recipe says")
    ] = None,
    overrides: options.SetOption = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for results.", show_default="connectivity in RUN")
    ] = None,
    device: options.DeviceOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Measure the error along lines between networks that a finished run keeps; nothing is trained.

    With --levels (Paul et al. 2023): a level is expected to match dense where no barrier lies between it and the level
    before. Prints barriers beside errors, how often the two agree, and the sparsest level that barriers predict. Give
    the same command again after it was stopped.

    Examples:

        ticketzoo connect runs/lenet-300-100.mnist-imp --levels

        ticketzoo connect runs/lenet-300-100.mnist-imp --levels --points 5 --seed 0 --epsilon 0.002
    """
    from ticketzoo.api.progress import RunProgress
    from ticketzoo.connecting import run_levels
    from ticketzoo.connecting.config import levels_config
    from ticketzoo.connecting.kept import KeptRun
    from ticketzoo.distributed.device import training_device
    from ticketzoo.util.signals import interruptible

    if not levels:
        raise typer.BadParameter("say what to connect: --levels")
    stopped = f"interrupted; the same command goes on from what is kept in {run}"
    with interruptible(stopped), RunProgress() as progress:
        kept = KeptRun.read(run, data=data, overrides=overrides or ())
        asked = {"points": points, "split": split, "threshold": threshold, "epsilon": epsilon, "seeds": seeds}
        config = levels_config(kept.ticket.name, asked)
        report = run_levels(config, kept, out=out, device=training_device(device), progress=progress)
    _print(report, as_json)


def _print(report: "ConnectReport", as_json: bool) -> None:
    from ticketzoo.cli.output import console, print_json
    from ticketzoo.util.text import for_terminal

    if as_json:
        print_json({"folder": str(report.folder), "files": list(report.files), **report.summary})
        return
    for table in report.tables:
        console().print(table.rich())
    for line in report.sentences:
        print(for_terminal(line))
    print(f"report: {report.folder / 'report.md'}")
    print(report.folder)
