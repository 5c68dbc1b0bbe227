"""The table of executors: names, a user's own, and those that are not there."""

import sys
from pathlib import Path

import pytest
from made_cells import cells_in, files_in, job
from made_task import CPU

from ticketzoo.errors import RunError, TicketzooError
from ticketzoo.runs.cell import Training
from ticketzoo.runs.executor import EXECUTORS
from ticketzoo.runs.local import LocalExecutor
from ticketzoo.runs.progress import Progress
from ticketzoo.runs.store import Store


def test_a_name_that_is_not_there_is_refused_with_the_near_ones(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"^unknown executor 'slurm'; known are local, stacked, ray$"):
        Store(tmp_path, "slurm")
    with pytest.raises(RunError, match=r"^unknown executor 'locally'; did you mean local\?$"):
        Store(tmp_path, "locally")


def test_ray_that_is_not_installed_is_said_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "ticketzoo.runs.ray", raising=False)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(RunError, match=r"needs Ray: pip install 'ticketzoo\[ray\]'"):
        Store(tmp_path, "ray")


def test_a_users_executor_trains_what_the_store_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[str] = []

    class Listing(LocalExecutor):
        def train(self, training: Training, progress: Progress) -> None:
            trained.append(training.label)
            super().train(training, progress)

    monkeypatch.setattr(EXECUTORS, "_entries", dict(EXECUTORS._entries))
    EXECUTORS.add("listing", words="here, and says so")(Listing)
    with Store(tmp_path / "theirs", "listing", device=CPU) as store:
        asked = {"first": 0, "again": 0, "other": 1}
        store.each(lambda label: store.run(job(seed=asked[label]), label, keep_final=True), asked)
    with cells_in(tmp_path / "ours") as ours:
        for seed in (0, 1):
            ours.run(job(seed=seed), "here", keep_final=True)
    assert trained == ["first", "other"]
    assert files_in(tmp_path / "theirs") == files_in(tmp_path / "ours")
    for name in files_in(tmp_path / "ours"):
        if name.endswith(".safetensors"):
            assert (tmp_path / "theirs" / name).read_bytes() == (tmp_path / "ours" / name).read_bytes()


def test_an_executor_that_cannot_start_gives_the_folder_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Unreachable(LocalExecutor):
        def __enter__(self) -> "Unreachable":
            raise RunError("nobody answers")

    monkeypatch.setattr(EXECUTORS, "_entries", dict(EXECUTORS._entries))
    EXECUTORS.add("unreachable", words="nowhere")(Unreachable)
    with pytest.raises(RunError, match=r"^nobody answers$"), Store(tmp_path, "unreachable", device=CPU):
        pass
    with cells_in(tmp_path):
        pass


def test_a_name_that_is_taken_is_refused() -> None:
    with pytest.raises(TicketzooError, match=r"executor 'local' is registered already, by .*: choose another name"):
        EXECUTORS.add("local", words="elsewhere")(LocalExecutor)
