"""Measure two ways of doing the same thing in one process, turn by turn, and say how they compare."""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

_LOAD = round(os.getloadavg()[0], 1)


class Stopwatch:
    """`with Stopwatch() as watch: ...` leaves the wall-clock time of the block in `watch.seconds`."""

    seconds = 0.0

    def __enter__(self) -> "Stopwatch":
        self._began = time.perf_counter()
        return self

    def __exit__(self, *exception: object) -> None:
        self.seconds = time.perf_counter() - self._began


@dataclass(frozen=True)
class Goal:
    """A bound to stay under: our own figure, or its ratio to the comparison's."""

    limit: float
    of: Literal["ours", "ratio"]


@dataclass(frozen=True)
class Row:
    """One case: our samples and the comparison's, of the same rounds in the same order."""

    case: str
    unit: str
    ours: Sequence[float]
    comparison: str
    theirs: Sequence[float]
    goal: Goal | None = None

    def as_json(self) -> dict[str, Any]:
        """Medians with quartiles. The ratio is taken round by round, so that slow spells of the machine cancel."""
        ratio = _spread([our / their for our, their in zip(self.ours, self.theirs, strict=True)])
        ours = _spread(self.ours)
        judged = None if self.goal is None else {"ours": ours, "ratio": ratio}[self.goal.of]["median"]
        return {
            "case": self.case,
            "unit": self.unit,
            "ours": ours,
            "comparison": self.comparison,
            "theirs": _spread(self.theirs),
            "ratio": ratio,
            "goal": None if self.goal is None else {"of": self.goal.of, "limit": self.goal.limit},
            "met": None if self.goal is None or judged is None else judged <= self.goal.limit,
        }


@dataclass(frozen=True)
class Report:
    """The findings of one benchmark. facts: exact things beside the timings, such as counts and bytes."""

    title: str
    rows: Sequence[Row]
    facts: Mapping[str, Any] = field(default_factory=dict)

    def print(self, as_json: bool) -> None:
        """A table for people, or one JSON document."""
        content = {
            "title": self.title,
            "machine": machine(),
            "rows": [row.as_json() for row in self.rows],
            "facts": dict(self.facts),
        }
        print(json.dumps(content, indent=2) if as_json else to_text(content))


def arguments(description: str | None, rounds: int) -> argparse.ArgumentParser:
    """A command line with the options that every benchmark has."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of a table")
    parser.add_argument("--rounds", type=int, default=rounds, help="how often each way is measured")
    parser.add_argument("--threads", type=int, help="processor threads of torch; torch's own choice if not given")
    return parser


def parse(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """The options given, those on rounds and threads checked and put in force."""
    options = parser.parse_args()
    if options.rounds < 1 or (options.threads is not None and options.threads < 1):
        parser.error("--rounds and --threads are at least 1")
    if options.threads:
        import torch

        torch.set_num_threads(options.threads)
    return options


def take_turns(ways: Mapping[str, Callable[[], float]], rounds: int, warm_up: int = 1) -> dict[str, list[float]]:
    """Return what each of `ways` took, round by round, every other in reverse order. Warm-up rounds are dropped."""
    samples: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(warm_up + rounds):
        _say(f"round {turn + 1} of {warm_up + rounds}")
        for name in list(ways) if turn % 2 else list(ways)[::-1]:
            value = ways[name]()
            if turn >= warm_up:
                samples[name].append(value)
    _say("")
    return samples


def machine() -> dict[str, Any]:
    """Return what the figures depend on beside the code. load: processes that were running when this one began."""
    import numpy
    import torch

    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": _LOAD,
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        **({"GPU": torch.cuda.get_device_name(), "driver": _driver()} if torch.cuda.is_available() else {}),
    }


def to_text(content: Mapping[str, Any]) -> str:
    """A report as a Markdown section; it reads well in a terminal too."""
    header = ["case", "ours", "comparison", "theirs", "ratio", "goal"]
    lines = [header] + [
        [
            row["case"],
            _shown(row["ours"], row["unit"]),
            row["comparison"],
            _shown(row["theirs"], row["unit"]),
            _shown(row["ratio"], "x"),
            _goal(row),
        ]
        for row in content["rows"]
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    lines.insert(1, ["-" * width for width in widths])
    table = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    facts = [f"- {name}: {value}" for name, value in content["facts"].items()]
    described = ", ".join(f"{name} {value}" for name, value in content["machine"].items())
    shown = [*table, ""] if content["rows"] else []
    return "\n".join([f"## {content['title']}", "", *shown, *facts, *[""] * bool(facts), described])


def _say(text: str) -> None:
    """Show what is going on, if somebody is looking."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def _spread(samples: Sequence[float]) -> dict[str, float]:
    quartiles = statistics.quantiles(samples, n=4, method="inclusive") if len(samples) > 1 else [samples[0]] * 3
    return {"median": statistics.median(samples), "low": quartiles[0], "high": quartiles[2], "n": len(samples)}


def _shown(spread: Mapping[str, float], unit: str) -> str:
    return f"{_figure(spread['median'])} {unit} ({_figure(spread['low'])} to {_figure(spread['high'])})"


def _figure(value: float) -> str:
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}" if value < 0.995 else f"{value:.4g}"


def _goal(row: Mapping[str, Any]) -> str:
    if row["goal"] is None:
        return ""
    unit = "x" if row["goal"]["of"] == "ratio" else f" {row['unit']}"
    return f"<= {row['goal']['limit']}{unit}: {'met' if row['met'] else 'missed'}"


def _driver() -> str:
    """Return the version of NVIDIA's driver, and torch's of CUDA."""
    import torch

    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        version = subprocess.run(query, capture_output=True, text=True, check=True).stdout.split()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        version = "unknown"
    return f"{version} (CUDA {torch.version.cuda})"


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as file:  # noqa: PTH123 (a pseudo-file)
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
