"""Several cells at once: the trainings of a population, each into its own folder."""

import json
from collections.abc import Hashable, Iterator, Sequence

import torch
from torch.nn.modules.dropout import _DropoutNd

from ticketzoo.errors import TicketzooError
from ticketzoo.models import create_from_architecture
from ticketzoo.runs.cell import Training, begin_cell, cell_callbacks, finish_cell
from ticketzoo.runs.files import environment
from ticketzoo.runs.progress import Progress
from ticketzoo.tasks.task import ResidentTask
from ticketzoo.training.checkpoint import KEPT, checkpoint_steps
from ticketzoo.training.job import Job
from ticketzoo.training.parametrisation import FROZEN, HEAD, WEIGHTS
from ticketzoo.training.population_loop import train_population
from ticketzoo.training.record import Record
from ticketzoo.training.threads import SMALL_STEP, forward_operations, threads_for

_STACKED = (WEIGHTS, HEAD, FROZEN)
"""What can be learned by several at once."""


def why_not_stacked(job: Job, device: torch.device) -> str | None:
    """Return why a training is no member of a population, in words; None where it is worth trying."""
    if job.learn not in _STACKED:
        return f"a training of {job.learn.name} is not stacked"
    if job.training.compile:
        return "training.compile is on"
    if not isinstance(job.task, ResidentTask):
        return f"task {job.task.name} does not say which rows of which tensors its batches are"
    resident = job.task.resident(device)
    if isinstance(resident, str):
        return resident
    model = create_from_architecture(job.architecture, seed=0)
    if any(getattr(module, "p", 0) for module in model.modules() if isinstance(module, _DropoutNd)):
        return "the model has dropout"
    if device.type == "cpu" and forward_operations(job, model.to(device), device) >= SMALL_STEP:
        return "on a processor only small networks are faster together"
    return None


def kind_of(job: Job) -> Hashable:
    """Return what the members of a population have in common."""
    training = job.training.model_dump_json()
    return json.dumps(job.architecture, sort_keys=True), id(job.task), training, job.learn.name, job.start_step


def parts_of_one_step(trainings: Sequence[Training]) -> Iterator[tuple[int, list[Training]]]:
    """Yield the updates that are done, and the trainings of which so many are: all together if that can be.

    It cannot where checkpoints of all are there, but of no step that all have. A training with fewer than `KEPT`
    checkpoints has its start, too: those of a population are not written at one instant.
    """
    points = {id(training): _resumable(training) for training in trainings}
    common = set.intersection(*points.values())
    if common:
        yield max(common), list(trainings)
        return
    newest: dict[int, list[Training]] = {}
    for training in trainings:
        newest.setdefault(max(points[id(training)], default=training.job.start_step), []).append(training)
    yield from newest.items()


def train_cells(
    trainings: Sequence[Training], start: int, device: torch.device, checkpoint_seconds: float, progress: Progress
) -> list[TicketzooError | None]:
    """Train `trainings` of one kind as a population from step `start`, and make the folders of the cells.

    Args:
        trainings: of one kind.
        start: updates that are done, one of `parts_of_one_step`.
        device: where to train.
        checkpoint_seconds: how often the trainings are saved while they are under way.
        progress: told of steps and of damaged checkpoints.

    Returns:
        for each what it alone has run into, or None.
    """
    jobs = [training.job for training in trainings]
    callbacks = [cell_callbacks(training, begin_cell(training), checkpoint_seconds, progress) for training in trainings]
    with threads_for(jobs[0], jobs[0].model(device), device, models=len(jobs)):
        trained = train_population(jobs, callbacks, device, start=start)
        measured_in = environment(device) | {"executor": "stacked", "population": len(jobs)}
    errors: list[TicketzooError | None] = []
    for number, (training, outcome) in enumerate(zip(trainings, trained.outcomes, strict=True)):
        if isinstance(outcome, Record):
            finish_cell(training, trained.model(number), outcome, measured_in)
        errors.append(None if isinstance(outcome, Record) else outcome)
    return errors


def _resumable(training: Training) -> set[int]:
    """Return the steps from which a training can go on."""
    steps, missing = checkpoint_steps(training.half_done), begin_cell(training)
    usable = {step for step in steps if not any(asked < step for asked in missing)}
    return usable | ({training.job.start_step} if len(steps) < KEPT else set())
