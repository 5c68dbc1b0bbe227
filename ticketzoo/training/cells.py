"""Cells: trainings as pure functions of their specification, each done once and kept under its digest."""

import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError
from safetensors.torch import load_file

import ticketzoo
from ticketzoo.errors import RunError
from ticketzoo.interruption import ending_by_itself, stop_if_interrupted
from ticketzoo.models import create_from_architecture, head_modules, load_model_state
from ticketzoo.models.body import within
from ticketzoo.ticket.digests import masks_sha256, state_sha256
from ticketzoo.ticket.masking import attach
from ticketzoo.ticket.masks import Masks
from ticketzoo.training.checkpoint import State, remove_checkpoints, sync_folder, write_atomically, write_tensors
from ticketzoo.training.config import TrainingConfig
from ticketzoo.training.forward import is_compilers
from ticketzoo.training.loop import Record, Resumption, copy_state, train
from ticketzoo.training.progress import Progress, Quiet
from ticketzoo.training.task import Task


@dataclass(frozen=True)
class Job:
    """One training: everything that decides its numbers, and nothing else."""

    architecture: dict[str, Any]
    state: State
    """Parameters and buffers to start from, tied ones once; what `masks` prune of them has no effect."""
    masks: Masks
    """Empty for a dense training."""
    task: Task
    training: TrainingConfig
    seed: int
    """Of data order and augmentation."""
    start_step: int = 0
    """Updates that count as done when it starts (the rewind step)."""
    trainable: Literal["all", "head"] = "all"
    """Whether the body, all but the task's head, stays as it is."""

    def specification(self) -> dict[str, Any]:
        """The job as JSON: large tensors by their digests, keys at their defaults left out (so that a key that a later
        version adds moves no cell)."""
        start = {
            name: tensor.where(self.masks[name], 0) if name in self.masks else tensor
            for name, tensor in self.state.items()
        }
        return {
            "architecture": self.architecture,
            "state": state_sha256(start),
            "masks": masks_sha256(self.masks) if self.masks else None,
            "task": self.task.identity,
            "training": self.training.model_dump(mode="json", exclude_defaults=True),
            "seed": self.seed,
            "start_step": self.start_step,
            **({} if self.trainable == "all" else {"trainable": self.trainable}),
        }


@dataclass(frozen=True)
class Cell:
    """A finished training: its record, and the tensors that were asked for."""

    record: Record
    folder: Path

    def final_state(self) -> State:
        """The trained parameters and buffers."""
        return _read(self.folder / "final.safetensors")

    def snapshot(self, step: int) -> State:
        """The parameters and buffers after `step` updates."""
        return _read(self.folder / _snapshot_file(step))


def _read(path: Path) -> State:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise RunError(f"{path}: cannot be read ({error}); delete {path.parent.name} and run again") from None


class Cells:
    """A folder of cells. One process at a time works in it; `with Cells(folder) as cells:` takes the lock.

    Raises:
        RunError: another run holds the folder, or it cannot be written.
    """

    def __init__(
        self, folder: Path, *, device: torch.device, checkpoint_seconds: float = 60.0, progress: Progress | None = None
    ) -> None:
        self.folder, self.device, self.checkpoint_seconds = folder, device, checkpoint_seconds
        self.progress = progress or Quiet()
        self._lock = FileLock(folder / ".lock")

    def __enter__(self) -> "Cells":
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
        except Timeout:
            raise RunError(
                f"{self.folder}: another run is using this folder; wait for it or choose another --out"
            ) from None
        except OSError as error:
            raise RunError(f"{self.folder}: cannot be written ({error.strerror}); choose another --out") from None
        return self

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
        specification = json.dumps(job.specification(), sort_keys=True)
        folder = self.folder / hashlib.sha256(specification.encode()).hexdigest()[:20]
        wanted = ["cell.json", *["final.safetensors"] * keep_final, *map(_snapshot_file, snapshot_steps)]
        finished = all((folder / name).is_file() for name in wanted)
        if not finished:
            try:
                with ending_by_itself():
                    self._train(job, folder, specification, label, keep_final, snapshot_steps)
            except RunError as error:
                raise RunError(f"{label}: {error}") from None
            except torch.OutOfMemoryError:
                raise RunError(f"{label}: {_too_large(job.training.batch_size, self.device)}") from None
            except OSError as error:
                why = error.strerror or error
                raise RunError(f"{folder}: cannot be written ({why}); free space and run again") from None
            except Exception as error:
                if not is_compilers(error):
                    raise
                why = str(error).strip().splitlines()[0]
                raise RunError(f"{label}: training.compile does not work here ({why}); set it to false") from error
        try:
            record = Record(**json.loads((folder / "cell.json").read_text())["record"])
        except (OSError, ValueError, KeyError, TypeError):
            raise RunError(f"{folder / 'cell.json'}: cannot be read; delete {folder.name} and run again") from None
        self.progress.finished(label, record, trained=not finished)
        stop_if_interrupted()
        return Cell(record, folder)

    def _train(
        self,
        job: Job,
        folder: Path,
        specification: str,
        label: str,
        keep_final: bool,
        snapshot_steps: Collection[int],
    ) -> None:
        model = create_from_architecture(job.architecture, seed=0)
        load_model_state(model, job.state)
        model.to(self.device)
        if job.masks:
            attach(model, job.masks)
        if job.trainable == "head":
            head = head_modules(model)
            for name, parameter in model.named_parameters():
                parameter.requires_grad_(within(name, head))
        half_done = folder.with_name(folder.name + ".partial")
        half_done.mkdir(exist_ok=True)
        sync_folder(self.folder)
        for stray in half_done.glob(".*"):  # what a killed process had not finished writing
            stray.unlink()
        record = train(
            model,
            job.task,
            job.training,
            seed=job.seed,
            device=self.device,
            start_step=job.start_step,
            snapshot_steps=[step for step in snapshot_steps if not (half_done / _snapshot_file(step)).is_file()],
            on_snapshot=lambda step, state: write_tensors(half_done / _snapshot_file(step), state),
            resumption=Resumption(half_done, self.checkpoint_seconds, self.progress.warn),
            on_progress=lambda step, total: self.progress.step(label, step, total),
        )
        if keep_final:
            write_tensors(half_done / "final.safetensors", copy_state(model))
        content = {
            "specification": json.loads(specification),
            "record": vars(record),
            "environment": environment(self.device),
        }
        write_atomically(half_done / "cell.json", json.dumps(content).encode())
        remove_checkpoints(half_done)
        if folder.exists():  # finished before, but without a tensor that is asked for now
            for file in half_done.iterdir():
                file.replace(folder / file.name)
            half_done.rmdir()
        else:
            half_done.rename(folder)
            sync_folder(self.folder)


def _snapshot_file(step: int) -> str:
    return f"step-{step}.safetensors"


def _too_large(batch_size: int, device: torch.device) -> str:
    if batch_size == 1:
        return f"not even batches of 1 fit the memory of {device}; train on a larger device or a smaller model"
    return f"the batches of {batch_size} do not fit the memory of {device}; try training.batch_size={batch_size // 2}"


def environment(device: torch.device) -> dict[str, Any]:
    """What the numbers were measured with."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return {
        "ticketzoo": ticketzoo.__version__,
        "torch": torch.__version__,
        "device": name,
        "threads": torch.get_num_threads(),
    }
