from pathlib import Path
from typing import Annotated

import typer

from ticketzoo.cli.options import JsonOption, RegistryOption, TicketArgument


def register(app: typer.Typer) -> None:
    """Add the command `export`."""
    app.command()(export)


def export(
    ticket: TicketArgument,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The safetensors file, or folder, to write.")],
    form: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="FORMAT",
            help="state-dict, trained, torch-prune, masks; transformers: a folder for from_pretrained; shira or patch: "
            "a delta as an adapter of peft, or as indices and values; small: the smaller dense network.",
        ),
    ] = "state-dict",
    trained: Annotated[
        bool,
        typer.Option(
            "--trained", help="Of the trained weights: --to trained, or with --to small the smaller trained network."
        ),
    ] = False,
    level: Annotated[int | None, typer.Option(help="Pruning level.", show_default="the ticket's own choice")] = None,
    seed: Annotated[int | None, typer.Option(help="Replicate.", show_default="the first")] = None,
    registry: RegistryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write one level of a ticket for other tools, as a safetensors file or a folder with one.

    Examples:

        ticketzoo export lenet-300-100.mnist-imp --level 9 --to state-dict lenet.safetensors

        ticketzoo export lenet-300-100.mnist-imp --level 9 --to torch-prune pruned.safetensors

        ticketzoo export ./runs/NAME/NAME --trained network.safetensors

        ticketzoo export ./runs/NAME/NAME --to small small.safetensors
    """
    from dataclasses import asdict

    from ticketzoo import load_ticket
    from ticketzoo.cli.output import print_json
    from ticketzoo.ticket.export import export_ticket

    loaded = load_ticket(ticket, level=level, seed=seed, registry=registry)
    if trained:
        form = "small-trained" if form == "small" else "trained"
    small = export_ticket(loaded, form, out)
    saved = small.saved() if small else None
    if as_json:
        facts = {"file": str(out), "to": form, "level": loaded.level, "sparsity": loaded.sparsity}
        print_json(facts | (asdict(saved) if saved else {}))
        return
    print(f"{out}: level {loaded.level}, sparsity {loaded.sparsity:.3f}, seed {loaded.seed}, as {form}")
    if saved:
        print(saved.words)
