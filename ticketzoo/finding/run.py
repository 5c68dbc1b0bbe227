"""From a recipe to tickets: the method's levels for each seed, and the arms that they are compared with."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ticketzoo.errors import RecipeError, RunError
from ticketzoo.evaluation.controls import Labels, arm_words, dense_labels, ticket_labels
from ticketzoo.evaluation.looks import look_by_look
from ticketzoo.evaluation.rows import Row, task_rows
from ticketzoo.finding.inverted import inverted_masks
from ticketzoo.finding.lab import RecipeLab
from ticketzoo.finding.method import METHODS, Level, Start, Trained
from ticketzoo.finding.recipe import FindRecipe
from ticketzoo.finding.start import SourceModel, load_model
from ticketzoo.finding.twins import Twin, twins_of
from ticketzoo.masks.masks import Masks, sparsity
from ticketzoo.models import create_from_architecture
from ticketzoo.pruning.config import dense_masks, included, prunable
from ticketzoo.pruning.pruner import Pruner
from ticketzoo.pruning.reached import unreached
from ticketzoo.runs.store import Job, Store
from ticketzoo.tasks.task import Task
from ticketzoo.ticket.levels import PackedLevels, pack_levels
from ticketzoo.training.record import Record


@dataclass(frozen=True)
class Replicate:
    """One seed's findings, level by level, and what was measured of them."""

    seed: int
    levels: PackedLevels
    """The masks of levels 0, 1, ..."""
    initial: Start
    """The weights of step 0."""
    found: list[Level]
    """What the method yielded for each level, trained; the masks are in `levels`."""
    rows: list[Row]
    records: list[Record]
    inverted: Mapping[int, Masks] = field(default_factory=dict)
    """Masks of the same levels that keep the lowest scores, where an arm asks for them."""
    twins: Mapping[int, Twin] = field(default_factory=dict)
    """Other dense trainings by number of the draw, where an arm asks for them."""


@dataclass(frozen=True)
class Finding:
    """All that a recipe's run found and measured."""

    model: SourceModel
    idle: list[str]
    """Parameters that the task does not train, which were not pruned."""
    replicates: list[Replicate]
    rows: list[Row]
    records: list[Record]
    """Of each training."""


def find_tickets(recipe: FindRecipe, task: Task, cells: Store, model: SourceModel | None = None) -> Finding:
    """Run `recipe` in `cells`, with `model` in place of the one it names; what is finished there is not done again.

    Raises:
        RecipeError: a pattern matches no layer, a level would keep no weight, the model's arguments contradict the
            data, or the rewind step is not before the end of training.
        ModelError: the architecture is unknown or does not fit the data.
        RunError: the method gave masks that cannot be; or see `Store`.
    """
    search = Search(recipe, task, cells, model=model)
    search.say_what_is_not_pruned()
    finding = Finding(search.model, search.idle, [], [], [])

    def measure(seeds: Sequence[int]) -> None:
        cells.progress.planned(recipe.trainings // len(recipe.seeds) * (len(finding.replicates) + len(seeds)))
        replicates = cells.each(search.replicate, seeds)
        controls = cells.each(search.measure, (control for one in replicates for control in search.controls(one)))
        for rows, records in [(one.rows, one.records) for one in replicates] + [(rows, [of]) for rows, of in controls]:
            finding.rows.extend(rows)
            finding.records.extend(records)
        finding.replicates.extend(replicates)

    look_by_look(recipe.seeds, recipe.until, measure, lambda: {recipe.name: recipe.judge(finding.rows)}, cells)
    return finding


class Search:
    """One run of a recipe. `label` goes before those of its trainings."""

    def __init__(
        self, recipe: FindRecipe, task: Task, cells: Store, label: str = "", *, model: SourceModel | None = None
    ) -> None:
        self.recipe, self.task, self.cells, self.label = recipe, task, cells, label
        self.model = model or load_model(recipe, task)
        network = create_from_architecture(self.model.architecture, seed=0)
        dense = dense_masks(prunable(network, recipe.finder), recipe.finder)
        self.idle = unreached(network, task, [name for name in dense if not included(name, recipe.finder)])
        """Parameters that the task does not train, which are not pruned."""
        self.dense = {name: mask for name, mask in dense.items() if name not in self.idle}
        if not self.dense:
            raise RecipeError(f"finder: {task.name} trains none of the parameters to prune: {', '.join(self.idle)}")
        Pruner.of(recipe.finder, network).check(self.dense, recipe.finder.levels)
        recipe.check_arms(network)  # last: a network without convolutions is refused as such
        self.lab(recipe.seeds[0]).try_criterion()

    def say_what_is_not_pruned(self) -> None:
        """Warn of parameters that the task does not train, in one line."""
        if self.idle:
            what = f"not pruned, as {self.task.name} does not train them: {', '.join(self.idle)}"
            self.cells.progress.warn(f"{what} (finder.include brings them in)")

    def lab(self, seed: int) -> RecipeLab:
        """Return the lab of `seed`, in which a method works."""
        return RecipeLab(self.recipe, self.task, self.cells, self.model, self.dense, seed, self.label)

    def replicate(self, seed: int) -> Replicate:
        """Run the method with `seed` and measure every level that it yields. Raises as `find_tickets` does."""
        lab, finder = self.lab(seed), self.recipe.finder
        found: list[Level] = []
        rows: list[Row] = []

        def measured() -> Iterator[tuple[int, Masks]]:
            for number, level in enumerate(METHODS[finder.method].make(lab, finder)):
                level.check(self.dense, f"method {finder.method!r} gave for level {number}", dense=number == 0)
                trained = level.trained or lab.measured(level)
                found.append(replace(level, masks={}, trained=replace(trained, masks={})))
                rows.extend(self.cells.measured(self._level_rows(seed, number, level, trained)))
                yield number, level.masks
                lab.level = number + 1

        levels = pack_levels(measured())
        if len(levels) <= finder.levels:
            gave = f"method {finder.method!r} gave {len(levels) - 1} levels"
            raise RunError(f"{gave}, but finder.levels asks for {finder.levels}")
        inverted = inverted_masks(lab, levels) if self.recipe.controls.inverts else {}
        twins = twins_of(lab, found) if self.recipe.controls.twins else {}
        return Replicate(seed, levels, lab.initial, found, rows, lab.records, inverted, twins)

    def controls(self, replicate: Replicate) -> Iterator[tuple[Job, Labels]]:
        """Yield the trainings to compare with at the recipe's levels, each made when its turn comes."""
        lab, controls, levels = self.lab(replicate.seed), self.recipe.controls, self.recipe.control_levels
        for level in levels:
            masks, found = replicate.levels[level], replicate.found[level]
            job, labels = lab.job(masks, found.start, found.learn), self._labels(replicate.seed, level, masks)
            known, lowest, once = found.start.known, replicate.inverted.get(level), level == levels[0]
            twins, begun = replicate.twins, replicate.initial.read
            yield from controls.beside(job, labels, known=known, inverted=lowest, twins=twins, begun=begun, once=once)

    def measure(self, control: tuple[Job, Labels]) -> tuple[list[Row], Record]:
        """Train a control. Returns its rows and its record."""
        job, labels = control
        level = f"level {labels['level']}/{self.recipe.finder.levels}"
        record = self.cells.run(job, f"{self.label}seed {labels['seed']} {level} {arm_words(labels)}").record
        return self.cells.measured(task_rows(record, self.task, labels)), record

    def _level_rows(self, seed: int, number: int, level: Level, trained: Trained) -> list[Row]:
        labels, record = self._labels(seed, number, level.masks), trained.record
        if level.measured and record.final:  # of a plan nothing is known
            record = replace(record, final={**record.final, **level.measured})
        rows = task_rows(record, self.task, labels)
        return rows if number else rows + task_rows(trained.record, self.task, dense_labels(labels))

    def _labels(self, seed: int, level: int, masks: Masks) -> Labels:
        name, target = self.recipe.name, self.task.name
        return ticket_labels(ticket=name, level=level, sparsity=sparsity(masks), target=target, seed=seed)
