"""What a command costs before it does anything: loading ticketzoo beyond torch's own import, `ticketzoo --help`."""

import subprocess
import sys

from measuring import Goal, Report, Row, Stopwatch, arguments, parse, take_turns

IMPORTS = """
import time
began = time.perf_counter()
import torch
of_torch = time.perf_counter()
from ticketzoo import load_ticket
print(of_torch - began, time.perf_counter() - of_torch)
"""


def main() -> None:
    """Each time in a process of its own; what the first one reads from the disk is in the cache of the others."""
    options = parse(arguments(__doc__, rounds=9))
    imports = [_imports() for _ in range(1 + options.rounds)][1:]
    whole = take_turns(
        {"ours": lambda: _process("-m", "ticketzoo", "--help"), "theirs": lambda: _process("-c", "pass")},
        options.rounds,
    )
    torch_first, ours = zip(*imports, strict=True)
    rows = [
        Row(
            "from ticketzoo import load_ticket, after torch", "s", ours, "import torch", torch_first, Goal(0.3, "ours")
        ),
        Row("ticketzoo --help", "s", whole["ours"], "python -c pass", whole["theirs"], Goal(1, "ours")),
    ]
    Report("Start of a command", rows).print(options.json)


def _imports() -> tuple[float, float]:
    """Seconds of `import torch`, and then of loading what a script takes from ticketzoo."""
    done = subprocess.run([sys.executable, "-c", IMPORTS], stdout=subprocess.PIPE, text=True, check=True)
    of_torch, ours = done.stdout.split()
    return float(of_torch), float(ours)


def _process(*arguments: str) -> float:
    """Seconds of a whole process of Python."""
    with Stopwatch() as watch:
        subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
    return watch.seconds


if __name__ == "__main__":
    main()
