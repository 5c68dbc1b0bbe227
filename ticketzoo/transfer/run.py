"""Retraining tickets on targets, arm by arm."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
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
from ticketzoo.transfer.arms import Arm, arm_job, initial_state, random_masks
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
        RecipeError: two tickets have one name.
        TicketError: a ticket is damaged or does not fit a target, said before anything is trained.
        RunError: see `Cells`.
    """
    tickets = [load(reference) for reference in recipe.tickets]
    if len({ticket.name for ticket in tickets}) < len(tickets):
        raise RecipeError(f"tickets: two of them are the same, or called alike: {', '.join(recipe.tickets)}")
    comparisons = [
        _Comparison(ticket, _levels(recipe, ticket), target, seed, ticket.seeds[index % len(ticket.seeds)])
        for ticket in tickets
        for target in targets
        for index, seed in enumerate(recipe.seeds)
    ]
    for comparison in comparisons:
        ticket_job(comparison.at(comparison.levels[0]), comparison.target, comparison.seed)
    random_trainings = len(recipe.controls) * recipe.draws
    cells.progress.planned(sum(1 + len(one.levels) * (1 + random_trainings) for one in comparisons))
    rows: list[Row] = []
    for comparison in comparisons:
        for job, labels in comparison.trainings(recipe):
            where = f"{labels['ticket']} level {labels['level']} on {labels['target']}"
            cell = cells.run(job, f"{where} seed {labels['seed']} {labels['arm']}")
            rows += rows_of(cell.record, **labels)
    return rows


Labels = dict[str, Any]


@dataclass(frozen=True)
class _Comparison:
    """One ticket on one target with one seed."""

    ticket: Ticket
    levels: list[int]
    target: Target
    seed: int
    replicate: int
    """Seed of the ticket's replicate. The recipe's n-th seed retrains the n-th, beginning anew if there are too few."""

    def at(self, level: int) -> Ticket:
        return self.ticket.at(level=level, seed=self.replicate)

    def trainings(self, recipe: TransferRecipe) -> Iterator[tuple[Job, Labels]]:
        """The trainings, each made when its turn comes, and the labels of their rows."""
        for level in self.levels:
            view = self.at(level)
            job, known = ticket_job(view, self.target, self.seed)
            if level == self.levels[0]:
                yield arm_job("dense", job), self._labels("dense", 0, 0.0)
            yield job, self._labels("ticket", level, view.sparsity)
            for arm in recipe.controls:
                for draw in range(recipe.draws):
                    labels = self._labels(arm, level, view.sparsity, draw)
                    yield arm_job(arm, job, known=known, draw=draw), labels

    def _labels(self, arm: Arm, level: int, sparsity: float, draw: int = 0) -> Labels:
        here = {"ticket": self.ticket.name, "level": level, "sparsity": sparsity, "arm": arm}
        return here | {"target": self.target.name, "seed": self.seed, "draw": draw}


def _levels(recipe: TransferRecipe, ticket: Ticket) -> list[int]:
    """The packaged levels that `recipe` asks for, each once."""
    if recipe.levels:
        return [ticket.at(level=level).level for level in recipe.levels]
    return list(dict.fromkeys(ticket.at(sparsity=sparsity).level for sparsity in recipe.sparsities or ()))


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
                f"{ticket.name} on {target.name}: {name} is {tuple(tensor.shape)} in the ticket and {there} in "
                "the target's model; choose a target of the same image size and channels"
                + (", or head: dense for other classes" if name.startswith(head) else "")
            )
    if missing := [name for name in fresh if name not in moved and not name.startswith(head)]:
        raise TicketError(
            f"{ticket.name} on {target.name}: has no {', '.join(missing)}, which the target's model needs"
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
