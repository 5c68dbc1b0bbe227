from typing import TYPE_CHECKING, Annotated

import typer

from ticketzoo.cli.options import JsonOption, VerboseOption

if TYPE_CHECKING:
    from ticketzoo.zoo.search import Hits


def register(app: typer.Typer) -> None:
    """Add the command `search`."""
    app.command()(search)


def search(
    architecture: Annotated[str | None, typer.Option(help="Such as lenet-300-100 or torchvision/resnet50.")] = None,
    task: Annotated[str | None, typer.Option(help="Such as image-classification.")] = None,
    source: Annotated[str | None, typer.Option(help="Data set it was found on, such as ylecun/mnist.")] = None,
    sparsity: Annotated[
        float | None,
        typer.Option(help="Fraction removed at some level, to within the bands of 0.5, 0.8, 0.9, 0.95, 0.98, 0.99."),
    ] = None,
    verdict: Annotated[
        str | None, typer.Option(help="Such as winning, matching, undecided, below or 'not measured', on its source.")
    ] = None,
    like: Annotated[
        str | None,
        typer.Option(
            metavar="TICKET",
            help="Only tickets of the network of this one, those that share most of its masks first; its "
            "level nearest to --sparsity is compared with theirs.",
        ),
    ] = None,
    registry: Annotated[
        str | None,
        typer.Option(
            metavar="DIR|hub:|hub:OWNER",
            show_default="hub:, or without a connection what ticketzoo list looks at",
            help="Where to look: a folder, the Hub, one of its owners.",
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Look at no more than this many repositories on the Hub.")] = 100,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Find tickets by what they are, on the Hub or in a folder.

    Examples:

        ticketzoo search --architecture lenet-300-100 --sparsity 0.9

        ticketzoo search --source ylecun/mnist --verdict winning --registry registry

        ticketzoo search --like lenet-300-100.mnist-imp --sparsity 0.9 --registry registry
    """
    from ticketzoo import load_ticket
    from ticketzoo.cli.output import quiet_transfers, say
    from ticketzoo.hub.errors import HubUnreachable
    from ticketzoo.zoo.search import AT_HAND, Query
    from ticketzoo.zoo.search import search as find

    quiet_transfers()
    ticket = load_ticket(like, sparsity=sparsity, masks_only=True) if like is not None else None
    if ticket is not None and architecture is None:
        architecture = ticket.config.architecture.name
    query = Query(architecture, task, source, sparsity, verdict)
    try:
        hits = find("hub:" if registry is None else registry, query, limit=limit)
    except HubUnreachable as error:
        if registry is not None:
            raise
        say(f"ticketzoo: warning: {str(error).removesuffix(AT_HAND)}; these are the tickets at hand")
        hits = find(None, query)
    show(hits if ticket is None else hits.like(ticket), as_json)


def show(hits: "Hits", as_json: bool) -> None:
    """Print the tickets that were found, and on standard error what was left out."""
    from ticketzoo.cli.output import print_json, say, show_table
    from ticketzoo.evaluation.tables import Table
    from ticketzoo.util.text import for_terminal

    for reason in hits.left_out:
        say(f"ticketzoo: left out: {reason}")
    for name in dict.fromkeys(one.folder.name for one in hits.summaries):
        if name in hits.shared:
            say(f"ticketzoo: warning: {hits.shared[name]}")
    if hits.hint and as_json:
        say(f"ticketzoo: {hits.hint}")
    if as_json:
        print_json(hits.as_json())
        return
    if not hits.summaries:
        print(f"no such tickets in {for_terminal(hits.where)}{f'; {hits.hint}' if hits.hint else ''}")
        return
    show_table(Table("", hits.columns, "l" * len(hits.columns), tuple(map(hits.cells, hits.summaries))))
