"""`find`, `transfer` and `stability` by several processes: as one, but for rounding; one that dies ends all."""

import json
import signal
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from command_line import Command, Done, ticketzoo
from launched import environments

from ticketzoo.ticket import Ticket

RECIPE = """
name: lenet.digits-imp
model: {name: lenet-300-100, kwargs: {width: 0.2}}
task:
  type: image-classification
  dataset: {path: digits, classes: [0, 1, 2], examples: 61}
  augment: {crop: 1, flip: true}
training: {steps: 20it, batch_size: 15, optimizer: {name: sgd, lr: 0.02, momentum: 0.9}, evaluate_every: 5it}
finder: {levels: 2, rewind: 3it}
arms: [ticket, dense, random_mask]
arm_levels: [2]
seeds: [0]
"""
TRANSFER = """
name: to-other-digits
tickets: [../alone/runs/lenet.digits-imp/lenet.digits-imp]
levels: [2]
targets: [{task: {type: image-classification, dataset: {path: digits, classes: [3, 4, 5], examples: 61}}}]
training: {steps: 10it, batch_size: 15}
arms: [ticket, dense]
seeds: [0]
"""
STABILITY = """
name: lenet.digits
model: {name: lenet-300-100, kwargs: {width: 0.2}}
task: {type: image-classification, dataset: {path: digits, classes: [0, 1, 2], examples: 61}}
training: {steps: 10it, batch_size: 15}
rewind_steps: [0it]
line: {points: 3}
seeds: [0]
"""
RECIPES = {"find": RECIPE, "transfer": TRANSFER, "stability": STABILITY}
ROUNDING = 1e-3
"""Largest part of the mask bits that another number of processes may change; here none does."""


def start(folder: Path, count: int, *arguments: str, last: dict[str, str] | None = None) -> list[Command]:
    """The command in `count` processes, each in a folder of its own; the first one's is the one that counts.

    last: recipes that the last process has in place of the others'.
    """
    folders = [folder / f"process-{rank}" for rank in range(count)]
    for own in folders:
        own.mkdir(parents=True, exist_ok=True)
        for name, text in (RECIPES | ((own == folders[-1] and last) or {})).items():
            (own / f"{name}.yaml").write_text(text)
    return [
        Command(own, *arguments, "--device", "cpu", environment=environment)
        for own, environment in zip(folders, environments(count), strict=True)
    ]


def run(folder: Path, count: int, *arguments: str, last: dict[str, str] | None = None) -> list[Done]:
    return [command.wait() for command in start(folder, count, *arguments, last=last)]


def find_alone(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "find.yaml").write_text(RECIPE)
    assert ticketzoo(folder, "find", "find.yaml", "--device", "cpu").status == 0
    return folder / "runs/lenet.digits-imp/lenet.digits-imp"


def assert_same_but_for_rounding(found: Path, other: Path) -> None:
    ours, theirs = Ticket.from_pretrained(found), Ticket.from_pretrained(other)
    for level in (1, 2):
        masks = ours.at(level=level).masks, theirs.at(level=level).masks
        different = sum(int((mask != masks[1][name]).sum()) for name, mask in masks[0].items())
        assert different <= ROUNDING * sum(mask.numel() for mask in masks[0].values())
    assert [{**row, "value": 0} for row in ours.results] == [{**row, "value": 0} for row in theirs.results]
    values: list[Any] = [[row["value"] for row in ticket.results] for ticket in (ours, theirs)]
    assert values[0] == pytest.approx(values[1], rel=1e-3, abs=1e-3)


@pytest.mark.slow
def test_three_processes_do_what_one_does(tmp_path: Path) -> None:
    alone = find_alone(tmp_path / "alone")
    together = run(tmp_path, 3, "find", "find.yaml", "--json")
    assert [done.status for done in together] == [0, 0, 0]
    assert_same_but_for_rounding(tmp_path / "process-0" / together[0].json["ticket"], alone)
    assert together[0].err.count("\n") == 5  # a line for each training
    assert [(done.out, done.err) for done in together[1:]] == [("", ""), ("", "")]
    assert not (tmp_path / "process-1" / "runs").exists()


@pytest.mark.slow
@pytest.mark.parametrize("command", ["transfer", "stability"])
def test_other_commands_with_two_processes(command: str, tmp_path: Path) -> None:
    if command == "transfer":
        find_alone(tmp_path / "alone")
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "recipe.yaml").write_text(RECIPES[command])
    one = ticketzoo(tmp_path / "one", command, "recipe.yaml", "--device", "cpu", "--json")
    first, second = run(tmp_path, 2, command, f"{command}.yaml", "--json")
    assert (first.status, second.status, second.out) == (0, 0, "")
    assert first.json["files"] == one.json["files"]
    files = [tmp_path / folder / one.json["folder"] / "results.jsonl" for folder in ("one", "process-0")]
    rows, expected = ([json.loads(line) for line in file.read_text().splitlines()] for file in files)
    assert len(rows) == len(expected) > 0
    measured = {"transfer": "value", "stability": "error"}[command]
    values, others = ([row.pop(measured) for row in found] for found in (rows, expected))
    assert values == pytest.approx(others, rel=1e-3, abs=1e-3)
    assert rows == expected


def test_processes_given_different_recipes(tmp_path: Path) -> None:
    done = run(tmp_path, 2, "find", "find.yaml", last={"find": RECIPE.replace("steps: 20it", "steps: 30it")})
    assert [one.status for one in done] == [1, 1]
    said = "process 1 differs from process 0 in the recipe: training steps (30it, not 20it)"
    assert "".join(one.err for one in done) == f"ticketzoo: {said}; start all with the same command and data\n"


@pytest.mark.slow
def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        environment = environments(2)[0] | {"MASTER_PORT": str(port)}
        done = Command(tmp_path, "find", "quickstart", environment=environment).wait()
    assert done.status == 1
    assert done.err == (
        f"ticketzoo: the processes cannot reach each other at 127.0.0.1:{port}: the port is in use; "
        "choose another MASTER_PORT, or torchrun --standalone\n"
    )


LONG = ("find", "find.yaml", "--set", "training.steps=300it")


def wait_for_checkpoint(folder: Path, command: Command) -> None:
    while not list(folder.glob("runs/*/cells/*.partial/checkpoint-*.safetensors")):
        assert command.process.is_alive()
        time.sleep(0.01)


@pytest.mark.slow
def test_when_a_process_is_killed_the_other_names_it_and_nothing_is_lost(tmp_path: Path) -> None:
    """Then one process goes on from the checkpoint of two."""
    first, second = start(tmp_path, 2, *LONG, "--checkpoint-seconds", "0")
    wait_for_checkpoint(tmp_path / "process-0", first)
    second.send(signal.SIGKILL)
    killed = time.monotonic()
    done = first.wait()
    assert time.monotonic() - killed < 60
    assert done.status == 1
    assert done.err.splitlines()[-1] == (
        f"ticketzoo: process 1 (pid {second.process.pid} on {socket.gethostname()}) died"
    )
    assert not (tmp_path / "process-0" / "runs/lenet.digits-imp/lenet.digits-imp").exists()
    (tmp_path / "whole").mkdir()
    (tmp_path / "whole" / "find.yaml").write_text(RECIPE)
    resumed, whole = (ticketzoo(tmp_path / name, *LONG, "--device", "cpu", "--json") for name in ("process-0", "whole"))
    assert (resumed.status, whole.status) == (0, 0)
    found = [tmp_path / name / whole.json["ticket"] for name in ("process-0", "whole")]
    assert_same_but_for_rounding(*found)


@pytest.mark.slow
def test_sigterm_to_one_process_stops_all_with_a_checkpoint(tmp_path: Path) -> None:
    long = (*LONG[:3], "training.steps=1000000it", "--checkpoint-seconds", "3600")
    first, second = start(tmp_path, 2, *long)
    while not list(tmp_path.glob("process-0/runs/*/cells/*.partial")):
        assert first.process.is_alive()
    time.sleep(1)  # the folder is the first process's doing, and the second may be a step behind
    second.send(signal.SIGTERM)
    done = [first.wait(), second.wait()]
    assert [one.status for one in done] == [143, 143]
    assert "interrupted; what was trained so far is kept in runs/lenet.digits-imp" in done[0].err
    assert list(tmp_path.glob("process-0/runs/*/cells/*.partial/checkpoint-*.safetensors"))
