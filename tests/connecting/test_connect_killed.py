"""The command `connect` killed at any moment: given again it ends with the same bytes."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_run import made_run

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("what", [["--levels"], ["--align", "weights"]], ids=["levels", "pairs"])
def test_killed_and_given_again_it_ends_with_the_same_bytes(what: list[str], tmp_path: Path) -> None:
    """Each line has 60 points, so that the kill comes in the middle of one."""
    run = made_run(tmp_path / "run")
    other = Path(shutil.copytree(run, tmp_path / "other"))
    command = [
        sys.executable,
        "-m",
        "ticketzoo",
        "connect",
        *what,
        "--points",
        "60",
        "--seed",
        "0",
        "--seed",
        "1",
        "--device",
        "cpu",
        "--json",
    ]
    once = subprocess.run([*command, str(other)], capture_output=True, check=True)
    with subprocess.Popen([*command, str(run)], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as started:
        while not list(run.glob("cells/*/line.json")) and started.poll() is None:
            time.sleep(0.02)
        os.kill(started.pid, signal.SIGKILL)
        started.communicate()
    assert started.returncode == -signal.SIGKILL and not list(run.glob("connectivity*/*.*"))
    again = subprocess.run([*command, str(run)], capture_output=True, check=True)
    (folder,) = run.glob("connectivity*")
    (whole,) = other.glob("connectivity*")
    assert again.stdout.replace(bytes(run), bytes(other)) == once.stdout
    files = [{file.name: file.read_bytes() for file in one.iterdir() if file.is_file()} for one in (folder, whole)]
    assert files[0] == files[1] and "results.jsonl" in files[0]
