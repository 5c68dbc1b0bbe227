"""Retraining tickets on targets, arm by arm."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch

from ticketzoo.errors import RecipeError, TicketError
from ticketzoo.models import architecture_of, create_from_architecture, head_of
from ticketzoo.seeds import derive_seed
from ticketzoo.tasks import create_task
from ticketzoo.ticket import Ticket
from ticketzoo.ticket.masks import Masks
from ticketzoo.training import TrainingConfig
from ticketzoo.training.cells import Cells, Job
from ticketzoo.training.task import Task
from ticketzoo.transfer.arms import arm_job, initial_state, random_masks
from ticketzoo.transfer.recipe import Head, TransferRecipe
from ticketzoo.transfer.rows import Row, rows_of


@dataclass(frozen=True)
class Target:
    """A target made ready: its data loaded, its training and head decided."""

    name: str
    task: Task
    training: TrainingConfig
    head: Head


def load_targets(recipe: TransferRecipe) -> list[Target]:
    """The targets of `recipe`, data loaded.

    Raises:
        DataError: a data set is missing or unusable.
        RecipeError: two targets have one name.
    """
    targets = []
    for config in recipe.targets:
        task = create_task(config.task)
        name = config.name or task.name
        targets.append(Target(name, task, config.training or recipe.training, config.head or recipe.head))
    names = [target.name for target in targets]
    if repeated := {name for name in names if names.count(name) > 1}:
        raise RecipeError(f"targets: several are called {', '.join(sorted(repeated))}; give each a name")
    return targets


def evaluate_transfer(
    recipe: TransferRecipe, load: Callable[[str], Ticket], targets: list[Target], cells: Cells
) -> list[Row]:
    """Run `recipe` in `cells` and return its measured rows; what is finished there is not done again.

    Args:
        recipe: what to compare.
        load: finds a ticket by its reference.
        targets: of `load_targets`.
        cells: where trainings are kept.

    Raises:
        TicketError: a ticket is damaged or does not fit a target, said before anything is trained.
        RunError: see `Cells`.
    """
    comparisons = [
        _compare(ticket, target, recipe, seed, index)
        for reference in recipe.tickets
        for ticket in [load(reference)]
        for target in targets
        for index, seed in enumerate(recipe.seeds)
    ]
    cells.progress.planned(sum(len(comparison) for comparison in comparisons))
    rows: list[Row] = []
    for comparison in comparisons:
        for job, labels in comparison:
            what = f"{labels['ticket']} level {labels['level']} on {labels['target']} seed {labels['seed']} {labels['arm']}"
            rows += rows_of(cells.run(job, what).record, **labels)
    return rows


Labels = dict[str, Any]


def _compare(ticket: Ticket, target: Target, recipe: TransferRecipe, seed: int, index: int) -> list[tuple[Job, Labels]]:
    """The trainings of one ticket on one target with one seed, and the labels of their rows.

    The index-th seed retrains the ticket's index-th replicate, beginning anew when there are too few.
    """
    replicate = ticket.seeds[index % len(ticket.seeds)]
    levels = (
        [ticket.at(level=level, seed=replicate) for level in recipe.levels]
        if recipe.levels
        else [ticket.at(sparsity=sparsity, seed=replicate) for sparsity in recipe.sparsities or ()]
    )
    trainings = []
    for view in levels:
        job, known = ticket_job(view, target, seed)
        labels = {"ticket": view.config.name, "level": view.level, "sparsity": view.sparsity, "target": target.name}
        labels |= {"seed": seed, "draw": 0}
        trainings.append((job, labels | {"arm": "ticket"}))
        for arm in recipe.controls:
            for draw in range(recipe.draws):
                trainings.append((arm_job(arm, job, known=known, draw=draw), labels | {"arm": arm, "draw": draw}))
    dense_labels = labels | {"level": 0, "sparsity": 0.0, "arm": "dense"}
    return [(arm_job("dense", job), dense_labels), *trainings]


def ticket_job(ticket: Ticket, target: Target, seed: int) -> tuple[Job, Masks]:
    """The training of `ticket` on `target`, and where its state holds the ticket's rewind weights.

    Raises:
        TicketError: the ticket's layers, but for the head, do not fit the target's model; or the head is to be kept
            and the classes differ.
    """
    source = ticket.config.architecture
    prefix = "" if source.library == "ticketzoo" else f"{source.library}/"
    architecture = architecture_of(prefix + source.name, {**source.kwargs, **target.task.model_kwargs})
    head = head_of(create_from_architecture(architecture, seed=0)) + "."
    fresh = initial_state(architecture, seed)
    moved = {
        name: tensor
        for name, tensor in ticket.at(level=ticket.levels[0].level).rewind_state.items()
        if target.head == "keep" or not name.startswith(head)
    }
    for name, tensor in moved.items():
        if name not in fresh or fresh[name].shape != tensor.shape:
            there = tuple(fresh[name].shape) if name in fresh else "none"
            raise TicketError(
                f"{ticket.config.name} on {target.name}: {name} is {tuple(tensor.shape)} in the ticket and {there} in "
                "the target's model; choose a target of the same image size and channels"
                + (", or head: dense for other classes" if name.startswith(head) else "")
            )
    masks = {name: mask for name, mask in ticket.masks.items() if name in moved}
    known = {name: mask for name, mask in ticket.known_rewind.items() if name in moved}
    if target.head == "random_mask":
        masks |= _random_head(ticket, architecture, head, seed)
    ordered = {name: masks[name] for name in fresh if name in masks}
    return Job(architecture, {**fresh, **moved}, ordered, target.task, target.training, seed), known


def _random_head(ticket: Ticket, architecture: dict[str, Any], head: str, seed: int) -> Masks:
    """Masks of the head's weights on the target, of the ticket's density there, at positions drawn from `seed`."""
    shapes = {name: tensor.shape for name, tensor in initial_state(architecture, seed).items()}
    drawn: Masks = {}
    for name, mask in ticket.masks.items():
        if name.startswith(head):
            kept = torch.zeros(shapes[name].numel(), dtype=torch.bool)
            kept[: round(int(mask.sum()) / mask.numel() * len(kept))] = True
            drawn[name] = kept.view(shapes[name])
    return random_masks(drawn, derive_seed(seed, "head"))
