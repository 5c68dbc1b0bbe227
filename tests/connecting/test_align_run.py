"""The command `align` on a small finished run: killed and given again, and refused in one line."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from small_run import made_run

from ticketzoo import load_ticket, verify
from ticketzoo.api.align import align_into
from ticketzoo.errors import RunError, TicketError

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_run(tmp_path_factory.mktemp("run"), finder={"levels": 2, "rate": 0.5, "rewind": "3it"})


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("by", ["weights", "activations"])
def test_masks_move_and_weights_are_the_other_seeds(run: Path, tmp_path: Path, by: str) -> None:
    made = align_into(run / "small", 1, tmp_path / "there", by=by, device="cpu")
    parent = load_ticket(run / "small")
    for level in (1, 2):
        mine, before = made.at(level=level), parent.at(level=level, seed=0)
        assert {name: mask.sum() for name, mask in mine.masks.items()} == {
            name: mask.sum() for name, mask in before.masks.items()
        }
    assert made.config.rewind.step == 3
    both = made.at(level=2).masks["fc1.weight"] & parent.at(level=0, seed=1).masks["fc1.weight"]
    own = parent.at(level=0, seed=1).rewind_state["fc1.weight"]
    assert torch.equal(made.at(level=2).rewind_state["fc1.weight"][both], own[both])
    shutil.copytree(run / "small", tmp_path / "small")
    assert any("masks are those that its parents give by align" in str(line) for line in verify(tmp_path / "there"))
    written = files(tmp_path / "there")
    align_into(run / "small", 1, tmp_path / "there", by=by, device="cpu")  # there already
    assert files(tmp_path / "there") == written
    with pytest.raises(TicketError, match="exists: choose another folder"):
        align_into(run / "small", 0, tmp_path / "there", by=by, device="cpu")


def test_what_cannot_be_aligned_is_one_line(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run / "small", tmp_path / "alone" / "small")
    with pytest.raises(RunError, match="has no cells/ beside it, and aligning needs the trained dense networks"):
        align_into(tmp_path / "alone" / "small", 1, tmp_path / "out", device="cpu")
    align_into(tmp_path / "alone" / "small", 1, tmp_path / "given", run=run, device="cpu")
    with pytest.raises(RunError, match=r"has no seed 7; it has 0, 1|has no seed 7"):
        align_into(run / "small", 7, tmp_path / "out", device="cpu")
    with pytest.raises(RunError, match="--to-seed: 0 is the replicate itself"):
        align_into(run / "small", 0, tmp_path / "out", seed=0, device="cpu")
    other = made_run(tmp_path / "other", finder={"levels": 1})
    with pytest.raises(RunError, match="that run found other masks than those of"):
        align_into(run / "small", 1, tmp_path / "out", run=other, device="cpu")
    with pytest.raises(RunError, match=r"unknown alignment 'weigths'; did you mean weights"):
        align_into(run / "small", 1, tmp_path / "out", by="weigths", device="cpu")
    assert not (tmp_path / "out").exists()


def test_killed_and_given_again_it_ends_with_the_same_bytes(run: Path, tmp_path: Path) -> None:
    once, twin = (Path(shutil.copytree(run, tmp_path / name)) for name in ("once", "twin"))

    def command(folder: Path) -> list[str]:
        words = ["align", str(folder / "small"), "--to-seed", "1", "--device", "cpu", "-o", str(folder / "there")]
        return [sys.executable, "-m", "ticketzoo", *words]

    subprocess.run(command(once), capture_output=True, check=True)
    for finished in (False, True):  # before the match is kept, and after
        with subprocess.Popen(command(twin), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as started:
            begun = time.monotonic()
            while started.poll() is None and (
                not list(twin.glob("cells/*/alignment.safetensors")) if finished else time.monotonic() - begun < 1
            ):
                time.sleep(0.002)
            os.kill(started.pid, signal.SIGKILL) if started.poll() is None else None
            started.communicate()
    subprocess.run(command(twin), capture_output=True, check=True)
    assert files(twin / "there") == files(once / "there")
