"""A training in a store: a folder with its record and tensors, and how one is trained into being."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ticketzoo.distributed import processes
from ticketzoo.models.state import State
from ticketzoo.runs.files import environment, read_document, read_state, unreadable, write_document, write_state
from ticketzoo.runs.progress import Progress
from ticketzoo.tasks.task import SkippingTask
from ticketzoo.training.callbacks import Callbacks, Resumption
from ticketzoo.training.checkpoint import remove_checkpoints
from ticketzoo.training.job import Job
from ticketzoo.training.loop import train
from ticketzoo.training.parametrisation import STATISTICS, Learned, join_learned, split_learned
from ticketzoo.training.record import Record
from ticketzoo.training.scores import Scores
from ticketzoo.training.statistics import gather_statistics
from ticketzoo.training.threads import threads_for
from ticketzoo.util.files import sync_folder, writing_into

FINAL = "final.safetensors"
"""The trained weights of a finished training, where it kept them."""
_LEARNED = "learned.safetensors"
"""What a training learned beside weights: masks, scores."""
_KEY, _RULE = "batch_norm", "whole batches"
"""The rule of statistics of several processes, as a finished training notes it."""


@dataclass(frozen=True)
class Cell:
    """A finished training: its record, and the tensors that were asked for."""

    record: Record
    folder: Path

    @property
    def environment(self) -> dict[str, Any]:
        """Return versions, device and threads that it was trained with."""
        return processes.from_first(lambda: read_document(self.folder / "cell.json", "environment"))

    def final_state(self) -> State:
        """Return the trained parameters and buffers."""
        return processes.from_first(lambda: read_state(self.folder / FINAL))

    def learned(self) -> Learned:
        """Return what was learned; the weights as `final_state` does."""
        file = self.folder / _LEARNED
        others = processes.from_first(lambda: read_state(file) if file.is_file() else {})
        return join_learned(self.final_state(), others)

    def snapshot(self, step: int) -> State:
        """Return the parameters and buffers after `step` updates."""
        return processes.from_first(lambda: read_state(self.folder / _snapshot_file(step)))


@dataclass(frozen=True)
class Training:
    """A training that is missing in a store.

    Attributes:
        job: what to train.
        label: its name where progress is shown.
        specification: that of the job, as JSON.
        folder: of the cell that it becomes.
        keep_final: also keep the trained weights.
        snapshot_steps: also keep the states after so many updates.
    """

    job: Job
    label: str
    specification: dict[str, Any]
    folder: Path
    keep_final: bool
    snapshot_steps: tuple[int, ...]

    @property
    def half_done(self) -> Path:
        """The folder of the cell until it is whole."""
        return self.folder.with_name(self.folder.name + ".partial")


def read_cell(
    folder: Path, job: Job, keep_final: bool, snapshot_steps: Collection[int], due_again: Callable[[str], None]
) -> Cell | None:
    """Return the cell of `job`, or None where it is not finished, lacks a tensor that is asked for, or is due again.

    Args:
        folder: of the cell.
        job: that it is of.
        keep_final: whether its trained weights are asked for.
        snapshot_steps: after which its states are asked for.
        due_again: told why, where a finished cell is.

    Raises:
        RunError: its record cannot be read.
    """
    wanted = ["cell.json", *[FINAL] * keep_final, *map(_snapshot_file, snapshot_steps)]
    if not all((folder / name).is_file() for name in wanted):
        return None
    record = read_document(folder / "cell.json", "record")
    if why := outdated(job, read_document(folder / "cell.json", "environment")):
        due_again(why)
        return None
    try:
        return Cell(Record(**record), folder)
    except TypeError:
        raise unreadable(folder / "cell.json") from None


def rules_of(job: Job) -> dict[str, str]:
    """Return what a finished training notes of the rules that it went by; empty where none has ever changed."""
    return {_KEY: _RULE} if processes.count() > 1 and _gathers(job) else {}


def outdated(job: Job, environment: Mapping[str, Any]) -> str:
    """Return in words why a finished training is due again; empty where it is not.

    BatchNorm statistics that masks by scores, or networks as they are, gathered on several processes were those of the
    first process's part of each batch. They are those of whole batches, as on one process.

    Args:
        job: that it is of.
        environment: that it was trained in, as its record has it.
    """
    count = environment.get("processes", 1)
    exact = environment.get(_KEY) == _RULE or (job.training.sync_batchnorm and job.learn != STATISTICS)
    if count == 1 or exact or not _gathers(job):
        return ""
    return f"was trained on {count} processes by a version whose BatchNorm statistics were those of the first one alone"


def _gathers(job: Job) -> bool:
    gathers = isinstance(job.learn, Scores) or job.learn == STATISTICS
    return gathers and any(name.endswith("running_mean") for name in job.state)


def train_cell(training: Training, device: torch.device, checkpoint_seconds: float, progress: Progress) -> None:
    """Train on `device`, from the last checkpoint if there is one, and make the folder of the cell.

    Until the cell is whole its folder has another name, with `.partial` behind.

    Args:
        training: what to train and where to keep it.
        device: where to train.
        checkpoint_seconds: how often the training is saved while it is under way.
        progress: told of steps and of damaged checkpoints.
    """
    job = training.job
    model = job.model(device)
    missing = processes.from_first(lambda: begin_cell(training))
    callbacks = cell_callbacks(training, missing, checkpoint_seconds, progress)
    start = job.start_step
    with threads_for(job, model, device):
        if job.learn == STATISTICS:
            gather_statistics(model, job.task, job.training.batch_size, job.seed, device)
        record = train(
            model, job.task, job.training, seed=job.seed, device=device, start_step=start, callbacks=callbacks
        )
        measured_in = environment(device)
    finish_cell(training, model, record, measured_in)


def begin_cell(training: Training) -> list[int]:
    """Make the folder of an unfinished cell, or clean it. Returns the snapshots that it does not hold."""
    half_done = training.half_done
    with writing_into(half_done):
        half_done.mkdir(exist_ok=True)
        sync_folder(half_done.parent)
        for stray in half_done.glob(".*"):  # what a killed process had not finished writing
            stray.unlink()
    return [step for step in training.snapshot_steps if not (half_done / _snapshot_file(step)).is_file()]


def cell_callbacks(
    training: Training, missing: Collection[int], checkpoint_seconds: float, progress: Progress
) -> Callbacks:
    """Return what is done beside the updates of a training: snapshots that are `missing`, progress, checkpoints."""
    return Callbacks(
        snapshot_steps=missing,
        on_snapshot=lambda step, state: _write_snapshot(training.half_done, step, state),
        on_progress=lambda step, total: progress.step(training.label, step, total),
        on_record=lambda record: progress.recorded(training.job, training.label, training.folder, record, done=False),
        resumption=Resumption(training.half_done, checkpoint_seconds, progress.warn),
    )


def finish_cell(training: Training, model: nn.Module, record: Record, measured_in: dict[str, Any]) -> None:
    """Make the unfinished cell a finished one: of the trained `model`, its record, and the environment of both."""
    job = training.job
    record.left_out = job.task.left_out if isinstance(job.task, SkippingTask) else 0
    noted = measured_in | rules_of(job)
    content = {"specification": training.specification, "record": vars(record), "environment": noted}
    learned = job.learn.learned(model)
    states = {_LEARNED: split_learned(learned)} | ({FINAL: learned.weights} if training.keep_final else {})
    processes.from_first(lambda: _finish(training, content, states))


def _finish(training: Training, content: dict[str, Any], states: dict[str, State]) -> None:
    """Make the unfinished cell a finished one, all at once."""
    half_done, folder = training.half_done, training.folder
    with writing_into(half_done):
        for name, state in states.items():
            if state:
                write_state(half_done / name, state)
        write_document(half_done / "cell.json", content)
        remove_checkpoints(half_done)
        if (folder / "cell.json").is_file() and not read_cell(folder, training.job, False, (), lambda why: None):
            (folder / "cell.json").unlink()  # first: without it nothing that is left counts as finished
            for stale in (folder / FINAL, folder / _LEARNED, *folder.glob(_snapshot_file("*"))):
                stale.unlink(missing_ok=True)
        if folder.exists():  # finished before, but without a tensor that is asked for now
            for file in half_done.iterdir():
                file.replace(folder / file.name)
            half_done.rmdir()
        else:
            half_done.rename(folder)
            sync_folder(folder.parent)


def _write_snapshot(folder: Path, step: int, state: State) -> None:
    with writing_into(folder):
        write_state(folder / _snapshot_file(step), state)


def _snapshot_file(step: int | str) -> str:
    return f"step-{step}.safetensors"
