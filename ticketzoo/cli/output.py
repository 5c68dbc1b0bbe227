"""Printing: one JSON document on standard output, or tables for people."""

import json
import sys
from typing import Any

from rich.console import Console


def print_json(document: Any) -> None:
    """Print the one JSON document of a command run with `--json`."""
    print(json.dumps(document, indent=2, allow_nan=False))


def console() -> Console:
    """Return a console on standard output that keeps its lines whole when it is not a terminal."""
    return Console(width=None if sys.stdout.isatty() else 160, highlight=False)


def quiet_transfers() -> None:
    """Show progress bars of transfers on a terminal only."""
    from huggingface_hub.utils import disable_progress_bars

    if not sys.stderr.isatty():
        disable_progress_bars()
