"""Cells: trainings as pure functions of their specification, each done once and kept under its digest."""

import hashlib
import json
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError, safe_open

import ticketzoo
from ticketzoo.distributed import processes
from ticketzoo.errors import RunError
from ticketzoo.masks.digests import state_sha256
from ticketzoo.models.state import State
from ticketzoo.runs.progress import Progress, Quiet
from ticketzoo.training.checkpoint import remove_checkpoints
from ticketzoo.training.job import Job as Job
from ticketzoo.training.job import in_one_line
from ticketzoo.training.loop import train
from ticketzoo.training.parametrisation import Learned, join_learned, split_learned
from ticketzoo.training.record import Record
from ticketzoo.training.resumption import Resumption
from ticketzoo.util.files import sync_folder, write_atomically, write_tensors, writing_into
from ticketzoo.util.signals import ending_by_itself, stop_if_interrupted

Item = TypeVar("Item")
Result = TypeVar("Result")

_LEARNED = "learned.safetensors"
"""What a training learned beside weights: masks, scores."""


@dataclass(frozen=True)
class Cell:
    """A finished training: its record, and the tensors that were asked for."""

    record: Record
    folder: Path

    def final_state(self) -> State:
        """The trained parameters and buffers."""
        return processes.from_first(lambda: _read(self.folder / "final.safetensors"))

    def learned(self) -> Learned:
        """Return what was learned; the weights as `final_state` does."""
        file = self.folder / _LEARNED
        return join_learned(self.final_state(), processes.from_first(lambda: _read(file) if file.is_file() else {}))

    def snapshot(self, step: int) -> State:
        """The parameters and buffers after `step` updates."""
        return processes.from_first(lambda: _read(self.folder / _snapshot_file(step)))


def _read(path: Path) -> State:
    try:
        with safe_open(path, framework="pt") as file:
            digest = (file.metadata() or {}).get("sha256")
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (safe_open is no mapping)
    except (OSError, SafetensorError) as error:
        raise RunError(f"{path}: cannot be read ({error}); delete {path.parent.name} and run again") from None
    if digest is not None and state_sha256(state) != digest:  # the first cells have none
        raise RunError(f"{path}: damaged since it was written; delete {path.parent.name} and run again")
    return state


def _write(path: Path, state: State) -> None:
    write_tensors(path, state, {"sha256": state_sha256(state)})


class Store:
    """A folder of cells. One run at a time works in it; `with Store(folder) as cells:` takes the lock.

    Of several processes (`ticketzoo.distributed.processes`) all train; the first alone reads and writes the folder.

    Raises:
        RunError: another run holds the folder, or it cannot be written.
    """

    def __init__(
        self, folder: Path, *, device: torch.device, checkpoint_seconds: float = 60.0, progress: Progress | None = None
    ) -> None:
        self.folder, self.device, self.checkpoint_seconds = folder, device, checkpoint_seconds
        self.progress = progress or Quiet()
        self._lock = FileLock(folder / ".lock")

    def __enter__(self) -> "Store":
        processes.from_first(self._open)
        return self

    def _open(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
        except Timeout:
            raise RunError(
                f"{self.folder}: another run is using this folder; wait for it or choose another --out"
            ) from None
        except OSError as error:
            raise RunError(f"{self.folder}: cannot be written ({error.strerror}); choose another --out") from None

    def __exit__(self, *exception: object) -> None:
        self._lock.release()

    def run(self, job: Job, label: str, *, keep_final: bool = False, snapshot_steps: Collection[int] = ()) -> Cell:
        """The cell of `job`: read if it is finished and holds the tensors asked for, trained otherwise.

        Args:
            job: what to train.
            label: what to call it where progress is shown.
            keep_final: also keep the trained weights.
            snapshot_steps: also keep the states after so many updates.

        Raises:
            RunError: the training diverged, or the folder cannot be written.
        """
        specification, folder = self._address(job)
        processes.check_same(f"what to train as {label}:", specification)
        cell = self._stored(folder, keep_final, snapshot_steps)
        finished = cell is not None
        if cell is None:
            self.train(job, label, keep_final=keep_final, snapshot_steps=snapshot_steps)
            cell = processes.from_first(lambda: _read_cell(folder))
        self.progress.finished(label, cell.record, job.task.metric.name, trained=not finished)
        stop_if_interrupted()
        return cell

    def train(self, job: Job, label: str, *, keep_final: bool, snapshot_steps: Collection[int]) -> None:
        """Train `job`, from its last checkpoint if there is one, and keep it as `run` does; raises as `run` does."""
        specification, folder = self._address(job)
        with in_one_line(label, job, self.device), ending_by_itself():
            self._train(job, folder, specification, label, keep_final, snapshot_steps)

    def each(self, work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """`work` of each of `items`, in their order, where neither needs another's: here one after the other.

        `items` are asked for as they are needed.
        """
        return [work(item) for item in items]

    def _address(self, job: Job) -> tuple[dict[str, Any], Path]:
        """The job's specification as JSON, and the folder of its cell."""
        text = json.dumps(job.specification(), sort_keys=True)
        return json.loads(text), self.folder / hashlib.sha256(text.encode()).hexdigest()[:20]

    def _stored(self, folder: Path, keep_final: bool, snapshot_steps: Collection[int]) -> Cell | None:
        """The cell in `folder`, if it is finished and holds the tensors asked for."""
        wanted = ["cell.json", *["final.safetensors"] * keep_final, *map(_snapshot_file, snapshot_steps)]
        return processes.from_first(
            lambda: _read_cell(folder) if all((folder / name).is_file() for name in wanted) else None
        )

    def _train(
        self,
        job: Job,
        folder: Path,
        specification: dict[str, Any],
        label: str,
        keep_final: bool,
        snapshot_steps: Collection[int],
    ) -> None:
        model = job.model(self.device)
        half_done = folder.with_name(folder.name + ".partial")
        missing = processes.from_first(lambda: self._begin(half_done, snapshot_steps))
        record = train(
            model,
            job.task,
            job.training,
            seed=job.seed,
            device=self.device,
            start_step=job.start_step,
            snapshot_steps=missing,
            on_snapshot=lambda step, state: _write_snapshot(half_done, step, state),
            resumption=Resumption(half_done, self.checkpoint_seconds, self.progress.warn),
            on_progress=lambda step, total: self.progress.step(label, step, total),
        )
        content = {"specification": specification, "record": vars(record), "environment": environment(self.device)}
        learned = job.learn.learned(model)
        states = {_LEARNED: split_learned(learned)} | ({"final.safetensors": learned.weights} if keep_final else {})
        processes.from_first(lambda: self._finish(half_done, folder, content, states))

    def _begin(self, half_done: Path, snapshot_steps: Collection[int]) -> list[int]:
        """Make the folder of an unfinished cell, or clean it; the snapshots that it does not hold."""
        with writing_into(half_done):
            half_done.mkdir(exist_ok=True)
            sync_folder(self.folder)
            for stray in half_done.glob(".*"):  # what a killed process had not finished writing
                stray.unlink()
        return [step for step in snapshot_steps if not (half_done / _snapshot_file(step)).is_file()]

    def _finish(self, half_done: Path, folder: Path, content: dict[str, Any], states: dict[str, State]) -> None:
        """Make the unfinished cell a finished one, all at once."""
        with writing_into(half_done):
            for name, state in states.items():
                if state:
                    _write(half_done / name, state)
            write_atomically(half_done / "cell.json", json.dumps(content).encode())
            remove_checkpoints(half_done)
            if folder.exists():  # finished before, but without a tensor that is asked for now
                for file in half_done.iterdir():
                    file.replace(folder / file.name)
                half_done.rmdir()
            else:
                half_done.rename(folder)
                sync_folder(self.folder)


def _read_cell(folder: Path) -> Cell:
    try:
        return Cell(Record(**json.loads((folder / "cell.json").read_text())["record"]), folder)
    except (OSError, ValueError, KeyError, TypeError):
        raise RunError(f"{folder / 'cell.json'}: cannot be read; delete {folder.name} and run again") from None


def _write_snapshot(folder: Path, step: int, state: State) -> None:
    with writing_into(folder):
        _write(folder / _snapshot_file(step), state)


def _snapshot_file(step: int) -> str:
    return f"step-{step}.safetensors"


def environment(device: torch.device) -> dict[str, Any]:
    """What the numbers were measured with."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return {
        "ticketzoo": ticketzoo.__version__,
        "torch": torch.__version__,
        "device": name,
        "threads": torch.get_num_threads(),
        **({"processes": processes.count()} if processes.count() > 1 else {}),
    }
