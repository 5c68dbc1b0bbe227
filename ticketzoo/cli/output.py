"""Printing: one JSON document on standard output, or tables for people."""

import codecs
import io
import json
import sys
from typing import Any

from rich.console import Console

WIDE = 10_000
"""Columns of what is not a terminal: more than any line has."""
ASCII = {"\N{PLUS-MINUS SIGN}": "+-", "\N{HORIZONTAL ELLIPSIS}": "...", "\N{REPLACEMENT CHARACTER}": "?"}
"""What stands for letters that an encoding has not; others are escaped, as in `\\u0142`."""


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


def quiet_transfers() -> None:
    """Show progress bars of transfers on a terminal only."""
    from huggingface_hub.utils import disable_progress_bars

    if not sys.stderr.isatty():
        disable_progress_bars()
