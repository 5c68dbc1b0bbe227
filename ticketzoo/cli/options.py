"""Arguments and options that several commands share."""

import logging
from pathlib import Path
from typing import Annotated

import typer

from ticketzoo.cli.completion import recipe_names, ticket_names
from ticketzoo.runs.executor import EXECUTORS
from ticketzoo.seeds import FIRST_LOOK, MAX_SEEDS
from ticketzoo.watching.loggers import LOGGERS


def _known_executor(name: str) -> str:
    try:
        return EXECUTORS.known(name)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _known_logger(name: str | None) -> str | None:
    try:
        return name if name is None else LOGGERS.known(name)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _let_client_talk(verbose: bool) -> bool:
    if verbose:
        logging.getLogger("ticketzoo.hub").setLevel(logging.DEBUG)
    return verbose


def _decided(until: str | None) -> str | None:
    if until not in (None, "decided"):
        raise typer.BadParameter(f"give decided, not {until!r}")
    return until


RecipeArgument = Annotated[
    str,
    typer.Argument(
        metavar="RECIPE",
        autocompletion=recipe_names,
        help="A recipe file, or the name of a shipped one (ticketzoo recipe list).",
    ),
]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the recipe; repeatable.")
]
OutOption = Annotated[
    Path | None,
    typer.Option("--out", "-o", metavar="DIR", help="Working folder.", show_default="runs/ and the recipe's name"),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]
VerboseOption = Annotated[
    bool,
    typer.Option(
        "--verbose",
        callback=_let_client_talk,
        help="Show more, such as what the Hub's client says of its own attempts.",
    ),
]
TicketArgument = Annotated[
    str,
    typer.Argument(
        metavar="TICKET",
        autocompletion=ticket_names,
        help="A name (ticketzoo list), a folder (./folder), or a Hub id (owner/name[@revision]).",
    ),
]
REGISTRY_DEFAULT = (
    "registry/ and runs/ here, then the tickets that come with ticketzoo; TICKETZOO_REGISTRY replaces first and last"
)
RegistryOption = Annotated[
    Path | None,
    typer.Option(
        "--registry",
        metavar="DIR",
        show_default=REGISTRY_DEFAULT,
        help="Folder of tickets, or of runs, in which a name is looked up; no matter for folders and Hub ids.",
    ),
]
DeviceOption = Annotated[
    str | None,
    typer.Option(metavar="cpu|cuda|mps", help="Where to train; a GPU is cuda.", show_default="the best there is"),
]
ExecutorOption = Annotated[
    str,
    typer.Option(
        metavar="|".join(EXECUTORS),
        callback=_known_executor,
        help="Where to train. " + "; ".join(f"{entry.name}: {entry.words}" for entry in EXECUTORS.values()) + ".",
    ),
]
CheckpointOption = Annotated[
    float,
    typer.Option(
        "--checkpoint-seconds", metavar="SECONDS", min=0, help="Write a checkpoint of the running training this often."
    ),
]
PlanOption = Annotated[
    bool, typer.Option("--plan", help="Train nothing; say what there is to do, and how long it takes on this device.")
]
LogOption = Annotated[
    str | None,
    typer.Option(
        "--log",
        metavar="|".join(LOGGERS),
        callback=_known_logger,
        help="Log the curve of each training, too. "
        + "; ".join(f"{entry.name}: {entry.words}" for entry in LOGGERS.values())
        + ".",
    ),
]
UntilOption = Annotated[
    str | None,
    typer.Option(
        "--until",
        metavar="decided",
        callback=_decided,
        help="Add seeds, in looks at 3, 5, 7 and 10 of them, until every level is matching or below.",
    ),
]
SweepOption = Annotated[
    list[str] | None,
    typer.Option(
        "--sweep",
        metavar="KEY=[A,B,...]",
        help="Run the recipe with each of these values, a folder and a line of one table each; repeatable, for a grid.",
    ),
]
DeadLayersOption = Annotated[
    bool,
    typer.Option(
        "--allow-dead-layers", help="Go on where a level keeps no weight of a layer, and say how many are effective."
    ),
]
MaxSeedsOption = Annotated[
    int | None,
    typer.Option(
        "--max-seeds",
        metavar="N",
        min=FIRST_LOOK,
        max=MAX_SEEDS,
        help="With --until decided: seeds at the last look.",
        show_default="10",
    ),
]
