"""Populations that are killed or told to stop: the same bytes in the end, and checkpoints of one step."""

import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from launched import PRELOADED
from made_population import LENET, Told, cells_of, content, jobs_of, tensors_in, training

from ticketzoo.util.signals import Interrupted


def train_here(folder: Path, signalled: bool) -> None:
    """Train three, in a process of its own, with a checkpoint after each update."""
    torch.set_num_threads(1)
    if signalled:
        from ticketzoo.util.signals import raise_when_interrupted

        raise_when_interrupted()
    try:
        cells_of(folder, jobs_of(LENET, training("adam", steps="30it"), 3, 1), checkpoint_seconds=0)
    except Interrupted:
        sys.exit(7)


def started(folder: Path, *, signalled: bool = False) -> Any:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    process = context.Process(target=train_here, args=(folder, signalled))
    process.start()
    return process


def wait_for_checkpoint(folder: Path, step: int, process: Any) -> None:
    while process.is_alive() and not [
        path for path in folder.glob("*.partial/checkpoint-*") if int(path.stem.split("-")[1]) >= step
    ]:
        time.sleep(0.001)


@pytest.mark.slow
def test_killed_again_and_again_and_started_again_the_bytes_are_the_same(tmp_path: Path) -> None:
    """Also where a kill comes between the checkpoints of two members."""
    kills = 0
    for step in (1, 8, 20):
        process = started(tmp_path / "killed")
        wait_for_checkpoint(tmp_path / "killed", step, process)
        process.kill()
        process.join()
        kills += process.exitcode == -signal.SIGKILL
    assert kills >= 2
    for folder in ("killed", "undisturbed"):
        (process := started(tmp_path / folder)).join()
        assert process.exitcode == 0
    cells = {folder: sorted((tmp_path / folder).glob("*[0-9a-f]")) for folder in ("killed", "undisturbed")}
    assert [path.name for path in cells["killed"]] == [path.name for path in cells["undisturbed"]]
    for ours, theirs in zip(*cells.values(), strict=True):
        assert tensors_in(ours) == tensors_in(theirs)
        assert content(ours) == content(theirs)


def test_a_signal_leaves_checkpoints_of_one_step(tmp_path: Path) -> None:
    process = started(tmp_path, signalled=True)
    wait_for_checkpoint(tmp_path, 3, process)
    os.kill(process.pid, signal.SIGTERM)
    process.join()
    assert process.exitcode == 7
    newest = {
        max(path.glob("checkpoint-*"), key=lambda one: int(one.stem.split("-")[1])).name
        for path in tmp_path.glob("*.partial")
    }
    assert len(newest) == 1


def test_a_damaged_checkpoint_of_a_member_sends_all_back_to_one_that_all_have(tmp_path: Path) -> None:
    process = started(tmp_path / "out")
    wait_for_checkpoint(tmp_path / "out", 5, process)
    process.kill()
    process.join()
    (partial, *_) = sorted((tmp_path / "out").glob("*.partial"))
    newest = max(partial.glob("checkpoint-*"), key=lambda one: int(one.stem.split("-")[1]))
    newest.write_bytes(newest.read_bytes()[:-7])
    told, jobs = Told(), jobs_of(LENET, training("adam", steps="30it"), 3, 1)
    ours = cells_of(tmp_path / "out", jobs, progress=told)
    theirs = cells_of(tmp_path / "undisturbed", jobs)
    assert all("damaged checkpoint removed" in line for line in told.warnings)
    assert [tensors_in(path) for path in ours] == [tensors_in(path) for path in theirs]
