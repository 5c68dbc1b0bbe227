"""Instability analysis: copies trained from a shared step with data orders of their own, and the lines between them."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import combinations
from typing import Any

from ticketzoo.errors import RecipeError
from ticketzoo.evaluation.metrics import with_unit
from ticketzoo.finding.run import Search
from ticketzoo.instability.line import Line, Point, errors_along, metric_along
from ticketzoo.instability.measure import Instability, instability
from ticketzoo.instability.recipe import LineConfig, StabilityRecipe
from ticketzoo.masks.masks import Masks, sparsity
from ticketzoo.runs.store import Cell, Job, Store
from ticketzoo.seeds import derive_seed
from ticketzoo.tasks.task import Task

Row = dict[str, Any]
"""A line of results.jsonl: rewind_step, level, sparsity, seed, copies, position, error (or loss)."""


def measure_lines(recipe: StabilityRecipe, task: Task, store: Store) -> list[Row]:
    """Run `recipe` and return the errors along all lines.

    Args:
        recipe: what to measure.
        task: the recipe's, its data loaded.
        store: keeps trainings and lines; what it holds is not done again.

    Raises:
        RecipeError: two steps are one, a step is not before the end of training, or as `find_tickets` does.
        ModelError: the architecture is unknown or does not fit the data.
        RunError: see `Store`.
    """
    return [
        row
        for labels, start, copies in trained_copies(recipe, task, store)
        for row in _lines(recipe, start, labels, copies, store)
    ]


def trained_copies(recipe: StabilityRecipe, task: Task, store: Store) -> Iterator[tuple[Row, Job, list[Cell]]]:
    """Yield for every network of `recipe` the labels of its rows, the training from it, and its trained copies.

    The copies differ from that training in the order of the data alone. Raises as `measure_lines` does.
    """
    steps = rewind_steps(recipe, task)
    if recipe.line.split == "validation" and not task.has_validation:
        raise RecipeError(f"line.split: {task.name} has no validation split; choose test")
    search = Search(recipe.find_recipe(steps[0]), task, store)
    search.say_what_is_not_pruned()
    store.progress.planned(recipe.work)
    for seed in recipe.seeds:
        lab = search.lab(seed)
        dense = lab.train(lab.dense, lab.initial, keep=steps).cell

        def copies_from(step: int, seed: int = seed, dense: Cell = dense) -> list[tuple[Row, Job, list[Cell]]]:
            return list(_copies_from(step, recipe, task, store, seed, dense))

        for found in store.each(copies_from, steps):
            yield from found


def _copies_from(
    step: int, recipe: StabilityRecipe, task: Task, store: Store, seed: int, dense: Cell
) -> Iterator[tuple[Row, Job, list[Cell]]]:
    """Yield as `trained_copies` does, for the networks at `step`; their masks are found first."""
    search = Search(recipe.find_recipe(step), task, store, f"k={step} ")
    levels: Mapping[int, Masks] = search.replicate(seed).levels if max(recipe.levels) else {0: {}}
    for level in recipe.levels:
        masks = levels[level] if level else {}
        start = Job(search.model.architecture, dense.snapshot(step), masks, task, recipe.training, seed, step)
        labels = {"rewind_step": step, "level": level, "sparsity": sparsity(masks) if level else 0.0, "seed": seed}

        def train(number: int, start: Job = start, level: int = level) -> Cell:
            label = f"k={step} seed {seed} level {level} copy {number}"
            return store.run(copy_job(start, number), label, keep_final=True)

        yield labels, start, store.each(train, range(recipe.copies))


def rewind_steps(recipe: StabilityRecipe, task: Task) -> list[int]:
    """Return the steps in iterations, ascending. Raises RecipeError where two are one, or one is not before the end."""
    per_epoch = task.steps_per_epoch(recipe.training.batch_size)
    total = recipe.training.steps.iterations(per_epoch)
    steps = sorted(step.iterations(per_epoch) for step in recipe.rewind_steps)
    if steps[-1] >= total:
        raise RecipeError(f"rewind_steps: iteration {steps[-1]} is not before the end of training ({total})")
    if len(set(steps)) < len(steps):
        raise RecipeError(f"rewind_steps: two of them are one iteration of {', '.join(map(str, steps))}")
    return steps


def copy_job(start: Job, number: int) -> Job:
    """Return the training of a copy: the same weights and step, a data order and augmentation of its own."""
    return replace(start, seed=derive_seed(start.seed, "copy", number))


def instability_of(
    starts: Mapping[int, Job], copies: int, level: int, look: LineConfig, store: Store, where: str
) -> Instability:
    """Train copies of a network of each seed and return its instability: the mean over each two of them.

    Args:
        starts: the training that copies begin as, by seed.
        copies: of each, at least two, whose data orders alone differ.
        level: of the network.
        look: the lines between copies.
        store: keeps trainings and lines.
        where: begins their labels.
    """
    by_seed: dict[int, float] = {}
    ends: list[float] = []
    for seed, start in starts.items():
        label = f"{where} seed {seed}"

        def train(copy: int, start: Job = start, label: str = label) -> Cell:
            return store.run(copy_job(start, copy), f"{label} copy {copy}", keep_final=True)

        pairs = _between(start, store.each(train, range(copies)), look, store, label)
        lines = [[point.error for point in points] for _, _, points in pairs]
        by_seed[seed] = sum(map(instability, lines)) / len(lines)
        ends += [error for line in lines for error in (line[0], line[-1])]
    first = next(iter(starts.values()))
    return Instability(first.start_step, level, sparsity(first.masks), by_seed, sum(ends) / len(ends))


def _between(
    start: Job, copies: list[Cell], look: LineConfig, store: Store, label: str
) -> Iterator[tuple[int, int, list[Point]]]:
    """Yield each two of the trained copies that began as `start` does, and the points of the line between them."""
    for first, second in combinations(range(len(copies)), 2):
        ends, where = (
            (copies[first].final_state(), copies[second].final_state()),
            f"{label} copies {first} and {second}",
        )
        line = Line(start.architecture, ends, start.task, start.training, start.seed, look)
        points, new = errors_along(line, store, where)
        found = instability([point.error for point in points])
        said = with_unit(metric_along(look, start.task), found)
        store.progress.evaluated(where, f"instability {said}", new=new)
        yield first, second, points


def _lines(recipe: StabilityRecipe, start: Job, labels: Row, copies: list[Cell], store: Store) -> Iterator[Row]:
    """Yield the rows of the lines between copies."""
    label = f"k={labels['rewind_step']} seed {labels['seed']} level {labels['level']}"
    for first, second, points in _between(start, copies, recipe.line, store, label):
        for point in points:
            yield {**labels, "copies": [first, second], **point.row(recipe.line)}
