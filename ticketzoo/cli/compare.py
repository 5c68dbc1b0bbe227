from pathlib import Path
from typing import Annotated

import typer

from ticketzoo.cli.options import JsonOption, RegistryOption

MOST_LAYERS = 20
"""Layers of which a table shows a line each."""


def register(app: typer.Typer) -> None:
    """Add the command `compare`."""
    app.command()(compare)


def compare(
    tickets: Annotated[
        list[str],
        typer.Argument(metavar="TICKET", help="Names (ticketzoo list), folders or Hub ids."),
    ],
    level: Annotated[
        int | None, typer.Option(help="One pruning level of the first ticket.", show_default="all that go together")
    ] = None,
    sparsity: Annotated[float | None, typer.Option(help="Instead, the level nearest to this sparsity.")] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DATASET[=DIR]",
            help="Count weights apart that read an input which is the same in all training images of this data set, "
            "of which DIR is a copy; repeatable.",
        ),
    ] = None,
    unread: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Inputs that never change: safetensors, by mask a row of zeros and ones, 1 for those."
        ),
    ] = None,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw a figure into this PNG file.")] = None,
    registry: RegistryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare the masks of tickets: their overlap beside that of random masks as dense in each layer.

    All pairs of replicates are compared, within tickets and between them, level by level and layer by layer.

    Examples:

        ticketzoo compare lenet-300-100.mnist-imp lenet-300-100.fashion-mnist-imp

        ticketzoo compare lenet-300-100.mnist-imp --sparsity 0.9 --data ylecun/mnist --plot overlap.png
    """
    import ticketzoo
    from ticketzoo.cli.output import print_json, quiet_transfers, say, show_table
    from ticketzoo.util.text import counted

    quiet_transfers()
    folders = {name: folder or None for name, _, folder in (one.partition("=") for one in data or ())}
    found = ticketzoo.compare(
        *tickets, level=level, sparsity=sparsity, data=folders or None, unread=unread, registry=registry
    )
    if plot is not None:
        found.plot(plot)
        say(f"ticketzoo: figure: {plot}")
    for note in found.notes:
        say(f"ticketzoo: {note}")
    if as_json:
        print_json(found.as_json())
        return
    for table in found.tables():
        shown, left = table.folded("layer", MOST_LAYERS)
        show_table(shown)
        if left:
            print(f"and {counted(left, 'more layer')}: --json has all")
