from pathlib import Path
from typing import Annotated

import typer

from ticketzoo.cli.options import DeviceOption, JsonOption, RegistryOption, TicketArgument

ToSeedOption = Annotated[
    int, typer.Option(help="Seed of the dense network whose units are matched; a replicate of the same run.")
]
OutOption = Annotated[
    Path, typer.Option("--out", "-o", metavar="DIR", help="The new folder; its name is that of the new ticket.")
]
SeedOption = Annotated[
    int | None, typer.Option(help="Replicate to align.", show_default="the first that is not --to-seed")
]
ByOption = Annotated[
    str,
    typer.Option(metavar="activations|weights", help="Match units by what they compute on training data, or weights."),
]
KeepOption = Annotated[
    bool,
    typer.Option("--keep-weights", help="Keep the replicate's own rewind weights, units moved, not the seed's."),
]
RunOption = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", help="Working folder of the run that found it.", show_default="the one that TICKET is in"
    ),
]
DataOption = Annotated[
    str | None, typer.Option(metavar="FOLDER|ID", help="Where its data are.", show_default="as its recipe says")
]
NameOption = Annotated[str | None, typer.Option(help="Name of the new ticket.", show_default="that of the folder")]


def register(app: typer.Typer) -> None:
    """Add the command `align`."""
    app.command()(align)


def align(
    ticket: TicketArgument,
    to_seed: ToSeedOption,
    out: OutOption,
    seed: SeedOption = None,
    by: ByOption = "activations",
    keep_weights: KeepOption = False,
    run: RunOption = None,
    data: DataOption = None,
    name: NameOption = None,
    registry: RegistryOption = None,
    device: DeviceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put a ticket's masks on another seed's weights, hidden units where their match is; prints the new folder.

    Units of the two dense networks are matched at the end of training (Adnan et al. 2025), so the run's cells/ are
    needed. Nothing is trained or measured; `ticketzoo verify` makes the masks again by the order that the ticket holds.

    Examples:

        ticketzoo align runs/lenet-300-100.mnist-imp/lenet-300-100.mnist-imp --to-seed 1 -o on-seed-1

        ticketzoo align lenet-300-100.mnist-imp --to-seed 2 --seed 0 --by weights --run runs/again -o on-seed-2
    """
    from ticketzoo.api.align import align_into
    from ticketzoo.api.progress import RunProgress
    from ticketzoo.cli.output import show_made
    from ticketzoo.util.signals import interruptible

    asked = {"seed": seed, "by": by, "keep_weights": keep_weights, "run": run, "data": data, "name": name}
    with interruptible("interrupted; give the same command again"), RunProgress(of="evaluation") as progress:
        made = align_into(ticket, to_seed, out, **asked, registry=registry, device=device, progress=progress)  # type: ignore[arg-type]
    show_made(made, out, as_json)
