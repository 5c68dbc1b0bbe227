"""The command line's entry: exit status 0 done, 1 failed with one line that says why, 2 wrong usage.

130 and 143 where Ctrl-C or SIGTERM ended it.
"""

import logging
import sys
from importlib import import_module
from typing import NoReturn

import typer

from ticketzoo.cli import recipes
from ticketzoo.errors import TicketzooError
from ticketzoo.util.os_errors import in_words
from ticketzoo.util.signals import Interrupted, exit_status, interruptible, raise_when_interrupted
from ticketzoo.util.text import for_terminal

app = typer.Typer(
    name="ticketzoo",
    help="Find, package, load and retrain lottery tickets, and say honestly whether they transfer.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for module in ("find", "transfer", "stability", "zoo", "search", "push_pull", "export"):
    import_module(f"ticketzoo.cli.{module}").register(app)
app.add_typer(recipes.app, name="recipe")


def main() -> NoReturn:
    """Run the command line and exit."""
    raise_when_interrupted()
    logging.getLogger("ticketzoo").addHandler(_Warnings())
    try:
        with interruptible("interrupted"):
            app()
    except TicketzooError as error:
        fail(str(error))
    except Interrupted as error:
        fail(str(error), exit_status())
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:  # a file that a command reads or writes beside its own checks
        fail(f"{in_words(error)} and run again")
    sys.exit(0)


class _Warnings(logging.Handler):
    """Prints what the library warns of, a line each on standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        print(f"ticketzoo: warning: {for_terminal(record.getMessage())}", file=sys.stderr)


def fail(message: str, status: int = 1) -> NoReturn:
    """Print one line on standard error and exit with `status`."""
    print(f"ticketzoo: {for_terminal(message)}", file=sys.stderr)
    sys.exit(status)
