"""Printing: one JSON document on standard output, or tables for people."""

import codecs
import contextlib
import io
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

if TYPE_CHECKING:
    from ticketzoo.evaluation.tables import Table
    from ticketzoo.ticket import Ticket

WIDE = 10_000
"""Columns of what is not a terminal: more than any line has."""
ASCII = {"\N{PLUS-MINUS SIGN}": "+-", "\N{HORIZONTAL ELLIPSIS}": "...", "\N{REPLACEMENT CHARACTER}": "?"}
"""What stands for letters that an encoding has not; others are escaped, as in `\\u0142`."""


def open_streams() -> None:
    """Put the null device in the place of standard streams that are closed, before a file of ours gets their number."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)
            with contextlib.suppress(OSError):
                os.fstat(number)
                number = null
            if number != null:
                os.dup2(null, number)
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - until the end


def drop_output() -> None:
    """Throw away what standard output cannot take, so that the end of the process does not try again."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def say(line: str) -> None:
    """Print a line on standard error, if that takes it."""
    with contextlib.suppress(OSError):
        print(line, file=sys.stderr)


def print_json(document: Any) -> None:
    """Print the one JSON document of a command run with `--json`."""
    print(json.dumps(document, indent=2, allow_nan=False))


def any_encoding() -> None:
    """Write what the encoding of standard output or error has no letters for in ASCII."""
    codecs.register_error("ticketzoo", _in_ascii)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="ticketzoo")


def _in_ascii(error: UnicodeError) -> tuple[str | bytes, int]:
    """Return what stands for letters that cannot be encoded, and where to go on."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    known = (ASCII.get(letter) or letter.encode("ascii", "backslashreplace").decode() for letter in letters)
    return "".join(known), error.end


def console() -> Console:
    """Return a console on standard output that keeps its lines whole when it is not a terminal."""
    return Console(width=None if sys.stdout.isatty() else WIDE, highlight=False)


def show_table(table: "Table", *, folds: float = 1.0) -> None:
    """Print a table; where the terminal is too narrow for it a record a line, its first cell whole on a line alone.

    Args:
        table: of text.
        folds: the part of its width down to which its cells are folded, between words, rather than that.
    """
    from rich.measure import Measurement
    from rich.padding import Padding
    from rich.text import Text

    from ticketzoo.util.text import for_terminal

    screen, drawn = console(), table.rich()
    if Measurement.get(screen, screen.options.update_width(WIDE), drawn).maximum * folds <= screen.width:
        screen.print(drawn)
        return
    for name, *cells in table.rows:
        print(for_terminal(name if table.align[0] == "l" else f"{table.columns[0]} {name}"))
        facts = "; ".join(f"{column} {cell}" for column, cell in zip(table.columns[1:], cells, strict=True) if cell)
        screen.print(Padding(Text(for_terminal(facts)), (0, 0, 0, 4)))
    if table.caption:
        screen.print(Text(for_terminal(table.caption)))


def show_made(made: "Ticket", out: Path, as_json: bool) -> None:
    """Print what a ticket that was made of others keeps at each level, and its folder; or both as JSON."""
    if as_json:
        levels = [entry.model_dump(mode="json") for entry in made.levels]
        print_json({"folder": str(out), "ok": True, "name": made.name, "levels": levels, "seeds": made.seeds})
        return
    for entry in made.levels:
        say(f"ticketzoo: level {entry.level}: sparsity {entry.sparsity:.3f}, {entry.kept_in_words} weights kept")
    print(out)


def quiet_transfers() -> None:
    """Show progress bars of transfers on a terminal only."""
    from huggingface_hub.utils import disable_progress_bars

    if not sys.stderr.isatty():
        disable_progress_bars()
