"""The command line's entry: exit status 0 done, 1 failed with one line that says why, 2 wrong usage."""

import signal
import sys
from types import FrameType
from typing import NoReturn

import typer

from ticketzoo.cli import export, find, push_pull, recipes, search, transfer, zoo
from ticketzoo.errors import TicketzooError

app = typer.Typer(
    name="ticketzoo",
    help="Find, package, load and retrain lottery tickets, and say honestly whether they transfer.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for module in (find, transfer, zoo, search, push_pull, export):
    module.register(app)
app.add_typer(recipes.app, name="recipe")


class Interrupted(BaseException):
    """Ctrl-C or SIGTERM."""


def main() -> NoReturn:
    """Run the command line and exit."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        app()
    except TicketzooError as error:
        fail(str(error))
    except Interrupted:
        fail("interrupted; what was finished is kept, the same command goes on from there")
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    sys.exit(0)


def fail(message: str) -> NoReturn:
    """Print one line on standard error and exit with status 1."""
    print(f"ticketzoo: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(1)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise Interrupted
