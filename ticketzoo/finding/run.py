"""From a recipe to a packaged ticket: chains of cells for each seed, the other arms, the package."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from ticketzoo.errors import RecipeError
from ticketzoo.evaluation.controls import Labels, control_trainings, dense_labels, ticket_labels
from ticketzoo.evaluation.rows import Row, rows_of
from ticketzoo.finding.imp import iterative_magnitude_pruning
from ticketzoo.finding.method import Method
from ticketzoo.finding.one_shot import one_shot_pruning
from ticketzoo.finding.recipe import FindRecipe
from ticketzoo.finding.start import Start, load_start
from ticketzoo.masks.masks import Masks, sparsity
from ticketzoo.models import create_from_architecture, prunable_parameters
from ticketzoo.models.state import State
from ticketzoo.pruning.pruner import check_rounds, dense_masks, prune_by_magnitude
from ticketzoo.runs.store import Cell, Cells, Job
from ticketzoo.tasks.task import Task
from ticketzoo.ticket.levels import PackedLevels, pack_levels

METHODS: dict[str, Method] = {
    "imp": iterative_magnitude_pruning,
    "one-shot": one_shot_pruning,
    "one-shot-initial": one_shot_pruning,
}


@dataclass(frozen=True)
class Measured:
    """What a training gave: rows of results, and how long it took."""

    rows: list[Row]
    seconds: float


@dataclass(frozen=True)
class Replicate:
    """What one seed found: the masks of levels 0, 1, ... and the weights to train from."""

    seed: int
    levels: PackedLevels
    rewind_state: State
    """What the packaged levels were trained from."""
    chain: list[Cell]
    """The trainings of levels 0, 1, ..."""
    measured: list[Measured]
    """Of these trainings, and of the head's if it was trained first."""


@dataclass(frozen=True)
class Control:
    """A training of one of the control arms, and the labels of its rows."""

    job: Job
    labels: Labels


@dataclass(frozen=True)
class Finding:
    """All that a recipe's run found and measured."""

    start: Start
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
    search = Search(recipe, task, cells)
    cells.progress.planned(recipe.trainings)
    replicates = cells.each(search.replicate, recipe.seeds)
    controls = cells.each(search.measure, (control for one in replicates for control in search.controls(one)))
    measured = [training for replicate in replicates for training in replicate.measured] + controls
    rows = [row for training in measured for row in training.rows]
    return Finding(search.start, replicates, rows, [training.seconds for training in measured])


class Search:
    """One run of a recipe: turns its levels and arms into cells. `label` goes before theirs."""

    def __init__(self, recipe: FindRecipe, task: Task, cells: Cells, label: str = "") -> None:
        self.recipe, self.task, self.cells, self.label = recipe, task, cells, label
        self.start = load_start(recipe, task)
        model = create_from_architecture(self.start.architecture, seed=0)
        self.dense = dense_masks(prunable_parameters(model), recipe.finder)
        check_rounds(self.dense, recipe.finder, recipe.finder.levels)
        self.rewind_step = rewind_step(recipe, task)

    def dense_cell(self, seed: int, snapshot_steps: Collection[int]) -> Cell:
        """The training of the dense network, its states after `snapshot_steps` kept."""
        job = self._job(seed, self._initial_state(seed)[0], {}, 0)
        return self.cells.run(job, self._label(seed, 0), keep_final=True, snapshot_steps=snapshot_steps)

    def replicate(self, seed: int) -> Replicate:
        """The masks that `seed` leads to, level by level."""
        initial, measured = self._initial_state(seed)
        chain: list[Cell] = []

        def train(level: int, masks: Masks) -> Mapping[str, Tensor]:
            job = self._ticket(seed, level, masks, chain) if level else self._job(seed, initial, {}, 0)
            rewound_to = [self.rewind_step] if level == 0 and self.recipe.finder.rewinding != "learning-rate" else []
            cell = self.cells.run(job, self._label(seed, level), keep_final=True, snapshot_steps=rewound_to)
            chain.append(cell)
            labels = self._labels(seed, level, masks)
            rows = rows_of(cell.record, self.task.metric, **labels)
            if level == 0:
                rows += rows_of(cell.record, self.task.metric, **dense_labels(labels))
            measured.append(Measured(rows, cell.record.seconds))
            return initial if self.recipe.finder.method == "one-shot-initial" else cell.final_state()

        prune = partial(prune_by_magnitude, config=self.recipe.finder)
        method = METHODS[self.recipe.finder.method]
        levels = pack_levels(enumerate(method(train, prune, self.dense, self.recipe.finder.levels)))
        return Replicate(seed, levels, self._rewound(chain, self.recipe.finder.levels), chain, measured)

    def controls(self, replicate: Replicate) -> Iterator[Control]:
        """The random arms at the recipe's levels, each made when its turn comes."""
        for level in self.recipe.control_levels:
            masks = replicate.levels[level]
            ticket = self._ticket(replicate.seed, level, masks, replicate.chain)
            known = None
            if self.recipe.finder.rewinding == "learning-rate":  # trained weights are zero where the level before is
                known = replicate.levels[self.recipe.finder.pruned_from(level)]
            labels = self._labels(replicate.seed, level, masks)
            arms, draws = self.recipe.controls, self.recipe.draws
            for job, its_labels in control_trainings(ticket, labels, arms, draws=draws, known=known):
                yield Control(job, its_labels)

    def measure(self, control: Control) -> Measured:
        """Train a control arm."""
        labels = control.labels
        cell = self.cells.run(control.job, f"{self._label(labels['seed'], labels['level'])} {labels['arm']}")
        return Measured(rows_of(cell.record, self.task.metric, **labels), cell.record.seconds)

    def _initial_state(self, seed: int) -> tuple[State, list[Measured]]:
        """What the dense network starts from: with `head_first`, its head is trained on a frozen body."""
        state = self.start.state(seed)
        if self.recipe.head_first is None:
            return state, []
        job = Job(self.start.architecture, state, {}, self.task, self.recipe.head_first, seed, trainable="head")
        cell = self.cells.run(job, f"{self.label}seed {seed} head", keep_final=True)
        return cell.final_state(), [Measured([], cell.record.seconds)]

    def _ticket(self, seed: int, level: int, masks: Masks, chain: list[Cell]) -> Job:
        """The training of a pruned `level`, given those of the levels before it."""
        start_step = 0 if self.recipe.finder.rewinding == "late-reset" else self.rewind_step
        return self._job(seed, self._rewound(chain, level), masks, start_step)

    def _rewound(self, chain: list[Cell], level: int) -> State:
        """The weights that `level` is trained from."""
        if self.recipe.finder.rewinding == "learning-rate":
            return chain[self.recipe.finder.pruned_from(level)].final_state()
        return chain[0].snapshot(self.rewind_step)

    def _job(self, seed: int, state: State, masks: Masks, start_step: int) -> Job:
        return Job(self.start.architecture, state, masks, self.task, self.recipe.training, seed, start_step)

    def _label(self, seed: int, level: int) -> str:
        return f"{self.label}seed {seed} level {level}/{self.recipe.finder.levels}"

    def _labels(self, seed: int, level: int, masks: Masks) -> Labels:
        return ticket_labels(
            ticket=self.recipe.name, level=level, sparsity=sparsity(masks), target=self.task.name, seed=seed
        )


def rewind_step(recipe: FindRecipe, task: Task) -> int:
    """The rewind step in iterations. Raises RecipeError when it is not before the end of training."""
    per_epoch = task.steps_per_epoch(recipe.training.batch_size)
    step, total = recipe.finder.rewind.iterations(per_epoch), recipe.training.steps.iterations(per_epoch)
    if step >= total:
        raise RecipeError(
            f"finder.rewind: {recipe.finder.rewind} is iteration {step}, not before the end of training ({total})"
        )
    return step
