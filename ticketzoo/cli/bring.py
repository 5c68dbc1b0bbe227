from pathlib import Path
from typing import Annotated

import typer

from ticketzoo.cli.options import JsonOption


def register(app: typer.Typer) -> None:
    """Add the command `import`."""
    app.command(name="import")(bring)


def _list(asked: bool) -> None:
    if asked:
        from ticketzoo.bridges.formats import format_of, names

        width = max(map(len, names()))
        for name in names():
            print(f"{name:{width}}  {format_of(name).words}")
        raise typer.Exit


def bring(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="A file or folder of another tool.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The folder of the new ticket.")],
    form: Annotated[
        str | None, typer.Option("--format", metavar="FORMAT", help="See --list.", show_default="told from the file")
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(
            metavar="BASE",
            help="The model under masks, adapters and updates: owner/name@commit, which the ticket then names, or a "
            "folder or file, which it then holds.",
        ),
    ] = None,
    base_copy: Annotated[
        Path | None, typer.Option("--base-copy", metavar="DIR", help="A copy of BASE's files, read instead of the Hub.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", show_default="the folder's", help="Of the ticket.")
    ] = None,
    keep: Annotated[float | None, typer.Option(help="Of scores: the part of each layer that stays.")] = None,
    task: Annotated[str | None, typer.Option(help="Of masks of several tasks: the one to take.")] = None,
    masked: Annotated[
        str | None,
        typer.Option(
            metavar="zero|frozen", help="What masks exclude: 0.0, or as in BASE.", show_default="the format's"
        ),
    ] = None,
    license: Annotated[str | None, typer.Option(metavar="SPDX", help="License of masks and weights.")] = None,
    as_json: JsonOption = False,
    listing: Annotated[
        bool, typer.Option("--list", callback=_list, is_eager=True, help="Print the formats and exit.")
    ] = False,
) -> None:
    """Make a ticket of masks in a file of another tool; prints the folder, and which format it took.

    Examples:

        ticketzoo import pruned-llama/ ticket --base owner/llama@COMMIT

        ticketzoo import mask.pth ticket --base model_ep0_it0.pth

        ticketzoo import adapter/ ticket --format shira --base owner/name@COMMIT
    """
    from ticketzoo.cli.output import print_json, say
    from ticketzoo.ticket.bring import from_file, named_base

    facts = {"name": name or out.resolve().name, "license": license} | ({"masked": masked} if masked else {})
    under = named_base(base, base_copy)
    ticket, found = from_file(source, form, under, facts, keep=keep, task=task)
    folder = ticket.save_pretrained(out)
    if as_json:
        shown = {"folder": str(folder), "ok": True, "format": found.name, "words": found.words, "kind": ticket.kind}
        print_json(shown | {"sparsity": ticket.sparsity, "parameters": len(ticket.config.shapes)})
        return
    say(f"ticketzoo: {source}: {found.words} ({found.name}); {ticket.kind}, sparsity {ticket.sparsity:.4f}")
    print(folder)
