"""The trainings of a transfer evaluation: tickets on targets, arm by arm."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from ticketzoo.errors import RecipeError, TicketError
from ticketzoo.evaluation.controls import Controls, Labels, arm_words, dense_training, ticket_labels
from ticketzoo.evaluation.rows import Row, task_rows
from ticketzoo.masks.masks import Masks
from ticketzoo.masks.random import random_masks
from ticketzoo.models import create_from_architecture, head_modules, model_state
from ticketzoo.models.arguments import OF_HEAD
from ticketzoo.models.body import in_body, model_names_of, within
from ticketzoo.models.create import architecture_for, full_name
from ticketzoo.models.state import State
from ticketzoo.runs.store import Job, Store
from ticketzoo.seeds import derive_seed
from ticketzoo.targets.fit import check_fit, made_as_large
from ticketzoo.targets.pretrained import pretrained_weights, start_of_dense
from ticketzoo.targets.recipe import Head, TransferRecipe
from ticketzoo.targets.replicates import masks_again, replicate_of
from ticketzoo.tasks import create_task
from ticketzoo.tasks.task import Task
from ticketzoo.ticket import Ticket
from ticketzoo.ticket.base import shared_base
from ticketzoo.ticket.config import BaseRewind
from ticketzoo.ticket.empty import nearly_empty, refuse_empty
from ticketzoo.training import TrainingConfig
from ticketzoo.training.parametrisation import FROZEN, WEIGHTS


@dataclass(frozen=True)
class Target:
    """A target made ready: its data loaded, its training and head decided."""

    name: str
    task: Task
    training: TrainingConfig
    head: Head


def load_targets(recipe: TransferRecipe, tickets: Sequence[Ticket]) -> list[Target]:
    """Return the targets of `recipe`, data loaded, texts in the tokens of the tickets' base model.

    Raises:
        DataError: a data set is missing or unusable.
        RecipeError: two targets have one name.
    """
    tokenizer = base_of(recipe, tickets)
    targets = []
    for config in recipe.targets:
        task = create_task(config.task, tokenizer=tokenizer)
        name = config.name or task.name
        targets.append(Target(name, task, config.training or recipe.training, config.head or recipe.head))
    names = [target.name for target in targets]
    if repeated := {name for name in names if names.count(name) > 1}:
        raise RecipeError(f"targets: several are called {', '.join(sorted(repeated))}; give each a different name")
    return targets


def load_tickets(recipe: TransferRecipe, load: Callable[[str], Ticket]) -> list[Ticket]:
    """Return the tickets of `recipe`, found by `load`. Raises RecipeError where two have one name."""
    tickets = [load(reference) for reference in recipe.tickets]
    if len({ticket.name for ticket in tickets}) < len(tickets):
        raise RecipeError(f"tickets: two of them are the same, or called alike: {', '.join(recipe.tickets)}")
    return tickets


def evaluate_transfer(
    recipe: TransferRecipe, tickets: Sequence[Ticket], targets: Sequence[Target], cells: Store, *, done: int = 0
) -> list[Row]:
    """Run `recipe` in `cells` and return its measured rows; trainings that are finished there are not repeated.

    Args:
        recipe: the comparison.
        tickets: of `load_tickets`.
        targets: of `load_targets`.
        cells: the store of trainings.
        done: number of the recipe's first seeds to leave out.

    Raises:
        TicketError, ModelError: a ticket or its base is damaged or does not fit a target, said before anything is
            trained.
        RecipeError: a ticket was found on a pretrained model, which the recipe must name.
        RunError: see `Store`.
    """
    comparisons = [
        _Comparison(ticket, _levels(recipe, ticket), target, seed, replicate_of(ticket, index), weights)
        for ticket, weights in [(ticket, pretrained_weights(ticket, recipe.base)) for ticket in tickets]
        for target in targets
        for index, seed in enumerate(recipe.seeds)
        if index >= done
    ]
    lines = [masks_again(ticket, len(recipe.seeds)) for ticket in tickets if done <= len(ticket.seeds)]
    lines += [line for comparison in comparisons for line in comparison.check()]
    for line in filter(None, dict.fromkeys(lines)):
        cells.progress.warn(line)
    count = sum(1 + len(one.levels) + one.controls(recipe).count(len(one.levels)) for one in comparisons)
    cells.progress.planned(count * len(recipe.seeds) // (len(recipe.seeds) - done))

    def measure(training: tuple[Job, Labels]) -> list[Row]:
        job, labels = training
        where = f"{labels['ticket']} level {labels['level']} on {labels['target']}"
        cell = cells.run(job, f"{where} seed {labels['seed']} {arm_words(labels)}")
        return cells.measured(task_rows(cell.record, job.task, labels))

    trainings = (training for comparison in comparisons for training in comparison.trainings(recipe))
    return [row for rows in cells.each(measure, trainings) for row in rows]


@dataclass(frozen=True)
class _Comparison:
    """One ticket on one target with one seed."""

    ticket: Ticket
    levels: list[int]
    target: Target
    seed: int
    replicate: int
    """Seed of the ticket's replicate: see `replicate_of`."""
    pretrained: Mapping[str, Tensor] | None
    """The weights of the model that the ticket was found on, if that was a pretrained one."""

    def at(self, level: int) -> Ticket:
        return self.ticket.at(level=level, seed=self.replicate)

    def check(self) -> list[str]:
        """Return a line for each layer in use that keeps next to nothing.

        Raises:
            TicketError, ModelError: the ticket or the model it was found on does not fit the target.
        """
        lines = []
        for level in self.levels:
            job, _ = ticket_job(self.at(level), self.target, self.seed)
            self._start(job)
            few = nearly_empty(job.masks, partial(create_from_architecture, job.architecture, seed=0))
            lines += [f"{self.ticket.name} on {self.target.name} at level {level}: {line}" for line in few]
        return lines

    def _start(self, job: Job) -> State | None:
        """Return the state of the pretrained model under the head of the ticket's training `job`."""
        if self.pretrained is None:
            return None
        return job.state if self.ticket.config.rewind.kind == "base" else start_of_dense(job, self.pretrained)

    def controls(self, recipe: TransferRecipe) -> Controls:
        """Return the arms beside the ticket."""
        return recipe.controls(pretrained=self.pretrained is not None, levels=self.levels)

    def trainings(self, recipe: TransferRecipe) -> Iterator[tuple[Job, Labels]]:
        """Yield the trainings, each made when its turn comes, and the labels of their rows."""
        for level in self.levels:
            view = self.at(level)
            job, known = ticket_job(view, self.target, self.seed)
            start = self._start(job)
            labels = ticket_labels(
                ticket=self.ticket.name,
                level=level,
                sparsity=view.sparsity,
                target=self.target.name,
                seed=self.seed,
            )
            if level == self.levels[0]:
                yield dense_training(job, labels, pretrained=start)
            yield job, labels
            once = level == self.levels[0]
            yield from self.controls(recipe).beside(job, labels, known=known, pretrained=start, once=once)


def _levels(recipe: TransferRecipe, ticket: Ticket) -> list[int]:
    """Return the packaged levels that `recipe` asks for, each once."""
    if recipe.levels:
        return [ticket.at(level=level).level for level in recipe.levels]
    return list(dict.fromkeys(ticket.at(sparsity=sparsity).level for sparsity in recipe.sparsities or ()))


def base_of(recipe: TransferRecipe, tickets: Sequence[Ticket]) -> str | None:
    """Return the folder or Hub id (`owner/name@commit`) of the tickets' pretrained model; None where none is named.

    Raises RecipeError where they rewind to different models, which may read texts differently.
    """
    rewinds = [ticket.config.rewind for ticket in tickets]
    bases = {f"{rewind.repo_id}@{rewind.revision}" for rewind in rewinds if isinstance(rewind, BaseRewind)}
    if len(bases) > 1:
        raise RecipeError(
            f"tickets: they rewind to different models: {', '.join(sorted(bases))}; write a recipe for each"
        )
    return recipe.base or next(iter(bases), None)


def ticket_job(ticket: Ticket, target: Target, seed: int) -> tuple[Job, Masks | None]:
    """Return the training of `ticket` on `target`, and masks of the rewind weights that its state holds if not all.

    Raises:
        TicketError: the ticket's layers, but for the head, do not fit the target's model; or the head is to be kept
            and the classes differ.
    """
    if ticket.config.use == "as-is":
        raise TicketError(f"{ticket.name}: is used as it is, not retrained: evaluate ticket.build() on {target.name}")
    source = ticket.config.architecture
    kwargs = {key: value for key, value in source.kwargs.items() if key not in OF_HEAD}
    architecture = architecture_for(full_name(source.library, source.name), kwargs, target.task.signature)
    if target.head == "keep" and any(key in source.kwargs and key not in architecture["kwargs"] for key in OF_HEAD):
        what = "was found under a projection head, which scores no classes"
        raise TicketError(f"{ticket.name} on {target.name}: {what}: set head: dense")
    model = create_from_architecture(architecture, seed=derive_seed(seed, "init"))
    fresh, head = model_state(model), head_modules(model)
    base = shared_base(ticket)
    weights = ticket.known_state if base is None else base
    moved = {
        name: tensor
        for name, tensor in model_names_of(weights, model).items()
        if (in_body(name, model) and not within(name, head)) or (target.head == "keep" and name in fresh)
    }
    where = f"{ticket.name} on {target.name}"
    check_fit(where, moved, fresh, head, as_large=made_as_large(source.kwargs, architecture["kwargs"]))
    masks = {name: mask for name, mask in model_names_of(ticket.masks, model).items() if name in moved}
    remedy = "choose a denser level, or find the ticket again with finder.exclude naming them"
    if not (frozen := ticket.config.masked == "frozen"):
        refuse_empty(masks, model, f"{where} at level {ticket.level}", remedy)
    known = {name: mask for name, mask in model_names_of(ticket.known_rewind, model).items() if name in moved}
    if target.head == "random_mask":
        masks |= _random_head(ticket, fresh, head, seed)
    ordered = {name: masks[name] for name in fresh if name in masks}
    learn = FROZEN if frozen else WEIGHTS
    job = Job(architecture, {**fresh, **moved}, ordered, target.task, target.training, seed, learn=learn)
    return job, known if base is None else None


def _random_head(ticket: Ticket, fresh: Mapping[str, Tensor], head: list[str], seed: int) -> Masks:
    """Return masks of the head's weights on the target, as dense as the ticket's, at positions drawn from `seed`."""
    drawn: Masks = {}
    for name, mask in ticket.masks.items():
        if within(name, head):
            kept = torch.zeros(fresh[name].numel(), dtype=torch.bool)
            kept[: round(int(mask.sum()) / mask.numel() * len(kept))] = True
            drawn[name] = kept.view(fresh[name].shape)
    return random_masks(drawn, derive_seed(seed, "head"))
