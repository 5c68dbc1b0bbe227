"""The command line's entry: exit status 0 done, 1 failed with one line that says why, 2 wrong usage.

130 and 143 where Ctrl-C or SIGTERM ended it.
"""

import inspect
import logging
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Annotated, Any, NoReturn

import typer

from ticketzoo import __version__
from ticketzoo.cli import recipes
from ticketzoo.cli.output import any_encoding, drop_output, open_streams, print_json, say
from ticketzoo.errors import TicketzooError
from ticketzoo.util.os_errors import in_words
from ticketzoo.util.signals import Interrupted, as_usual, exit_status, interruptible, raise_when_interrupted
from ticketzoo.util.text import for_terminal

NARROW = 80
"""Columns of a terminal below which help is plain text, without boxes."""


def first_paragraph(command: Callable[..., Any] | None) -> str:
    """Return what lists of commands say of one; without it they cut its first line off where boxes have no room."""
    return " ".join((inspect.getdoc(command) or "").partition("\n\n")[0].split())


app = typer.Typer(
    name="ticketzoo",
    help="Find, package, load and retrain lottery tickets, and say honestly whether they transfer.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(asked: bool) -> None:
    if asked:
        print(f"ticketzoo {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Take the options that stand before a command."""


PANELS = {
    "Find and retrain": ("find", "transfer", "stability", "connect", "study", "judge", "reproduce", "evaluate"),
    "Runs": ("watch",),
    "Tickets": ("zoo", "search", "site", "add", "push_pull"),
    "Masks": ("compare", "bring", "combine", "align", "stretch", "repack", "export"),
    "Help": ("doctor",),
}
"""The modules of commands, by the heading of the help under which theirs stand."""


def _register() -> None:
    for panel, modules in PANELS.items():
        for module in modules:
            known = len(app.registered_commands)
            import_module(f"ticketzoo.cli.{module}").register(app)
            for command in app.registered_commands[known:]:
                command.rich_help_panel = panel
    app.add_typer(recipes.app, name="recipe", rich_help_panel="Find and retrain")
    for command in (*app.registered_commands, *recipes.app.registered_commands):
        command.short_help = first_paragraph(command.callback)


_register()


def main() -> NoReturn:
    """Run the command line and exit."""
    raise_when_interrupted()
    if shutil.get_terminal_size().columns < NARROW:
        app.rich_markup_mode = None  # whose help never cuts the name of an option
    open_streams()
    any_encoding()
    try:
        with interruptible("interrupted"), _lines_on_standard_error():
            status = _run()
        sys.stdout.flush()
    except TicketzooError as error:
        fail(str(error))
    except Interrupted as error:
        fail(str(error), exit_status())
    except BrokenPipeError:  # of a reader that has seen enough
        drop_output()
        sys.exit(1)
    except OSError as error:  # a file that a command reads or writes beside its own checks, or standard output
        where = "" if error.filename else "standard output: "
        if where:
            drop_output()
        fail(f"{where}{in_words(error)} and run again")
    finally:
        as_usual()
    sys.exit(status)


def _run() -> int:
    """Run the command and return its exit status. With `--json`, wrong usage is told in a JSON document, too."""
    try:
        if not _as_json():
            app()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0
    try:
        status: Any = app(standalone_mode=False)
    except Exception as error:  # wrong usage is of a class that typer does not name
        if not hasattr(error, "format_message"):
            raise
        fail(error.format_message(), getattr(error, "exit_code", 2))
    return status if isinstance(status, int) else 0


def _as_json() -> bool:
    return "--json" in sys.argv[1:]


@contextmanager
def _lines_on_standard_error() -> Iterator[None]:
    """Show what the library says while a command runs."""
    log, lines = logging.getLogger("ticketzoo"), _Lines()
    level = log.level
    log.setLevel(logging.INFO)
    log.addHandler(lines)
    try:
        yield
    finally:
        log.removeHandler(lines)
        log.setLevel(level)


class _Lines(logging.Handler):
    """Prints what the library says and warns of, a line each on standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        kind = "warning: " if record.levelno >= logging.WARNING else ""
        say(f"ticketzoo: {kind}{for_terminal(record.getMessage())}")


def fail(message: str, status: int = 1) -> NoReturn:
    """Print one line on standard error, with `--json` also a document that says it, and exit with `status`."""
    say(f"ticketzoo: {for_terminal(message)}")
    try:
        if _as_json() and os.environ.get("RANK", "0") == "0":  # of several processes the first alone
            print_json({"ok": False, "error": for_terminal(message), "status": status})
        sys.stdout.flush()
    except OSError:
        drop_output()
    sys.exit(status)
