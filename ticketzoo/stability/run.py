"""Instability analysis: copies trained from a shared step with data orders of their own, and the lines between them."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import combinations
from typing import Any

from ticketzoo.errors import RecipeError
from ticketzoo.finding.run import Search
from ticketzoo.masks.masks import Masks, sparsity
from ticketzoo.runs.store import Cell, Job, Store
from ticketzoo.seeds import derive_seed
from ticketzoo.stability.instability import instability
from ticketzoo.stability.line import Line, errors_along
from ticketzoo.stability.recipe import StabilityRecipe
from ticketzoo.tasks.task import Task

Row = dict[str, Any]
"""One line of results.jsonl: rewind_step, level, sparsity, seed, copies, position, error."""


def measure_lines(recipe: StabilityRecipe, task: Task, cells: Store) -> list[Row]:
    """Run `recipe` in `cells` and return the errors along all lines; what is finished there is not done again.

    Raises:
        RecipeError: two steps are one, a step is not before the end of training, or as `find_tickets` does.
        ModelError: the architecture is unknown or does not fit the data.
        RunError: see `Store`.
    """
    return [
        row
        for labels, start, copies in trained_copies(recipe, task, cells)
        for row in _lines(recipe, start, labels, copies, cells)
    ]


def trained_copies(recipe: StabilityRecipe, task: Task, cells: Store) -> Iterator[tuple[Row, Job, list[Cell]]]:
    """Every network of `recipe`: the labels of its rows, how training starts from it, and its trained copies.

    Raises as `measure_lines` does.
    """
    steps = rewind_steps(recipe, task)
    if recipe.line.split == "validation" and not task.has_validation:
        raise RecipeError(f"line.split: {task.name} has no validation split; choose test")
    search = Search(recipe.find_recipe(steps[0]), task, cells)
    cells.progress.planned(recipe.work)
    for seed in recipe.seeds:
        lab = search.lab(seed)
        dense = lab.train(lab.dense, lab.initial, keep=steps).cell

        def copies_from(step: int, seed: int = seed, dense: Cell = dense) -> list[tuple[Row, Job, list[Cell]]]:
            return list(_copies_from(step, recipe, task, cells, seed, dense))

        for found in cells.each(copies_from, steps):
            yield from found


def _copies_from(
    step: int, recipe: StabilityRecipe, task: Task, cells: Store, seed: int, dense: Cell
) -> Iterator[tuple[Row, Job, list[Cell]]]:
    """As `trained_copies`, of the networks at `step`, their masks found first."""
    search = Search(recipe.find_recipe(step), task, cells, f"k={step} ")
    levels: Mapping[int, Masks] = search.replicate(seed).levels if max(recipe.levels) else {0: {}}
    for level in recipe.levels:
        masks = levels[level] if level else {}
        start = Job(search.model.architecture, dense.snapshot(step), masks, task, recipe.training, seed, step)
        labels = {"rewind_step": step, "level": level, "sparsity": sparsity(masks) if level else 0.0, "seed": seed}

        def train(number: int, start: Job = start, level: int = level) -> Cell:
            label = f"k={step} seed {seed} level {level} copy {number}"
            return cells.run(copy_job(start, number), label, keep_final=True)

        yield labels, start, cells.each(train, range(recipe.copies))


def rewind_steps(recipe: StabilityRecipe, task: Task) -> list[int]:
    """The steps in iterations, ascending. Raises RecipeError when two are one, or one is not before the end."""
    per_epoch = task.steps_per_epoch(recipe.training.batch_size)
    total = recipe.training.steps.iterations(per_epoch)
    steps = sorted(step.iterations(per_epoch) for step in recipe.rewind_steps)
    if steps[-1] >= total:
        raise RecipeError(f"rewind_steps: iteration {steps[-1]} is not before the end of training ({total})")
    if len(set(steps)) < len(steps):
        raise RecipeError(f"rewind_steps: two of them are one iteration of {', '.join(map(str, steps))}")
    return steps


def copy_job(start: Job, number: int) -> Job:
    """The training of a copy: the same weights at the same step, but a data order and augmentation of its own."""
    return replace(start, seed=derive_seed(start.seed, "copy", number))


def _lines(recipe: StabilityRecipe, start: Job, labels: Row, copies: list[Cell], cells: Store) -> Iterator[Row]:
    """Measure the line between each two trained copies that began as `start` does."""
    where = f"k={labels['rewind_step']} seed {labels['seed']} level {labels['level']}"
    for first, second in combinations(range(recipe.copies), 2):
        ends = copies[first].final_state(), copies[second].final_state()
        line = Line(start.architecture, ends, start.task, recipe.training, start.seed, recipe.line)
        label = f"{where} copies {first} and {second}"
        points, new = errors_along(line, cells, label)
        found = instability([point.error for point in points])
        cells.progress.evaluated(label, f"instability {found:.2%}", new=new)
        for point in points:
            yield {**labels, "copies": [first, second], **point._asdict()}
