"""The ImageNet recipe on made photographs by one process, two with torchrun, and on Ray; one of each is killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread
from typing import Any

import psutil
import pytest
from small_imagenet import SMALL, write_photos

from ticketzoo.finding import FindRecipe, find_and_package
from ticketzoo.recipe import read_recipe
from ticketzoo.ticket import Ticket

pytestmark = pytest.mark.slow

RECIPE = Path(__file__).parents[2] / "recipes" / "imagenet" / "resnet-50.yaml"
SMALLER = (
    *SMALL,
    "training.steps=6it",
    "training.sync_batchnorm=true",
    "training.optimizer.lr=0.001",
    "finder.rewind=2it",
    "arms=[ticket, dense]",
    "arm_levels=[]",
)
ROUNDING = 1e-3
"""Largest part of the mask bits that another number of processes may change: about 0.0005 here, and as many where one
process begins with weights changed by a ten-millionth."""


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """240 photographs of 4 classes to train on and 60 to test on."""
    root = tmp_path_factory.mktemp("imagenet")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TICKETZOO_CACHE", str(root / "cache"))
        patch.setenv("HF_DATASETS_CACHE", str(root / "datasets-cache"))
        patch.setattr("datasets.config.HF_DATASETS_CACHE", root / "datasets-cache")
        yield write_photos(root / "photos")


@pytest.fixture(scope="module")
def alone(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Ticket:
    """Return what one process finds."""
    ticket, _ = find_and_package(recipe(photos), tmp_path_factory.mktemp("alone"))
    return ticket


def recipe(photos: Path) -> FindRecipe:
    return read_recipe(RECIPE, FindRecipe, [*SMALLER, f"task.dataset.mirror={photos}"])


def wait_for_checkpoint(out: Path) -> None:
    deadline = time.monotonic() + 600
    while not list(out.glob("cells/*.partial/checkpoint-*.safetensors")):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def torchrun(photos: Path, out: Path, seconds: str) -> subprocess.Popen[str]:
    settings = [f"--set={setting}" for setting in (*SMALLER, f"task.dataset.mirror={photos}")]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "ticketzoo"]
    command += ["find", str(RECIPE), *settings, f"--out={out}", "--device=cpu", f"--checkpoint-seconds={seconds}"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=dict(os.environ))


def test_two_processes_of_torchrun_one_of_them_killed(photos: Path, alone: Ticket, tmp_path: Path) -> None:
    with torchrun(photos, tmp_path, "0") as first:
        wait_for_checkpoint(tmp_path)
        workers = [worker for worker in psutil.Process(first.pid).children() if "RANK" in worker.environ()]
        (victim,) = (worker for worker in workers if worker.environ()["RANK"] == "1")
        victim.send_signal(signal.SIGKILL)
        killed = time.monotonic()
        said, _ = first.communicate(timeout=300)
        assert time.monotonic() - killed < 60
    assert first.returncode != 0
    assert f"process 1 (pid {victim.pid} on " in said
    with torchrun(photos, tmp_path, "60") as second:
        said, _ = second.communicate(timeout=900)
    assert second.returncode == 0, said
    found = Ticket.from_pretrained(tmp_path / alone.name)
    masks, expected = found.at(level=1).masks, alone.at(level=1).masks
    different = sum(int((mask != expected[name]).sum()) for name, mask in masks.items())
    assert different <= ROUNDING * sum(mask.numel() for mask in masks.values())
    assert [row | {"value": 0} for row in found.results] == [row | {"value": 0} for row in alone.results]


def test_a_ray_of_two_processes_one_of_them_killed(photos: Path, alone: Ticket, tmp_path: Path) -> None:
    ray = pytest.importorskip("ray")
    killed: list[int] = []

    def kill_one() -> None:
        wait_for_checkpoint(tmp_path)
        for process in psutil.Process().children(recursive=True):
            if not killed and process.name() == "ray::_train":
                process.kill()
                killed.append(process.pid)

    killer = Thread(target=kill_one, daemon=True)
    killer.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_worker_niceness", "0")  # other tests run beside it
        patch.setenv("PYTHONPATH", ":".join(path for path in sys.path if path))
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        try:
            found, _ = find_and_package(recipe(photos), tmp_path, executor="ray", checkpoint_seconds=0)
        finally:
            ray.shutdown()
    killer.join(10)
    assert len(killed) == 1
    assert found.config.mask_sha256 == alone.config.mask_sha256
    assert found.results == alone.results
