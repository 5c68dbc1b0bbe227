from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ticketzoo.cli import options

if TYPE_CHECKING:
    from ticketzoo.connecting.report import ConnectReport

RunArgument = Annotated[
    Path, typer.Argument(metavar="RUN", help="Working folder of a finished ticketzoo find, or its ticket's folder.")
]
OtherArgument = Annotated[
    Path | None,
    typer.Argument(metavar="OTHER", help="Another run of the same network.", show_default="replicates of RUN"),
]
LevelsOption = Annotated[
    bool, typer.Option("--levels", help="Lines between successive levels, and from dense to each.")
]
AlignOption = Annotated[
    str,
    typer.Option(
        metavar="none|weights|activations",
        help="Put the hidden units of one network in the order of the other's, as far as they can be matched.",
    ),
]
LevelOption = Annotated[int, typer.Option(min=0, help="Level of the networks at the ends of lines between runs.")]
PointsOption = Annotated[int, typer.Option(min=3, max=1000, help="Points on each line, both ends included.")]
SplitOption = Annotated[str, typer.Option(metavar="test|validation", help="Split to measure the error on.")]
QuantityOption = Annotated[
    str, typer.Option(metavar="error|loss", help="What to measure along lines: 1 minus the task's metric, or the loss.")
]
ThresholdOption = Annotated[
    float, typer.Option(help="Barrier up to which two levels are connected, in the unit of what is measured.")
]
EpsilonOption = Annotated[
    float | None,
    typer.Option(
        help="Error above dense's up to which a level is matching.",
        show_default="one standard deviation of dense over seeds",
    ),
]
SeedsOption = Annotated[list[int] | None, typer.Option("--seed", help="Replicate; repeatable.", show_default="all")]
DataOption = Annotated[
    str | None, typer.Option(metavar="FOLDER|ID", help="Where its data are.", show_default="as its recipe says")
]
FolderOption = Annotated[
    Path | None,
    typer.Option("--out", "-o", metavar="DIR", help="Folder for results.", show_default="connectivity in RUN"),
]


def register(app: typer.Typer) -> None:
    """Add the command `connect`."""
    app.command()(connect)


def connect(
    run: RunArgument,
    other: OtherArgument = None,
    levels: LevelsOption = False,
    align: AlignOption = "none",
    level: LevelOption = 0,
    points: PointsOption = 11,
    split: SplitOption = "test",
    quantity: QuantityOption = "error",
    threshold: ThresholdOption = 0.02,
    epsilon: EpsilonOption = None,
    seeds: SeedsOption = None,
    data: DataOption = None,
    overrides: options.SetOption = None,
    out: FolderOption = None,
    device: options.DeviceOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Measure the error along lines between networks that a finished run keeps; nothing is trained.

    With --levels (Paul et al. 2023): a level is expected to match dense where no barrier lies between it and the level
    before. Prints barriers beside errors, how often the two agree, the sparsest level that barriers predict, and what
    the masks of a level do to the network before without training.

    Without it, lines go between the replicates of a run, or of two, as they are and with --align after their hidden
    units were matched (Ainsworth et al. 2023); masks are compared in the same way. Give the same command again after
    it was stopped.

    Examples:

        ticketzoo connect runs/lenet-300-100.mnist-imp --levels

        ticketzoo connect runs/lenet-300-100.mnist-imp --levels --points 5 --seed 0 --epsilon 0.002

        ticketzoo connect runs/lenet-300-100.mnist-imp --align weights --seed 0 --seed 1
    """
    from ticketzoo.util.signals import interruptible

    if levels and (other is not None or align != "none" or level):
        raise typer.BadParameter("--levels goes without OTHER, --align and --level: it connects the levels of one run")
    lines: dict[str, Any] = {"points": points, "split": split, "quantity": quantity, "seeds": seeds}
    own = {"threshold": threshold, "epsilon": epsilon} if levels else {"align": align, "level": level}
    source: dict[str, Any] = {"data": data, "overrides": overrides or ()}
    with interruptible(f"interrupted; the same command goes on from what is kept in {run}"):
        report = _measured(run, other, lines | own, source, out=out, device=device, levels=levels)
    _print(report, as_json)


def _measured(
    folder: Path,
    other: Path | None,
    asked: dict[str, Any],
    source: dict[str, Any],
    *,
    out: Path | None,
    device: str | None,
    levels: bool,
) -> "ConnectReport":
    from ticketzoo.api.progress import RunProgress
    from ticketzoo.connecting import LevelsConfig, PairsConfig, run_levels, run_pairs
    from ticketzoo.connecting.config import config_of
    from ticketzoo.connecting.kept import KeptRun
    from ticketzoo.connecting.pair_report import folder_of
    from ticketzoo.connecting.report import folder_of_levels
    from ticketzoo.distributed.device import training_device
    from ticketzoo.watching.watched import asked_for, watched

    with RunProgress(of="evaluation") as progress:
        config: Any = config_of(LevelsConfig if levels else PairsConfig, folder.resolve().name, asked)
        run = KeptRun.read(folder, **source)
        config = config.model_copy(update={"name": run.ticket.name})
        second = run if other is None else KeptRun.read(other, **source)
        folder = out or (folder_of_levels(config, run) if levels else folder_of(config, run, second))
        with watched(folder, asked_for("connect", config), progress) as told:
            where: dict[str, Any] = {"out": out, "device": training_device(device), "progress": told}
            return run_levels(config, run, **where) if levels else run_pairs(config, run, second, **where)


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
