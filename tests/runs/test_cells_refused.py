"""Cells whose folder is taken, full or damaged, and trainings that the system refuses a file: one line, and no harm."""

import os
import resource
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from made_cells import cells_in, files_in, job
from made_task import CPU, MadeImages
from system_limits import at_most
from torch import Tensor, nn

from ticketzoo.errors import RunError
from ticketzoo.runs.store import Store

READ_ONLY = Path("/sys/kernel")


def test_a_second_run_in_the_same_folder_is_turned_away(tmp_path: Path) -> None:
    with cells_in(tmp_path), pytest.raises(RunError, match="another run is using this folder; wait for it"):
        Store(tmp_path, device=CPU).__enter__()
    with cells_in(tmp_path):
        pass


def test_a_second_process_in_the_same_folder_is_turned_away_until_the_first_is_gone(tmp_path: Path) -> None:
    holder = (
        "import sys, filelock; lock = filelock.FileLock(sys.argv[1]).acquire(); print(flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", holder, str(tmp_path / ".lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(RunError, match="another run"), cells_in(tmp_path):
            pass
        process.kill()
    with cells_in(tmp_path):
        pass


def test_a_folder_that_cannot_be_made_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(RunError, match=r"cannot be written \(Not a directory\); choose another working folder"),
        cells_in(tmp_path / "file" / "cells"),
    ):
        pass


@pytest.mark.skipif(not READ_ONLY.is_dir(), reason="needs a folder that not even root can write to")
def test_a_read_only_folder_is_said_in_one_line() -> None:
    said = r"cannot be written \((Permission denied|Read-only file system|Operation not permitted)\); choose another "
    with pytest.raises(RunError, match=said), cells_in(READ_ONLY):
        pass


@pytest.mark.parametrize("checkpoint_seconds", [0, 60])
def test_a_full_disk_stops_the_run_with_one_line_and_nothing_half_written(
    tmp_path: Path, checkpoint_seconds: float
) -> None:
    with cells_in(tmp_path) as cells:
        finished = cells.run(job(), "finished before", keep_final=True)
    before = {name: (tmp_path / name).read_bytes() for name in files_in(tmp_path)}
    with cells_in(tmp_path, checkpoint_seconds=checkpoint_seconds) as cells, at_most(100, resource.RLIMIT_FSIZE):
        with pytest.raises(RunError, match=r"cannot be written \(File too large\); free space and run again") as error:
            cells.run(job(seed=1), "on a full disk", keep_final=True)
        assert cells.run(job(), "still there", keep_final=True).record == finished.record
    assert "\n" not in str(error.value)
    assert {name: (tmp_path / name).read_bytes() for name in files_in(tmp_path)} == before
    with cells_in(tmp_path) as cells:
        cell = cells.run(job(seed=1), "with space again", keep_final=True)
    assert cell.final_state().keys() == job().state.keys()


class LostFile(MadeImages):
    """Batches that need a file which is gone."""

    def loss(self, model: nn.Module, batch: list[int]) -> Tensor:
        Path("/nowhere/images.arrow").read_bytes()
        return super().loss(model, batch)


class ManyFiles(MadeImages):
    """Batches that need ever more files."""

    def __init__(self) -> None:
        super().__init__()
        self.opened = ExitStack()

    def loss(self, model: nn.Module, batch: list[int]) -> Tensor:
        while True:
            self.opened.enter_context(Path(os.devnull).open())  # noqa: SIM115


def test_a_file_that_is_gone_is_not_said_to_be_the_run_s(tmp_path: Path) -> None:
    said = "^level 0: /nowhere/images.arrow: No such file or directory; choose another path and run again$"
    with cells_in(tmp_path) as cells, pytest.raises(RunError, match=said):
        cells.run(job(task=LostFile()), "level 0")


def test_too_many_open_files_are_not_said_to_be_a_full_disk(tmp_path: Path) -> None:
    task = ManyFiles()
    said = "^level 0: /dev/null: Too many open files; raise the limit of open files \\(ulimit -n\\) and run again$"
    with (
        cells_in(tmp_path) as cells,
        pytest.raises(RunError, match=said),
        task.opened,
        at_most(256, resource.RLIMIT_NOFILE),
    ):
        cells.run(job(task=task), "level 0")


@pytest.mark.parametrize("file", ["cell.json", "final.safetensors", "step-2.safetensors"])
@pytest.mark.parametrize("content", [b"", b"{", b"\xff" * 64])
def test_a_damaged_cell_is_said_in_one_line_with_what_to_do(tmp_path: Path, file: str, content: bytes) -> None:
    with cells_in(tmp_path) as cells:
        cell = cells.run(job(), "whole", keep_final=True, snapshot_steps=[2])
        (cell.folder / file).write_bytes(content)
        with pytest.raises(RunError, match=f"cannot be read.*; delete {cell.folder.name} and run again$"):
            again = cells.run(job(), "damaged", keep_final=True, snapshot_steps=[2])
            again.final_state()
            again.snapshot(2)


@pytest.mark.parametrize("file", ["final.safetensors", "step-2.safetensors"])
def test_one_bit_of_a_cell_s_weights_that_has_changed_is_noticed(tmp_path: Path, file: str) -> None:
    with cells_in(tmp_path) as cells:
        cell = cells.run(job(), "whole", keep_final=True, snapshot_steps=[2])
        content = bytearray((cell.folder / file).read_bytes())
        content[-1] ^= 1
        (cell.folder / file).write_bytes(content)
        said = f"{file}: damaged since it was written; delete {cell.folder.name} and run again$"
        with pytest.raises(RunError, match=said):
            cell.final_state()
            cell.snapshot(2)
