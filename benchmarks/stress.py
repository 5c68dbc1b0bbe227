"""Kill `find`, `transfer` and `stability` at random moments, and run them again: `python benchmarks/stress.py`.

Each command runs undisturbed once. Then it runs in another folder, killed (SIGKILL) after a random time and started
again until it comes to its end; and again in a new folder, the commands in turn, until there were `--kills` of them:

- lost: a file of a cell that was finished when a run was killed, and is gone or written anew afterwards;
- again: a training or line that a later run reports as done, though an earlier one had reported it;
- different: a file that differs from the undisturbed run's in anything but durations;
- failed: what a run said that failed by itself.

There must be none of these, else the exit status is 1. Runs are forked from a process that has imported everything, so
that kills hit work and not imports. `--json FILE` keeps the figures; docs/build.py makes a table of them.
"""

import argparse
import contextlib
import itertools
import json
import multiprocessing
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field, fields
from multiprocessing.context import ForkServerProcess
from pathlib import Path

TASK = "{type: image-classification, dataset: {path: digits, classes: [0, 1, 2]}, augment: {crop: 1, flip: true}}"
TRAINING = "{steps: 150it, batch_size: 16, optimizer: {name: adam, lr: 0.01}}"
RECIPES = {
    "find": f"""
name: lenet.digits-imp
model: {{name: lenet-300-100, kwargs: {{width: 0.1}}}}
task: {TASK}
training: {TRAINING}
finder: {{levels: 3, rewind: 20it}}
arms: [random_reinit, random_mask]
arm_levels: [3]
seeds: [0, 1]
""",
    "transfer": f"""
name: to-digits
tickets: [./ticket]
levels: [1, 3]
targets: [{{task: {TASK.replace("0, 1, 2", "3, 4, 5")}}}]
training: {TRAINING}
seeds: [0, 1]
""",
    "stability": """
name: digits-stability
model: {name: resnet-20, kwargs: {width: 0.125}}
task: {type: image-classification, dataset: {path: digits, classes: [0, 1, 2], examples: 128}}
training: {steps: 24it, batch_size: 16}
rewind_steps: [0it, 12it]
finder: {rate: 0.5}
levels: [0, 1]
line: {points: 12}
seeds: [0]
""",
}
DURATION = re.compile(rb'"seconds": [0-9.e-]+|([0-9]+ min )?[0-9]+ s\b')
FORKING = multiprocessing.get_context("forkserver")
FORKING.set_forkserver_preload(["ticketzoo.instability", "matplotlib.pyplot", "sklearn.datasets", "torch._dynamo"])
Finished = dict[Path, tuple[int, int]]
"""The files of finished cells: their inodes, and when they were written."""


def command_line(command: str, out: Path, errors: Path) -> None:
    """`ticketzoo <command>` with results in `out`, in a process of its own."""
    import torch

    from ticketzoo.cli import main

    os.dup2(os.open(errors, os.O_WRONLY | os.O_APPEND | os.O_CREAT), 2)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    torch.set_num_threads(1)
    sys.argv = ["ticketzoo", command, f"{command}.yaml", "--out", str(out), "--checkpoint-seconds", "0.05"]
    main()


def start(command: str, out: Path, errors: Path) -> ForkServerProcess:
    """Start `command`, its standard error added to the file `errors`."""
    process = FORKING.Process(target=command_line, args=(command, out, errors))
    process.start()
    return process


def finished_files(out: Path) -> Finished:
    """Return what no later run may touch: files of whole trainings and of lines all of whose points are there."""
    found = {}
    for folder in out.glob("cells/*/"):
        line = folder / "line.json"
        if line.is_file():
            content = json.loads(line.read_text())
            whole = len(content["points"]) == content["specification"]["line"]["points"]
        else:
            whole = not folder.name.endswith(".partial")
        if whole:
            found |= {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.iterdir()}
    return found


def left_half_done(out: Path) -> str:
    """Return what the run that was just killed in `out` had begun and not finished."""
    if any(path.name != ".lock" for path in out.rglob(".*")):
        return "a file"
    if list(out.glob("cells/*.partial/checkpoint-*")):
        return "a training, after a checkpoint"
    if list(out.glob("cells/*.partial")):
        return "a training, before one"
    finished = finished_files(out)
    return "a line" if any(path not in finished for path in out.glob("cells/*/line.json")) else "nothing"


def reported(errors: Path) -> Counter[str]:
    """Count how often each training and line was reported as done."""
    return Counter(re.findall(r"^\[\d+/\d+\] (.+): ", errors.read_text(), flags=re.MULTILINE))


def differing(ours: Path, theirs: Path) -> list[str]:
    """Names of the files that only one of the folders has, or that differ in more than durations."""
    names = {path.relative_to(folder) for folder in (ours, theirs) for path in folder.rglob("*") if path.is_file()}
    return [str(name) for name in sorted(names) if content(ours / name) != content(theirs / name)]


def content(path: Path) -> bytes | None:
    """The file's bytes, durations left out."""
    return DURATION.sub(b"", path.read_bytes()) if path.is_file() else None


@dataclass
class Outcome:
    """Of a command run to its end in one folder, however often it was killed, or of several such."""

    ends: int = 0
    """How often it came to its end."""
    killed: Counter[str] = field(default_factory=Counter)
    """How often, by what was left half-done."""
    kept: int = 0
    """Finished trainings and lines that were found when a run began, over all runs."""
    lost: list[str] = field(default_factory=list)
    again: list[str] = field(default_factory=list)
    different: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    """What runs said that failed by themselves."""

    def __iadd__(self, other: "Outcome") -> "Outcome":
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))
        return self


def run_to_its_end(command: str, seconds: float, kills: int, moments: random.Random) -> Outcome:
    """Run `command` in a new folder, killed `kills` times at most, each within 0.4 times the undisturbed `seconds`."""
    out, errors, outcome = Path("killed") / command, Path(f"{command}.errors"), Outcome(ends=1)
    shutil.rmtree(out, ignore_errors=True)
    errors.write_text("")
    while True:
        before = finished_files(out)
        outcome.kept += len({path.parent for path in before})
        process = start(command, out, errors)
        process.join(moments.uniform(0, 0.4 * seconds) if outcome.killed.total() < kills else None)
        process.kill()
        process.join()
        after = finished_files(out)
        outcome.lost += [str(path) for path, file in before.items() if after.get(path) != file]
        if process.exitcode != -signal.SIGKILL:
            break
        outcome.killed[left_half_done(out)] += 1
    outcome.failed += [errors.read_text()] if process.exitcode else []
    outcome.again += [label for label, count in reported(errors).items() if count > 1]
    outcome.different += differing(out, Path("undisturbed") / command)
    return outcome


def undisturbed(command: str) -> float:
    """Run `command` without killing it; returns how many seconds it took."""
    began, errors = time.monotonic(), Path("undisturbed.errors")
    process = start(command, Path("undisturbed") / command, errors)
    process.join()
    if process.exitcode:
        raise SystemExit(errors.read_text())
    return time.monotonic() - began


def stress(kills: int, moments: random.Random) -> dict[str, Outcome]:
    """Return what came of so many kills, of the commands in turn, in the working directory."""
    imported = FORKING.Process(target=os.getpid)
    imported.start()
    imported.join()
    seconds = {}
    for command, recipe in RECIPES.items():
        Path(f"{command}.yaml").write_text(recipe)
        seconds[command] = undisturbed(command)
        if command == "find":
            shutil.copytree("undisturbed/find/lenet.digits-imp", "ticket")
    outcomes = {command: Outcome() for command in RECIPES}
    for command in itertools.cycle(RECIPES):
        left = kills - sum(outcome.killed.total() for outcome in outcomes.values())
        if not left:
            return outcomes
        outcomes[command] += run_to_its_end(command, seconds[command], left, moments)
        print(command, outcomes[command], file=sys.stderr, flush=True)
    raise AssertionError


def main() -> None:
    """Kill, compare, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--json", type=Path, help="file for the figures")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        outcomes = stress(asked.kills, random.Random(asked.seed))
    text = json.dumps({command: vars(outcome) for command, outcome in outcomes.items()}, indent=2) + "\n"
    print(text, end="")
    if asked.json:
        asked.json.write_text(text)
    wrong = [one.lost + one.again + one.different + one.failed for one in outcomes.values()]
    sys.exit(any(wrong))


if __name__ == "__main__":
    main()
