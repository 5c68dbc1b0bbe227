"""From a recipe to a packaged ticket: chains of cells for each seed, the other arms, the package."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor

from ticketzoo.errors import RecipeError
from ticketzoo.finding.imp import iterative_magnitude_pruning
from ticketzoo.finding.method import Method
from ticketzoo.finding.one_shot import one_shot_pruning
from ticketzoo.finding.pruning import check_rounds, dense_masks, prune_by_magnitude
from ticketzoo.finding.recipe import FindRecipe
from ticketzoo.models import architecture_of, create_from_architecture, prunable_parameters
from ticketzoo.ticket.masks import Masks, sparsity
from ticketzoo.training.cells import Cell, Cells, Job
from ticketzoo.training.checkpoint import State
from ticketzoo.training.loop import Record
from ticketzoo.training.task import Task
from ticketzoo.transfer.arms import Arm, arm_job, initial_state
from ticketzoo.transfer.rows import Row, rows_of

METHODS: dict[str, Method] = {"imp": iterative_magnitude_pruning, "one-shot": one_shot_pruning}


@dataclass(frozen=True)
class Replicate:
    """What one seed found: the masks of levels 0, 1, ... and the weights to train from."""

    seed: int
    levels: list[Masks]
    rewind_state: State
    """What the packaged levels were trained from."""
    chain: list[Cell]
    """The trainings of levels 0, 1, ..."""


@dataclass(frozen=True)
class Finding:
    """All that a recipe's run found and measured."""

    replicates: list[Replicate]
    rows: list[Row]
    seconds: list[float]
    """Duration of each training."""


def find_tickets(recipe: FindRecipe, task: Task, cells: Cells) -> Finding:
    """Run `recipe` in `cells`; what is finished there is not done again.

    Raises:
        RecipeError: a pattern matches no layer, a level would keep no weight, the model's arguments contradict the
            data, or the rewind step is not before the end of training.
        ModelError: the architecture is unknown or does not fit the data.
        RunError: see `Cells`.
    """
    search = _Search(recipe, task, cells)
    cells.progress.planned(recipe.trainings)
    replicates = [search.replicate(seed) for seed in recipe.seeds]
    for replicate in replicates:
        search.measure_controls(replicate)
    return Finding(replicates, search.rows, search.seconds)


class _Search:
    """One run of a recipe: turns its levels and arms into cells and collects their rows."""

    def __init__(self, recipe: FindRecipe, task: Task, cells: Cells) -> None:
        self.recipe, self.task, self.cells = recipe, task, cells
        self.rows: list[Row] = []
        self.seconds: list[float] = []
        self.architecture = architecture_for(recipe, task)
        model = create_from_architecture(self.architecture, seed=0)
        self.dense = dense_masks(prunable_parameters(model), recipe.finder)
        check_rounds(self.dense, recipe.finder, recipe.finder.levels)
        self.rewind_step = rewind_step(recipe, task)

    def replicate(self, seed: int) -> Replicate:
        """The masks that `seed` leads to, level by level."""
        chain: list[Cell] = []

        def train(level: int, masks: Masks) -> Mapping[str, Tensor]:
            job, snapshot_step = self._ticket(seed, level, masks, chain), None
            if level == 0 and self.recipe.finder.rewinding != "learning-rate":
                snapshot_step = self.rewind_step
            cell = self.cells.run(job, self._label(seed, level), keep_final=True, snapshot_step=snapshot_step)
            self.seconds.append(cell.record.seconds)
            chain.append(cell)
            self._add_rows(cell.record, "ticket", level, masks, seed)
            if level == 0:
                self._add_rows(cell.record, "dense", level, masks, seed)
            return cell.final_state()

        prune = partial(prune_by_magnitude, config=self.recipe.finder)
        method = METHODS[self.recipe.finder.method]
        levels = list(method(train, prune, self.dense, self.recipe.finder.levels))
        return Replicate(seed, levels, self._rewound(chain, self.recipe.finder.levels), chain)

    def measure_controls(self, replicate: Replicate) -> None:
        """Train the random arms at the recipe's levels."""
        for level in self.recipe.control_levels:
            masks = replicate.levels[level]
            ticket = self._ticket(replicate.seed, level, masks, replicate.chain)
            known = None
            if self.recipe.finder.rewinding == "learning-rate":  # trained weights are zero where the level before is
                known = replicate.levels[self.recipe.finder.pruned_from(level)]
            for arm in self.recipe.controls:
                for draw in range(self.recipe.draws):
                    job = arm_job(arm, ticket, known=known, draw=draw)
                    cell = self.cells.run(job, f"{self._label(replicate.seed, level)} {arm}")
                    self.seconds.append(cell.record.seconds)
                    self._add_rows(cell.record, arm, level, masks, replicate.seed, draw)

    def _ticket(self, seed: int, level: int, masks: Masks, chain: list[Cell]) -> Job:
        """The training of `level`, given those of the levels before it."""
        if level == 0:
            return self._job(seed, initial_state(self.architecture, seed), {}, 0)
        start_step = 0 if self.recipe.finder.rewinding == "late-reset" else self.rewind_step
        return self._job(seed, self._rewound(chain, level), masks, start_step)

    def _rewound(self, chain: list[Cell], level: int) -> State:
        """The weights that `level` is trained from."""
        if self.recipe.finder.rewinding == "learning-rate":
            return chain[self.recipe.finder.pruned_from(level)].final_state()
        return chain[0].snapshot(self.rewind_step)

    def _job(self, seed: int, state: State, masks: Masks, start_step: int) -> Job:
        return Job(self.architecture, state, masks, self.task, self.recipe.training, seed, start_step)

    def _label(self, seed: int, level: int) -> str:
        return f"seed {seed} level {level}/{self.recipe.finder.levels}"

    def _add_rows(self, record: Record, arm: Arm, level: int, masks: Masks, seed: int, draw: int = 0) -> None:
        self.rows += rows_of(
            record,
            ticket=self.recipe.name,
            level=level,
            sparsity=sparsity(masks),
            arm=arm,
            target=self.task.name,
            seed=seed,
            draw=draw,
        )


def architecture_for(recipe: FindRecipe, task: Task) -> dict[str, Any]:
    """The recipe's architecture, sized for the data. Raises RecipeError when its arguments contradict the data."""
    for key, needed in task.model_kwargs.items():
        if (asked := recipe.model.kwargs.get(key, needed)) != needed:
            raise RecipeError(f"model.kwargs.{key}: is {asked}, but {task.name} needs {needed}; leave it out")
    return architecture_of(recipe.model.name, {**recipe.model.kwargs, **task.model_kwargs})


def rewind_step(recipe: FindRecipe, task: Task) -> int:
    """The rewind step in iterations. Raises RecipeError when it is not before the end of training."""
    per_epoch = task.steps_per_epoch(recipe.training.batch_size)
    step, total = recipe.finder.rewind.iterations(per_epoch), recipe.training.steps.iterations(per_epoch)
    if step >= total:
        raise RecipeError(
            f"finder.rewind: {recipe.finder.rewind} is iteration {step}, not before the end of training ({total})"
        )
    return step
